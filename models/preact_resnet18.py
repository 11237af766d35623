"""The residual network of 18 layers with pre-activation, for small images.

K. He, X. Zhang, S. Ren, J. Sun: Identity mappings in deep residual networks, 2016. The stages are those of
ResNet-18 in their Deep residual learning for image recognition, 2015, the stem that of the networks for CIFAR
in both papers: 3 x 3 without stride or pooling. 11.2 M parameters for colour images and 10 classes.
"""

from __future__ import annotations

from torch import Tensor, nn

SETTINGS = {
    "width": {
        "type": "integer",
        "minimum": 1,
        "default": 64,
        "description": "Channels of the first of four stages; each has twice as many as the one before.",
    },
}


class Unit(nn.Module):
    """A residual unit: norm, ReLU and convolution twice, beside a shortcut.

    Where the shape changes the shortcut is a convolution of 1 x 1 of what the first activation gives; of the
    network's `first` unit it is that itself.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, *, first: bool) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.BatchNorm2d(inputs), nn.BatchNorm2d(outputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.relu = nn.ReLU()
        changes = stride > 1 or inputs != outputs
        self.shortcut = nn.Conv2d(inputs, outputs, 1, stride, bias=False) if changes else nn.Identity()
        self.activates_shortcut = changes or first

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, S, S) to (N, outputs, S / stride, S / stride)."""
        active = self.relu(self.norm1(x))
        shortcut: Tensor = self.shortcut(active if self.activates_shortcut else x)
        residual: Tensor = self.conv2(self.relu(self.norm2(self.conv1(active))))
        return shortcut + residual


def build(image_shape: tuple[int, ...], num_classes: int, *, width: int = 64) -> nn.Module:
    """Build a stem, four stages of two units, a norm, and a linear layer on the mean over pixels."""
    if len(image_shape) != 3:
        raise ValueError(f"found {image_shape[0]} features, expected images")
    layers: list[nn.Module] = [nn.Conv2d(image_shape[0], width, 3, padding=1, bias=False)]
    inputs = width
    for stage in range(4):
        outputs = width * 2**stage
        layers += [
            Unit(inputs, outputs, 2 if stage else 1, first=stage == 0),
            Unit(outputs, outputs, 1, first=False),
        ]
        inputs = outputs
    head = [nn.BatchNorm2d(inputs), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    model = nn.Sequential(*layers, *head, nn.Linear(inputs, num_classes))
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return model
