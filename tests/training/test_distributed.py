"""Shares of ranks, and what they exchange."""

from __future__ import annotations

import pytest
import torch
import torch.distributed as dist

from harness.errors import LostRankError
from harness.training import device_choice, gpus
from harness.training.distributed import ProcessGroup, rendezvous


@pytest.mark.parametrize(("size", "ranks"), [(96, 5), (3, 8), (0, 2), (128, 4), (1, 1)])
def test_shares_are_whole_in_order_and_differ_by_one_at_most(size: int, ranks: int) -> None:
    shares = [ProcessGroup(rank, ranks, torch.device("cpu")).share(size) for rank in range(ranks)]
    assert [row for start, stop in shares for row in range(start, stop)] == list(range(size))
    sizes = [stop - start for start, stop in shares]
    assert max(sizes) - min(sizes) <= 1


def test_a_world_of_one_exchanges_nothing() -> None:
    world, value = ProcessGroup(0, 1, torch.device("cpu")), torch.ones(2)
    assert world.sum_(value) is value
    assert world.gather(value).shape == (1, 2)
    model = torch.nn.Linear(1, 1)
    assert world.wrap(model, find_unused_parameters=False) is model


def test_a_run_that_began_on_gpus_does_not_go_on_without(monkeypatch: pytest.MonkeyPatch) -> None:
    store = dist.TCPStore("localhost", 0, is_master=True)  # type: ignore[attr-defined]
    env = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "LOCAL_WORLD_SIZE": "1"}
    env |= {
        "MASTER_ADDR": "localhost",
        "MASTER_PORT": str(store.port),
        "TORCHELASTIC_USE_AGENT_STORE": "True",
    }
    chosen = iter(
        [(torch.device("cuda"), ""), (torch.device("cuda"), ""), (torch.device("cpu"), "it is lost")]
    )
    monkeypatch.setattr(device_choice, "agree", lambda *_: next(chosen))
    for start in ("1", "2"):
        assert rendezvous(env | {"HARNESS_START": start}, None, 60).device.type == "cuda"
    with pytest.raises(LostRankError, match="began on GPUs, and none can be used now: it is lost"):
        rendezvous(env | {"HARNESS_START": "3"}, None, 60)


def test_a_run_that_began_on_the_cpu_stays_there(monkeypatch: pytest.MonkeyPatch) -> None:
    store = dist.TCPStore("localhost", 0, is_master=True)  # type: ignore[attr-defined]
    env = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "LOCAL_WORLD_SIZE": "1"}
    env |= {"MASTER_ADDR": "localhost", "MASTER_PORT": str(store.port)}
    env |= {"TORCHELASTIC_USE_AGENT_STORE": "True"}
    faults = iter(["in use by another process", ""])
    monkeypatch.setattr(gpus, "count", lambda env: (1, ""))
    monkeypatch.setattr(gpus, "fault_of", lambda device: next(faults))
    for start in ("1", "2"):
        assert rendezvous(env | {"HARNESS_START": start}, None, 60).device.type == "cpu"
