"""Launch of the ranks: torchrun workers on this machine, or SLURM jobs on a cluster."""
