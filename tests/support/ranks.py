"""Run a function in several ranks that meet over gloo, as torchrun's workers do."""

from __future__ import annotations

import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from harness.training.distributed import ProcessGroup, RunRanks
from harness.training.key_value_store import KeyValueStore
from tests.support.forks import context

CPU = torch.device("cpu")
ALONE = ProcessGroup(0, 1, CPU)


def run_ranks(
    world_size: int, function: Callable[..., Any], *arguments: Any, device: str = "cpu"
) -> list[Any]:
    """Call `function(world, *arguments)` in so many ranks; return what they returned, by rank."""
    with tempfile.TemporaryDirectory() as folder, context().Manager() as manager:
        answers = manager.dict()
        processes = [
            context().Process(
                target=_rank, args=(rank, world_size, folder, answers, function, arguments, device)
            )
            for rank in range(world_size)
        ]
        for process in processes:
            process.start()
        for process in processes:
            process.join(120)
            process.kill()
        found = dict(answers)
    errors = [text for kind, text in found.values() if kind == "error"]
    assert len(found) == world_size, f"{world_size - len(found)} ranks did not answer: {errors}"
    assert not errors, errors[0]
    return [found[rank][1] for rank in range(world_size)]


def _rank(
    rank: int,
    world_size: int,
    folder: str,
    answers: Any,
    function: Callable[..., Any],
    arguments: Any,
    device: str,
) -> None:
    try:
        group = None
        if world_size > 1:
            store = f"file://{Path(folder) / 'store'}"
            dist.init_process_group("gloo", init_method=store, rank=rank, world_size=world_size)
            group = dist.group.WORLD
        answers[rank] = (
            "answer",
            function(ProcessGroup(rank, world_size, torch.device(device), group), *arguments),
        )
    except Exception:
        answers[rank] = ("error", traceback.format_exc())
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()


def ranks_of_run(world_size: int) -> list[RunRanks]:
    """Return the ranks of a run that all are in this process."""
    store = dist.HashStore()  # type: ignore[attr-defined]
    return [
        RunRanks(store, rank, rank, world_size, CPU, KeyValueStore(store), [1, 0])
        for rank in range(world_size)
    ]
