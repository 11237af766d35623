"""One file a model: `build(image_shape, num_classes, **settings)`, and SETTINGS in JSON Schema."""
