"""Precisions: the dtypes of weights and activations, and how matrix products are computed."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class Precision:
    """Dtypes of a trial: `dtype` of weights, norm statistics, loss and metrics.

    `activations`, if given, is that of activations and products. `tf32` lets a GPU round the factors of
    float32 products to TF32; a CPU computes them in float32.
    """

    dtype: torch.dtype
    activations: torch.dtype | None = None
    tf32: bool = False

    def set_products(self, device: torch.device) -> None:
        """Set how the device computes the matrix products that follow."""
        if device.type == "cuda":
            torch.backends.cuda.matmul.allow_tf32 = self.tf32
            torch.backends.cudnn.allow_tf32 = self.tf32

    def forward(self, device: torch.device) -> AbstractContextManager[None]:
        """Return the autocast context of a forward pass."""
        return torch.autocast(device.type, self.activations, enabled=self.activations is not None)


def cast(model: nn.Module, dtype: torch.dtype) -> None:
    """Give floating parameters and buffers the dtype, in place, and complex ones that of the same width."""
    complex_dtype = dtype.to_complex()
    model._apply(  # type: ignore[no-untyped-call]
        lambda each: each.to(
            complex_dtype if each.is_complex() else dtype if each.is_floating_point() else each.dtype
        )
    )


PRECISIONS = {
    "fp64": Precision(torch.float64),
    "fp32": Precision(torch.float32),
    "tf32": Precision(torch.float32, tf32=True),
    "bf16": Precision(torch.float32, activations=torch.bfloat16),
}
