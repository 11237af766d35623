"""Random streams that depend on a trial's seed and their purpose, never on rank or time."""

from __future__ import annotations

import contextlib
import hashlib
import random
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

_WORD = 0xFFFFFFFF
_MULTIPLIERS = (0x7FEB352D, 0x846CA68B - 2**32)  # as int32


def derive(seed: int, purpose: str, *counters: int | str) -> int:
    """Derive a 63-bit seed from the trial's by SHA-256; each purpose and counter gives another stream."""
    text = ":".join(map(str, (seed, purpose, *counters)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def seed_globally(seed: int) -> None:
    """Seed the generators that user code draws from: torch's of CPU and GPUs, Python's and NumPy's.

    torch.manual_seed also notes a traceback for each kind of device that there is not, at each call.
    """
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_available():
        torch.cuda.manual_seed_all(seed)
    random.seed(seed)
    np.random.seed(seed % 2**32)


@contextlib.contextmanager
def kept_random_states(device: torch.device | None = None) -> Iterator[None]:
    """Restore at the end the states of those generators, of the GPUs only `device`'s."""
    devices = [device] if device and device.type == "cuda" else []
    of_python, of_numpy = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices):
        try:
            yield
        finally:
            random.setstate(of_python)
            np.random.set_state(of_numpy)


def permutation(seed: int, epoch: int, size: int) -> Tensor:
    """Return the order of `size` samples in an epoch, the same on every rank; int64 (size,), on the CPU."""
    generator = torch.Generator().manual_seed(derive(seed, "order", epoch))
    return torch.randperm(size, generator=generator)


def positions(key: int, first_row: int, rows: int, features: int, device: torch.device) -> Tensor:
    """Hash `key` with the positions of rows in a global batch; return int32 (rows, features).

    A position's hash is the same however the batch is sharded and on every kind of device.
    """
    row = torch.arange(first_row, first_row + rows, device=device, dtype=torch.int64)
    return hashed(key, row[:, None] * features + torch.arange(features, device=device, dtype=torch.int64))


def step_key(step: int) -> int:
    """Hash the number of a step; return a number that int32 holds."""
    return _signed(_mix(_mix(step & _WORD) ^ step >> 32))


def keep_mask(hashed: Tensor, key: Tensor, p: float) -> Tensor:
    """Return which elements survive dropout in a step; bool, shaped as the `hashed` positions.

    `key`, int32 (1,), is the step's; a captured graph reads it anew.
    """
    fate = mix(hashed ^ key)  # from -2^31 to 2^31 - 1
    return fate >= min(round(p * 2**32), _WORD) - 2**31


def hashed(key: int, numbers: Tensor) -> Tensor:
    """Hash `key` with int64 numbers from 0 on; return int32 of their shape.

    It is lowbias32 (C. Wellons, "Prospecting for hash functions", 2018), over the low and then the high word.
    """
    low, high = numbers & _WORD, numbers >> 32
    return mix(mix(_int32(low ^ (key & _WORD))) ^ _int32(high ^ (key >> 32)))


def _int32(x: Tensor) -> Tensor:
    """Reinterpret a word, from 0 to 2^32 - 1, as int32 with the same bits."""
    return (x - ((x >> 31) << 32)).to(torch.int32)


def _mix(x: int) -> int:
    """Hash a word, from 0 to 2^32 - 1, as `mix` does its int32."""
    x = (x ^ x >> 16) * _MULTIPLIERS[0] & _WORD
    x = (x ^ x >> 15) * _MULTIPLIERS[1] & _WORD
    return x ^ x >> 16


def _signed(x: int) -> int:
    return x - ((x >> 31) << 32)


def mix(x: Tensor) -> Tensor:
    """Hash int32; products wrap around."""
    x = (x >> 16).bitwise_and_(0xFFFF).bitwise_xor_(x).mul_(_MULTIPLIERS[0])
    x = (x >> 15).bitwise_and_(0x1FFFF).bitwise_xor_(x).mul_(_MULTIPLIERS[1])
    return (x >> 16).bitwise_and_(0xFFFF).bitwise_xor_(x)
