"""Reads a suite's YAML file into a checked, frozen Suite with its Settings and Trials; no torch."""
