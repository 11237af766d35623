"""The MLP-Mixer: perceptrons that mix an image's patches, then each patch's channels.

I. Tolstikhin et al.: MLP-Mixer: An all-MLP architecture for vision, 2021. Unless set, width, depth and hidden
widths are those of Mixer-S, which has 18 M parameters for 16 x 16 patches of 224 x 224 colour pixels.
"""

from __future__ import annotations

from torch import Tensor, nn

SETTINGS = {
    "patch_size": {
        "type": "integer",
        "minimum": 1,
        "description": "Side of a patch in pixels, a divisor of the image's sides.",
    },
    "width": {"type": "integer", "minimum": 1, "default": 512, "description": "Channels of each patch."},
    "depth": {"type": "integer", "minimum": 1, "default": 8, "description": "Number of mixer layers."},
    "tokens_hidden": {
        "type": "integer",
        "minimum": 1,
        "default": 256,
        "description": "Hidden width where patches are mixed.",
    },
    "channels_hidden": {
        "type": "integer",
        "minimum": 1,
        "default": 2048,
        "description": "Hidden width where channels are mixed.",
    },
}


def perceptron(width: int, hidden: int) -> nn.Module:
    """Build two linear layers with GELU between them, from `width` to `width`."""
    return nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))


class Layer(nn.Module):
    """A mixer layer: over patches, then over channels, each after a norm and beside a shortcut."""

    def __init__(self, tokens: int, width: int, tokens_hidden: int, channels_hidden: int) -> None:
        super().__init__()
        self.tokens_norm, self.channels_norm = nn.LayerNorm(width, 1e-6), nn.LayerNorm(width, 1e-6)
        self.tokens = perceptron(tokens, tokens_hidden)
        self.channels = perceptron(width, channels_hidden)

    def forward(self, x: Tensor) -> Tensor:
        """Mix (N, tokens, width)."""
        x = x + self.tokens(self.tokens_norm(x).transpose(1, 2)).transpose(1, 2)
        out: Tensor = x + self.channels(self.channels_norm(x))
        return out


class MlpMixer(nn.Module):
    """Patches, mixer layers, a norm, and a linear layer on the mean over patches."""

    def __init__(self, stem: nn.Conv2d, layers: list[Layer], width: int, num_classes: int) -> None:
        super().__init__()
        self.stem, self.layers = stem, nn.Sequential(*layers)
        self.norm, self.head = nn.LayerNorm(width, 1e-6), nn.Linear(width, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits (N, classes) of images (N, C, H, W)."""
        tokens = self.stem(x).flatten(2).transpose(1, 2)
        logits: Tensor = self.head(self.norm(self.layers(tokens)).mean(1))
        return logits


def build(
    image_shape: tuple[int, ...],
    num_classes: int,
    *,
    patch_size: int,
    width: int = 512,
    depth: int = 8,
    tokens_hidden: int = 256,
    channels_hidden: int = 2048,
) -> nn.Module:
    """Build the mixer; raise ValueError where the patches do not tile the image."""
    if len(image_shape) != 3:
        raise ValueError(f"found {image_shape[0]} features, expected images")
    channels, rows, columns = image_shape
    if rows % patch_size or columns % patch_size:
        raise ValueError(
            f"found patch_size {patch_size}, expected a divisor of the sides {rows} and {columns}"
        )
    tokens = (rows // patch_size) * (columns // patch_size)
    layers = [Layer(tokens, width, tokens_hidden, channels_hidden) for _ in range(depth)]
    stem = nn.Conv2d(channels, width, patch_size, patch_size)
    model = MlpMixer(stem, layers, width, num_classes)
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.normal_(module.weight, std=module.weight[0].numel() ** -0.5)
            assert module.bias is not None
            nn.init.zeros_(module.bias)
    nn.init.zeros_(model.head.weight)
    return model
