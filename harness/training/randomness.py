"""Random streams that depend on a trial's seed and on what they are for, never on rank or time."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor

_WORD = 0xFFFFFFFF


def derive(seed: int, purpose: str, *counters: int | str) -> int:
    """Derive a 63-bit seed from the trial's by SHA-256; another purpose or counter is another stream."""
    text = ":".join(map(str, (seed, purpose, *counters)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def permutation(seed: int, epoch: int, size: int) -> Tensor:
    """Return the order of `size` samples in an epoch, the same on every rank; int64 (size,), on the CPU."""
    generator = torch.Generator().manual_seed(derive(seed, "order", epoch))
    return torch.randperm(size, generator=generator)


def keep_mask(key: int, first_row: int, rows: int, features: int, p: float, device: torch.device) -> Tensor:
    """Return which elements of a global batch's rows survive dropout; bool (rows, features).

    An element's fate is a hash of `key` and its position in the global batch, so that it is the same however
    the batch is cut, and on every kind of device. The hash is lowbias32 (C. Wellons, "Prospecting for hash
    functions", 2018), over the low and then the high word of the position.
    """
    row = torch.arange(first_row, first_row + rows, device=device, dtype=torch.int64)
    position = row[:, None] * features + torch.arange(features, device=device, dtype=torch.int64)
    low, high = position & _WORD, position >> 32
    mixed = _mix(_mix(low ^ (key & _WORD)) ^ high ^ (key >> 32))
    return mixed >= round(p * 2**32)


def _mix(x: Tensor) -> Tensor:
    x = ((x ^ (x >> 16)) * 0x7FEB352D) & _WORD
    x = ((x ^ (x >> 15)) * 0x846CA68B) & _WORD
    return x ^ (x >> 16)
