"""Which devices the ranks compute on."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
import torch

from harness.errors import LostRankError, UsageError
from harness.training import gpus
from harness.training.device_choice import Candidate, agree, choose, keep

ENV = {"RANK": "1", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2", "WORLD_SIZE": "2"}
BROKEN = "CUDA error: no kernel image is available for execution on the device"


def ranks(*faults: str | None) -> list[Candidate]:
    """Make up ranks with these faults of their GPUs; None for a rank without one."""
    return [Candidate(rank, fault is not None, fault or "") for rank, fault in enumerate(faults)]


@pytest.mark.parametrize(
    ("faults", "requested", "expected"),
    [
        (["", ""], None, (True, "")),
        (["", ""], "cuda", (True, "")),
        ([None, None], None, (False, "")),
        ([BROKEN, BROKEN], None, (False, BROKEN)),
        ([None, BROKEN], None, (False, BROKEN)),
    ],
)
def test_all_compute_on_gpus_or_none(
    faults: Sequence[str | None], requested: str | None, expected: tuple[bool, str]
) -> None:
    assert choose(ranks(*faults), requested, {}) == expected


@pytest.mark.parametrize(
    ("faults", "requested", "message"),
    [
        (["", BROKEN], None, f"rank 1: its GPU cannot be used: {BROKEN}; .* use --device cpu"),
        (["", BROKEN], "cuda", f"rank 1: its GPU cannot be used: {BROKEN}"),
        (["", None], None, "rank 1: found no GPU, and others have one; .* use --device cpu"),
        ([BROKEN], "cuda", f"--device cuda: found no GPU that torch can use: {BROKEN}; use --device cpu"),
        ([None], "cuda", "found no GPU that torch can use: CUDA_VISIBLE_DEVICES is ''; use --device cpu"),
    ],
)
def test_gpus_of_some_ranks_only_are_refused_with_the_reason(
    faults: Sequence[str | None], requested: str | None, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        choose(ranks(*faults), requested, {"CUDA_VISIBLE_DEVICES": ""})


class Told:
    """What the other ranks have told."""

    def __init__(self, *others: Candidate) -> None:
        self.keys = {f"device/{each.rank}": json.dumps(vars(each)) for each in others}

    def set(self, key: str, text: str) -> None:
        self.keys[key] = text

    def get(self, key: str) -> str | None:
        return self.keys.get(key)


@pytest.mark.parametrize(
    ("counted", "fault", "expected"), [(2, "", "cuda:1"), (0, "", "cpu"), (2, BROKEN, "cpu")]
)
def test_a_rank_tries_its_own_gpu_and_hears_of_the_others(
    counted: int, fault: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[torch.device] = []
    monkeypatch.setattr(gpus, "count", lambda env: (counted, ""))

    def fault_of(device: torch.device) -> str:
        tried.append(device)
        return fault

    monkeypatch.setattr(gpus, "fault_of", fault_of)
    other = Candidate(0, counted > 0, fault)
    assert str(agree(Told(other), "device", None, ENV, 60)[0]) == expected
    assert tried == [torch.device("cuda", 1)] * (counted > 0)


def test_a_rank_that_is_to_compute_on_the_cpu_asks_nobody() -> None:
    assert agree(Told(), "device", "cpu", ENV, 0) == (torch.device("cpu"), "")


def test_more_ranks_than_gpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpus, "count", lambda env: (1, ""))
    with pytest.raises(UsageError, match="found 1 GPU for 2 ranks here, expected one each; start 1 or fewer"):
        agree(Told(Candidate(0, True, "")), "device", None, ENV, 60)


@pytest.mark.parametrize(
    ("fault", "message"),
    [(BROKEN, f"none can be used now: {BROKEN}"), ("", f"not all can be used now: rank 1: .* {BROKEN}")],
)
def test_a_run_that_began_on_gpus_is_started_again_where_one_fails(
    fault: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpus, "count", lambda env: (2, ""))
    run, faults = Told(), iter(["", BROKEN])
    monkeypatch.setattr(gpus, "fault_of", lambda device: next(faults))
    assert keep(run, Told(Candidate(0, True, "")), "device", None, ENV, 60)[0].type == "cuda"
    with pytest.raises(LostRankError, match=f"this run began on GPUs, and {message}"):
        keep(run, Told(Candidate(0, True, fault)), "device", None, ENV, 60)


def test_a_rank_that_does_not_come_is_not_waited_for_longer_than_it_may_take() -> None:
    with pytest.raises(LostRankError, match="rank 0 did not come within 0 s"):
        agree(Told(), "device", None, ENV, 0)
