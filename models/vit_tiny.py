"""The vision transformer of the tiny size.

A. Dosovitskiy et al.: An image is worth 16 x 16 words, 2021. Unless set, width, depth and heads are those of
"Ti" in H. Touvron et al.: Training data-efficient image transformers, 2021. That has 5.7 M parameters for
16 x 16 patches of 224 x 224 colour pixels and 1000 classes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

SETTINGS = {
    "patch_size": {
        "type": "integer",
        "minimum": 1,
        "description": "Side of a patch in pixels, a divisor of the image's sides.",
    },
    "width": {
        "type": "integer",
        "minimum": 1,
        "default": 192,
        "description": "Features of each patch, a multiple of `heads`.",
    },
    "depth": {"type": "integer", "minimum": 1, "default": 12, "description": "Number of encoder blocks."},
    "heads": {"type": "integer", "minimum": 1, "default": 3, "description": "Attention heads of a block."},
}


class Attention(nn.Module):
    """Multi-head self-attention."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Attend within each row of (N, tokens, width)."""
        n, tokens, width = x.shape
        qkv = self.qkv(x).view(n, tokens, 3, self.heads, width // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        # As products: the backward of torch's fused attention is not deterministic on every GPU.
        weights = (query @ key.transpose(-2, -1) * query.shape[-1] ** -0.5).softmax(-1)
        mixed = weights @ value
        out: Tensor = self.out(mixed.transpose(1, 2).reshape(n, tokens, width))
        return out


class Block(nn.Module):
    """An encoder block: attention, then a perceptron, each after a norm and beside a shortcut."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width, 1e-6), nn.LayerNorm(width, 1e-6)
        self.attention = Attention(width, heads)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, tokens, width) to the same shape."""
        x = x + self.attention(self.norm1(x))
        out: Tensor = x + self.mlp(self.norm2(x))
        return out


class VisionTransformer(nn.Module):
    """Patches, a class token, learned positions, blocks, and a linear layer on the class token."""

    def __init__(self, stem: nn.Conv2d, tokens: int, blocks: list[Block], width: int, classes: int) -> None:
        super().__init__()
        self.stem, self.blocks = stem, nn.Sequential(*blocks)
        self.token = nn.Parameter(torch.empty(1, 1, width))
        self.positions = nn.Parameter(torch.empty(1, tokens + 1, width))
        self.norm, self.head = nn.LayerNorm(width, 1e-6), nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits (N, classes) of images (N, C, H, W)."""
        patches = self.stem(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.token.expand(len(x), -1, -1), patches], 1) + self.positions
        logits: Tensor = self.head(self.norm(self.blocks(tokens)[:, 0]))
        return logits


def build(
    image_shape: tuple[int, ...],
    num_classes: int,
    *,
    patch_size: int,
    width: int = 192,
    depth: int = 12,
    heads: int = 3,
) -> nn.Module:
    """Build the transformer; raise ValueError where patches do not tile the image, or heads the width."""
    if len(image_shape) != 3:
        raise ValueError(f"found {image_shape[0]} features, expected images")
    channels, rows, columns = image_shape
    if rows % patch_size or columns % patch_size:
        raise ValueError(
            f"found patch_size {patch_size}, expected a divisor of the sides {rows} and {columns}"
        )
    if width % heads:
        raise ValueError(f"found width {width}, expected a multiple of the {heads} heads")
    stem = nn.Conv2d(channels, width, patch_size, patch_size)
    tokens = (rows // patch_size) * (columns // patch_size)
    model = VisionTransformer(stem, tokens, [Block(width, heads) for _ in range(depth)], width, num_classes)
    for parameter in (model.token, model.positions):
        nn.init.trunc_normal_(parameter, std=0.02)
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.trunc_normal_(module.weight, std=0.02)
            nn.init.zeros_(module.bias)
    return model
