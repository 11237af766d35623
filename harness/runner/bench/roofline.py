"""Limits of known cards, by their published memory bandwidth and matrix rates: images/s of a step."""

from __future__ import annotations

from harness.config.settings import PrecisionName
from harness.strict import Strict


class Card(Strict):
    """Published figures of a card; FLOPs per second are dense ones, by precision."""

    title: str
    bytes_per_second: float
    flops_per_second: dict[PrecisionName, float]


# NVIDIA's data sheets of the A100, H100, H200 and L4 Tensor Core GPU. For all but the A100 they give tf32 and
# bf16 with sparsity, which is twice the dense rate. fp32 is strict, without tensor cores; fp64 is with
# them, and the L4's sheet has none.
CARDS = {
    "a100": Card(
        title="A100 SXM 80 GB",
        bytes_per_second=2.039e12,
        flops_per_second={"fp64": 19.5e12, "fp32": 19.5e12, "tf32": 156e12, "bf16": 312e12},
    ),
    "h100": Card(
        title="H100 SXM",
        bytes_per_second=3.35e12,
        flops_per_second={"fp64": 67e12, "fp32": 67e12, "tf32": 494.5e12, "bf16": 989.5e12},
    ),
    "h200": Card(
        title="H200 SXM",
        bytes_per_second=4.8e12,
        flops_per_second={"fp64": 67e12, "fp32": 67e12, "tf32": 494.5e12, "bf16": 989.5e12},
    ),
    "l4": Card(
        title="L4",
        bytes_per_second=0.3e12,
        flops_per_second={"fp32": 30.3e12, "tf32": 60e12, "bf16": 121e12},
    ),
}


class Limit(Strict):
    """Images per second that a card allows; None if it has no such rate, or a step needs none of it."""

    card: str
    by_memory: float | None
    by_matrix_rate: float | None

    @property
    def binding(self) -> float | None:
        """Return the lower one."""
        return min((each for each in (self.by_memory, self.by_matrix_rate) if each is not None), default=None)


def limit(name: str, precision: PrecisionName, images: int, size: int, flops: int) -> Limit:
    """Return the card's limits for steps of so many images, bytes and FLOPs."""
    card = CARDS[name]
    rate = card.flops_per_second.get(precision)
    return Limit(
        card=name,
        by_memory=images * card.bytes_per_second / size if size else None,
        by_matrix_rate=images * rate / flops if rate and flops else None,
    )
