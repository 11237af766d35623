"""What only a GPU can tell: parts that a card is asked for, and that CI rehearses without one (docs/gpu.md)."""
