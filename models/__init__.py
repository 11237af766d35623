"""One file a model: `build(image_shape, num_classes, **settings)`, and its SETTINGS as JSON Schema fragments."""
