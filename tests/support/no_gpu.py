"""What torch says where there is no GPU that it can use."""

NONE = "(Found no NVIDIA driver|No CUDA GPUs are available)"
OLD = "CUDA initialization: The NVIDIA driver on your system is too old (found version 11040)."
