"""Shares of ranks, and what they exchange."""

from __future__ import annotations

import pytest
import torch

from harness.training.world import World


@pytest.mark.parametrize(("size", "ranks"), [(96, 5), (3, 8), (0, 2), (128, 4), (1, 1)])
def test_shares_are_whole_in_order_and_differ_by_one_at_most(size: int, ranks: int) -> None:
    shares = [World(rank, ranks, torch.device("cpu")).share(size) for rank in range(ranks)]
    assert [row for start, stop in shares for row in range(start, stop)] == list(range(size))
    sizes = [stop - start for start, stop in shares]
    assert max(sizes) - min(sizes) <= 1


def test_a_world_of_one_exchanges_nothing() -> None:
    world, value = World(0, 1, torch.device("cpu")), torch.ones(2)
    assert world.sum_(value) is value
    assert world.gather(value).shape == (1, 2)
    model = torch.nn.Linear(1, 1)
    assert world.wrap(model, find_unused_parameters=False) is model
