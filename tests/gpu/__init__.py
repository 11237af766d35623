"""What only a GPU can tell: parts of a check that CI rehearses without one (docs/gpu.md)."""
