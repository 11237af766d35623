"""A model of your own: `build` returns the module that the harness trains."""

from __future__ import annotations

from torch import Tensor, nn


class Net(nn.Module):
    """Two convolutions, then a linear layer on the mean over all pixels."""

    def __init__(self, channels: int, num_classes: int, width: int) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(channels, width, kernel_size=3, padding=1),
            nn.BatchNorm2d(width),  # trained on the statistics of the global batch, on any number of ranks
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(width, 2 * width, kernel_size=3, padding=1),
            nn.BatchNorm2d(2 * width),
            nn.ReLU(),
        )
        self.classifier = nn.Linear(2 * width, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits (N, num_classes) of images (N, channels, height, width) in [0, 1]."""
        logits: Tensor = self.classifier(self.features(images).mean(dim=(2, 3)))
        return logits


def build(image_shape: tuple[int, int, int], num_classes: int, *, width: int) -> nn.Module:
    """Build the module for images of `image_shape`: (channels, height, width).

    The keys beside `name` under `model:` in the suite are its keyword arguments, here `width`.
    """
    return Net(image_shape[0], num_classes, width)
