"""What a precision means: of which type weights and activations are, and how products are computed."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Precision:
    """Weights, norm statistics, loss and metrics are of `dtype`; activations and products may be of another.

    `tf32` lets a GPU round the factors of float32 products to TF32; a CPU computes them in float32.
    """

    dtype: torch.dtype
    activations: torch.dtype | None = None
    tf32: bool = False

    def set_products(self, device: torch.device) -> None:
        """Have the products that follow on the device computed this way."""
        if device.type == "cuda":
            torch.backends.cuda.matmul.allow_tf32 = self.tf32
            torch.backends.cudnn.allow_tf32 = self.tf32

    def forward(self, device: torch.device) -> AbstractContextManager[None]:
        """Return the context of a forward pass."""
        return torch.autocast(device.type, self.activations, enabled=self.activations is not None)


PRECISIONS = {
    "fp64": Precision(torch.float64),
    "fp32": Precision(torch.float32),
    "tf32": Precision(torch.float32, tf32=True),
    "bf16": Precision(torch.float32, activations=torch.bfloat16),
}
