"""Faults for the processes of a drill: this folder, on PYTHONPATH, has them killed where the driver says."""
