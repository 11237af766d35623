"""Starting the ranks: torchrun's workers on this machine."""
