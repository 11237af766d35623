"""The commands' functions: with cli.py alone in knowing argv, environment variables and exit codes."""
