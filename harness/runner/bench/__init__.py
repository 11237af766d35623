"""How fast every way to execute a suite's trials is on this machine: cells, their meter, their table."""
