"""Training of one trial in one process group: model, data loading, step, engine, checkpoints."""
