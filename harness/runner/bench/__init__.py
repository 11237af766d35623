"""Speed benchmark of every execution of a suite's trials on this machine: grid, meter and table."""
