"""Command line of the harness: one function per command, their options, and exit codes."""
