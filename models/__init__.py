"""Shipped models, one per file: `build(image_shape, num_classes, **settings)`; SETTINGS as JSON Schema."""
