"""A suite's YAML file, read and checked into frozen settings, trials and a suite."""
