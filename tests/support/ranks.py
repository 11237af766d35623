"""Run a function in several ranks that meet over gloo, as torchrun's workers do."""

from __future__ import annotations

import pickle
import tempfile
import time
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
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
    deadline = time.monotonic() + 120
    with tempfile.TemporaryDirectory() as folder:
        ranks = [
            _started(rank, world_size, folder, function, arguments, device) for rank in range(world_size)
        ]
        answers = [_answer(reader, deadline) for _, reader in ranks]
        for process, _ in ranks:
            process.join(max(0.0, deadline - time.monotonic()))
            process.kill()
            process.join()
    found = [each for each in answers if each]
    errors = [text for kind, text in found if kind == "error"]
    assert len(found) == world_size, f"{world_size - len(found)} ranks did not answer: {errors}"
    assert not errors, errors[0]
    return [answer for _, answer in found]


def _started(rank: int, *arguments: Any) -> tuple[ForkServerProcess, Connection]:
    reader, writer = context().Pipe(duplex=False)
    process = context().Process(target=_rank, args=(rank, writer, *arguments))
    process.start()
    writer.close()
    return process, reader


def _answer(reader: Connection, deadline: float) -> tuple[str, Any] | None:
    """Return a rank's answer or error; None if it ends, or the time does, without one."""
    with reader:
        try:
            if reader.poll(max(0.0, deadline - time.monotonic())):
                answer: tuple[str, Any] = pickle.loads(reader.recv_bytes())
                return answer
        except EOFError:
            pass
        return None


def _rank(
    rank: int,
    writer: Connection,
    world_size: int,
    folder: str,
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
        world = ProcessGroup(rank, world_size, torch.device(device), group)
        answer = pickle.dumps(("answer", function(world, *arguments)))  # tensors whole, not as shared memory
    except Exception:
        answer = pickle.dumps(("error", traceback.format_exc()))
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()
    writer.send_bytes(answer)


def ranks_of_run(world_size: int) -> list[RunRanks]:
    """Return the ranks of a run that all are in this process."""
    store = dist.HashStore()  # type: ignore[attr-defined]
    return [
        RunRanks(store, rank, rank, world_size, CPU, KeyValueStore(store), [1, 0])
        for rank in range(world_size)
    ]
