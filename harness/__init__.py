"""A benchmarking harness: suites of experiments in, records and honest tables out."""

__version__ = "0.1.0"
