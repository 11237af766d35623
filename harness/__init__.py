"""A benchmarking harness: trains suites of experiments, writes records, makes tables from them."""

__version__ = "0.1.0"
