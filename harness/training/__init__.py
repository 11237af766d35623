"""One trial: world, randomness, layers, batches, step, loop, checkpoint."""
