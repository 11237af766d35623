"""The convolutional network with which KMNIST was introduced.

T. Clanuwat et al.: Deep learning for classical Japanese literature, 2018. Their code is
benchmarks/kuzushiji_mnist_cnn.py in rois-codh/kmnist, Keras' example for MNIST. 1,199,882 parameters for
28 x 28 grey pixels and 10 classes, initialised as in Keras.
"""

from __future__ import annotations

from torch import nn


def build(image_shape: tuple[int, ...], num_classes: int) -> nn.Module:
    """Build two 3 x 3 convolutions without padding, one max pooling and two linear layers."""
    if len(image_shape) != 3:
        raise ValueError(f"found {image_shape[0]} features, expected images")
    channels, rows, columns = image_shape
    if min(rows, columns) < 6:
        raise ValueError(f"found images of {rows} x {columns}, expected 6 x 6 or more")
    pixels = ((rows - 4) // 2) * ((columns - 4) // 2)
    model = nn.Sequential(
        nn.Conv2d(channels, 32, 3),
        nn.ReLU(),
        nn.Conv2d(32, 64, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Dropout(0.25),
        nn.Flatten(),
        nn.Linear(64 * pixels, 128),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(128, num_classes),
    )
    for name, parameter in model.named_parameters():
        if name.endswith("weight"):
            nn.init.xavier_uniform_(parameter)
        else:
            nn.init.zeros_(parameter)
    return model
