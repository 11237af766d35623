"""A small convolutional network."""

from __future__ import annotations

from itertools import pairwise

from torch import nn

SETTINGS = {
    "channels": {
        "type": "array",
        "items": {"type": "integer", "minimum": 1},
        "minItems": 1,
        "description": "Output channels of the 3 x 3 convolutions, in order; 2 x 2 max pooling follows each.",
    },
    "dropout": {
        "type": "number",
        "minimum": 0,
        "exclusiveMaximum": 1,
        "description": "Dropout probability before the output layer.",
    },
}


def build(
    image_shape: tuple[int, ...], num_classes: int, *, channels: list[int], dropout: float
) -> nn.Module:
    """Build 3 x 3 convolutions, each halving the image, then a linear layer on the mean over pixels."""
    if len(image_shape) != 3:
        raise ValueError(f"found {image_shape[0]} features, expected images")
    halvings = min(image_shape[1:]).bit_length() - 1
    if len(channels) > halvings:
        found = f"{len(channels)} channels for images of {image_shape[1]} x {image_shape[2]}"
        raise ValueError(f"found {found}, expected {halvings} or fewer: each halves the image")
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise([image_shape[0], *channels]):
        convolution = nn.Conv2d(inputs, outputs, kernel_size=3, padding=1)
        layers += [convolution, nn.BatchNorm2d(outputs), nn.ReLU(), nn.MaxPool2d(2)]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(dropout), nn.Linear(channels[-1], num_classes)]
    return nn.Sequential(*layers, *head)
