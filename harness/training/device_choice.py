"""Choice of the ranks' devices: all agree on GPUs, or all on the CPU."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch

from harness.errors import LostRankError, UsageError
from harness.training import gpus

_POLL_SECONDS = 0.02


class SharedStore(Protocol):
    """Interface of the key-value store that ranks share."""

    def set(self, key: str, text: str) -> None:
        """Set a key, visible to all ranks."""

    def get(self, key: str) -> str | None:
        """Return a key's text, or None if it is not set."""


@dataclass(frozen=True)
class Candidate:
    """A rank's GPU, if it has one; `fault` is what is wrong with it, or why there is none."""

    rank: int
    has_gpu: bool
    fault: str

    @classmethod
    def of(cls, env: Mapping[str, str]) -> Candidate:
        """Test the GPU of this torchrun worker."""
        rank, local_rank, ranks = (int(env[key]) for key in ("RANK", "LOCAL_RANK", "LOCAL_WORLD_SIZE"))
        number, reason = gpus.count(env)
        if local_rank < number:
            return cls(rank, True, gpus.fault_of(torch.device("cuda", local_rank)))
        return cls(rank, False, too_many(number, ranks) if number else reason)

    @property
    def works(self) -> bool:
        """Tell whether there is a GPU that computes."""
        return self.has_gpu and not self.fault


def keep(
    run: SharedStore,
    store: SharedStore,
    key: str,
    requested: str | None,
    env: Mapping[str, str],
    timeout_seconds: float,
) -> tuple[torch.device, str]:
    """Return this rank's device as `agree` does, of the kind on which the run began.

    Raise LostRankError if the run began on GPUs and one fails now: it may work once all ranks restart.
    """
    begun_on = run.get("device")
    if begun_on == "cpu":  # even if a GPU works by now
        requested = "cpu"
    try:
        device, why = agree(store, key, requested, env, timeout_seconds)
    except UsageError as error:
        if begun_on is None:
            raise
        raise LostRankError(f"this run began on GPUs, and not all can be used now: {error}") from None
    if begun_on is None:
        run.set("device", device.type)
    elif begun_on != device.type:
        raise LostRankError(f"this run began on GPUs, and none can be used now: {why}")
    return device, why


def agree(
    store: SharedStore, key: str, requested: str | None, env: Mapping[str, str], timeout_seconds: float
) -> tuple[torch.device, str]:
    """Return this rank's device, and why it is not a GPU if that is worth a message.

    Raise UsageError if only some ranks could have a GPU, LostRankError if not all report in time.
    """
    if requested == "cpu":
        gpus.have_torch_warn_unheard()
        return torch.device("cpu"), ""
    own = Candidate.of(env)
    store.set(f"{key}/{own.rank}", json.dumps(vars(own)))
    deadline = time.monotonic() + timeout_seconds
    found: list[Candidate] = []
    while len(found) < int(env["WORLD_SIZE"]):
        if text := store.get(f"{key}/{len(found)}"):
            found.append(Candidate(**json.loads(text)))
        elif time.monotonic() > deadline:
            raise LostRankError(f"rank {len(found)} did not come within {timeout_seconds:.0f} s")
        else:
            time.sleep(_POLL_SECONDS)
    is_gpu, why = choose(found, requested, env)
    if is_gpu:
        return torch.device("cuda", int(env["LOCAL_RANK"])), ""
    gpus.have_torch_warn_unheard()
    return torch.device("cpu"), why


def choose(
    candidates: Sequence[Candidate], requested: str | None, env: Mapping[str, str]
) -> tuple[bool, str]:
    """Tell whether all ranks compute on GPUs, and why not, if known; raise UsageError if only some could."""
    without = [each for each in candidates if not each.works]
    if not without:
        return True, ""
    first = next((each for each in without if each.fault), without[0])
    if len(without) < len(candidates):
        if not first.has_gpu and first.fault:
            raise UsageError(f"rank {first.rank}: {first.fault}")
        found = (
            f"its GPU cannot be used: {first.fault}" if first.fault else "found no GPU, and others have one"
        )
        raise UsageError(
            f"rank {first.rank}: {found}; leave it out of CUDA_VISIBLE_DEVICES and start one rank fewer, "
            "or use --device cpu"
        )
    if requested == "cuda":
        raise UsageError(no_gpu(first.fault or gpus.why_none(env)))
    return False, first.fault


def too_many(found: int, ranks: int, why: str = "") -> str:
    """Return the message that there are more ranks than working GPUs."""
    reason = f" ({why})" if why else ""
    return (
        f"found {found} GPU{'s' * (found > 1)} for {ranks} ranks here{reason}, expected one each; "
        f"start {found} or fewer, or use --device cpu"
    )


def no_gpu(why: str) -> str:
    """Return the message that a GPU was requested and none works."""
    return f"--device cuda: found no GPU that torch can use: {why}; use --device cpu"


def on_cpu(why: str) -> str:
    """Return the message that no GPU is used; empty if no user can have expected one."""
    return f"no GPU is used, this runs on the CPU: {why}" if why else ""
