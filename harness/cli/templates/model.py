"""A model of your own: `build` returns the module that the harness trains."""

from __future__ import annotations

from torch import Tensor, nn


class Net(nn.Module):
    """Two convolutions, each halving the image, then a linear layer."""

    def __init__(self, image_shape: tuple[int, int, int], num_classes: int, channels: int) -> None:
        super().__init__()
        inputs, height, width = image_shape
        self.features = nn.Sequential(
            nn.Conv2d(inputs, channels, kernel_size=3, padding=1),
            nn.BatchNorm2d(channels),  # on any number of ranks: the statistics of the global batch
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(channels, 2 * channels, kernel_size=3, padding=1),
            nn.BatchNorm2d(2 * channels),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Dropout(0.2),  # masks that do not depend on the number of ranks either
        )
        self.classifier = nn.Linear(2 * channels * (height // 4) * (width // 4), num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits (N, num_classes) of images (N, channels, height, width) in [0, 1]."""
        logits: Tensor = self.classifier(self.features(images))
        return logits


def build(image_shape: tuple[int, int, int], num_classes: int, *, channels: int) -> nn.Module:
    """Build the module for images of `image_shape`: (channels, height, width).

    The keys beside `name` under `model:` in the suite are its keyword arguments, here `channels`.
    """
    return Net(image_shape, num_classes, channels)
