"""Random streams: fixed for ever, apart from each other, and the same however a batch is cut."""

from __future__ import annotations

import pytest
import torch

from harness.training.randomness import derive, keep_mask, permutation

CPU = torch.device("cpu")


def test_streams_are_fixed_for_ever() -> None:
    assert derive(1, "init") == 7834928687991145425
    mask = keep_mask(derive(1, "dropout", 0, "layer", 0), 0, 2, 8, 0.5, CPU)
    assert mask.int().tolist() == [[1, 1, 0, 1, 1, 0, 0, 0], [0, 0, 0, 0, 1, 1, 1, 0]]


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
    masks = [keep_mask(derive(1, "dropout", step, "a", 0), 0, rows, features, p, CPU) for step in (0, 1)]
    error = (p * (1 - p) / (rows * features)) ** 0.5
    kept = [mask.double() for mask in masks]
    for mask in kept:
        assert abs(mask.mean() - (1 - p)) < 5 * error
        assert (mask.mean(0) - (1 - p)).abs().max() < 5 * (p * (1 - p) / rows) ** 0.5
        assert (mask.mean(1) - (1 - p)).abs().max() < 5 * (p * (1 - p) / features) ** 0.5
    both = (kept[0] * kept[1]).mean()
    assert abs(both - (1 - p) ** 2) < 5 * error


def test_a_mask_does_not_depend_on_the_cut() -> None:
    whole = keep_mask(99, 0, 10, 7, 0.5, CPU)
    parts = [keep_mask(99, first, rows, 7, 0.5, CPU) for first, rows in ((0, 3), (3, 0), (3, 7))]
    assert torch.equal(whole, torch.cat(parts))


def test_positions_beyond_32_bits_are_other_positions() -> None:
    features = 2**20
    low, high = (keep_mask(5, row, 1, features, 0.5, CPU) for row in (0, 2**12))
    assert not torch.equal(low, high)
