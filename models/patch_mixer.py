"""The patch mixer: MLP blocks that mix an image's patches, then their features.

Activations are (tokens, batch, width) throughout: mixing tokens and mixing features are both flat matrix
products, and nothing is transposed.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

SETTINGS = {
    "patch_size": {
        "type": "integer",
        "minimum": 1,
        "description": "Side of a patch in pixels, a divisor of the image's side.",
    },
    "width": {"type": "integer", "minimum": 1, "description": "Number of features of each patch."},
    "hidden": {
        "type": "array",
        "items": {"type": "integer", "minimum": 1},
        "minItems": 1,
        "description": "Hidden width of each block, in order; there is one block per entry.",
    },
}


class Stem(nn.Module):
    """Split (N, C, S, S) into T patches and embed each: (T, N, width)."""

    def __init__(self, channels: int, side: int, patch_size: int, width: int) -> None:
        super().__init__()
        self.patch_size = patch_size
        self.tokens = (side // patch_size) ** 2
        self.linear = nn.Linear(channels * patch_size**2, width)
        self.norm = nn.BatchNorm1d(self.tokens)

    def forward(self, x: Tensor) -> Tensor:
        """Embed the patches, from left to right, then down."""
        n, channels, side, _ = x.shape
        size = self.patch_size
        patches = x.reshape(n, channels, side // size, size, side // size, size)
        patches = patches.permute(2, 4, 0, 1, 3, 5).reshape(self.tokens * n, channels * size * size)
        embedded: Tensor = self.linear(patches)
        embedded = self.norm(embedded.view(1, self.tokens, -1)).relu_()
        return embedded.view(self.tokens, n, self.linear.out_features)


class Block(nn.Module):
    """Mix tokens, then features, with one skip connection around both: (T, N, width) in and out."""

    def __init__(self, tokens: int, width: int, hidden: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.tokens_in = nn.Linear(tokens, hidden)
        self.tokens_norm = nn.BatchNorm1d(width)
        self.tokens_out = nn.Linear(hidden, tokens)
        self.features_in = nn.Linear(width, hidden)
        self.features_norm = nn.BatchNorm1d(tokens)
        self.features_out = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """Mix (T, N, width) with flat products and norms, which are fastest."""
        tokens, n, width = x.shape
        hidden = linear_over_tokens(self.tokens_in, x.view(tokens, n * width))
        hidden = self.tokens_norm(hidden.view(self.hidden * n, width)).relu_()
        hidden = linear_over_tokens(self.tokens_out, hidden.view(self.hidden, n * width))
        hidden = self.features_in(hidden.view(tokens * n, width))
        hidden = self.features_norm(hidden.view(1, tokens, n * self.hidden)).relu_()
        mixed: Tensor = self.features_out(hidden.view(tokens * n, self.hidden))
        return mixed.add_(x.view(tokens * n, width)).relu_().view(tokens, n, width)


def linear_over_tokens(layer: nn.Linear, x: Tensor) -> Tensor:
    """Apply a linear layer to the first axis of (T, N * width), as one matrix product: (T', N * width)."""
    return torch.addmm(layer.bias[:, None], layer.weight, x)


class PatchMixer(nn.Module):
    """A stem, a block for each hidden size, and a classifier on the mean over tokens."""

    def __init__(
        self, shape: tuple[int, ...], classes: int, patch_size: int, width: int, hidden: list[int]
    ) -> None:
        super().__init__()
        channels, side, _ = shape
        self.stem = Stem(channels, side, patch_size, width)
        self.blocks = nn.Sequential(*(Block(self.stem.tokens, width, size) for size in hidden))
        self.classifier = nn.Sequential(
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(width, classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits (N, classes) of images (N, C, S, S)."""
        out: Tensor = self.classifier(self.blocks(self.stem(x)).mean(dim=0))
        return out


def build(
    image_shape: tuple[int, ...], num_classes: int, *, patch_size: int, width: int, hidden: list[int]
) -> nn.Module:
    """Build the mixer; raise ValueError where the patches do not tile a square image."""
    if len(image_shape) != 3:
        raise ValueError(f"found {image_shape[0]} features, expected images")
    _, rows, columns = image_shape
    if rows != columns:
        raise ValueError(f"found images of {rows} x {columns}, expected square ones")
    if rows % patch_size:
        raise ValueError(f"found patch_size {patch_size}, expected a divisor of the image's side {rows}")
    return PatchMixer(image_shape, num_classes, patch_size, width, hidden)
