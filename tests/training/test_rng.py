"""Random streams: fixed for ever, apart from each other, and the same however a batch is cut."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from harness.training.rng import (
    derive,
    keep_mask,
    kept_random_states,
    permutation,
    positions,
    seed_globally,
    step_key,
)

CPU = torch.device("cpu")


def test_streams_are_fixed_for_ever() -> None:
    assert derive(1, "init") == 7834928687991145425
    assert mask(derive(1, "dropout", "layer", 0), 0, 2, 8).int().tolist() == [
        [1, 1, 0, 1, 0, 0, 0, 0],
        [1, 0, 0, 0, 1, 1, 1, 0],
    ]


def test_the_hash_is_lowbias32_over_position_and_step() -> None:
    key, step = derive(1, "dropout", "layer", 0), 2**33 + 5
    position = np.arange(21, 56, dtype=np.uint64).reshape(5, 7)
    hashed = lowbias32(lowbias32(position ^ np.uint64(key & 0xFFFFFFFF)) ^ np.uint64(key >> 32))
    assert np.array_equal(positions(key, 3, 5, 7, CPU).numpy().view(np.uint32), hashed)
    of_step = lowbias32(lowbias32(np.uint64(step & 0xFFFFFFFF)) ^ np.uint64(step >> 32))
    fate = lowbias32(hashed ^ of_step).astype(np.uint32).view(np.int32)
    for p in (0.1, 0.5, 0.9):
        assert np.array_equal(mask(key, 3, 5, 7, p, step).numpy(), fate >= round(p * 2**32) - 2**31)


def lowbias32(x: Any) -> Any:
    """Hash as published, in unsigned words."""
    x = ((x ^ (x >> np.uint64(16))) * np.uint64(0x7FEB352D)) & np.uint64(0xFFFFFFFF)
    x = ((x ^ (x >> np.uint64(15))) * np.uint64(0x846CA68B)) & np.uint64(0xFFFFFFFF)
    return x ^ (x >> np.uint64(16))


def mask(key: int, first_row: int, rows: int, features: int, p: float = 0.5, step: int = 0) -> Tensor:
    """Return the mask of some rows in a step."""
    return keep_mask(positions(key, first_row, rows, features, CPU), torch.tensor(step_key(step)), p)


@pytest.mark.parametrize("is_available", [False, True])
def test_the_global_seed_is_torchs_own_on_cpu_and_gpus(
    is_available: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_gpus: list[int] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: is_available)
    monkeypatch.setattr(torch.cuda, "manual_seed_all", of_gpus.append)
    with kept_random_states():
        seed_globally(5)
        found = torch.rand(3)
    with torch.random.fork_rng([]):
        torch.default_generator.manual_seed(5)
        assert torch.equal(found, torch.rand(3))
    assert of_gpus == [5] * is_available


def test_purposes_counters_and_seeds_are_other_streams() -> None:
    streams = {derive(1, "init"), derive(2, "init"), derive(1, "order", 1), derive(1, "order", 2)}
    streams |= {derive(1, "order", 12), derive(11, "order", 2), derive(1, "order:1", 2)}
    assert len(streams) >= 6


def test_an_order_visits_every_sample_once_and_changes_with_the_epoch() -> None:
    first, second = permutation(3, 1, 1000), permutation(3, 2, 1000)
    assert sorted(first.tolist()) == list(range(1000))
    assert first.tolist() != second.tolist()


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_masks_keep_the_right_share_and_are_independent(p: float) -> None:
    rows, features = 1000, 400
    masks = [mask(derive(1, "dropout", "a", 0), 0, rows, features, p, step) for step in (0, 1)]
    error = (p * (1 - p) / (rows * features)) ** 0.5
    kept = [mask.double() for mask in masks]
    for each in kept:
        assert abs(each.mean() - (1 - p)) < 5 * error
        assert (each.mean(0) - (1 - p)).abs().max() < 5 * (p * (1 - p) / rows) ** 0.5
        assert (each.mean(1) - (1 - p)).abs().max() < 5 * (p * (1 - p) / features) ** 0.5
    both = (kept[0] * kept[1]).mean()
    assert abs(both - (1 - p) ** 2) < 5 * error


def test_a_mask_does_not_depend_on_the_cut() -> None:
    whole = mask(99, 0, 10, 7)
    parts = [mask(99, first, rows, 7) for first, rows in ((0, 3), (3, 0), (3, 7))]
    assert torch.equal(whole, torch.cat(parts))


def test_positions_beyond_32_bits_are_other_positions() -> None:
    features = 2**20
    low, high = (mask(5, row, 1, features) for row in (0, 2**12))
    assert not torch.equal(low, high)
