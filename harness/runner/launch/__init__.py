"""Starting the ranks: torchrun's workers on this machine, or SLURM's jobs on a cluster."""
