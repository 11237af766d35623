"""Process groups and the ranks of a run. Only this module and `key_value_store` use torch.distributed."""

from __future__ import annotations

import contextlib
import datetime
import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from harness import environment
from harness.errors import LostRankError
from harness.training import addresses, device_choice
from harness.training.device import compute_exactly
from harness.training.dynamo_stub import data_parallel
from harness.training.key_value_store import KeyValueStore, store_errors
from harness.training.rendezvous import start_number

# The first is its name from torch 2.14 on, which warns about the second.
_gather_into = getattr(dist, "all_gather_single", None) or dist.all_gather_into_tensor


@dataclass(frozen=True)
class ProcessGroup:
    """The ranks that train one trial together; at world size 1 all collectives are no-ops."""

    rank: int
    world_size: int
    device: torch.device
    group: dist.ProcessGroup | None = None

    @property
    def is_rank_zero(self) -> bool:
        """Tell whether this rank writes the trial's files."""
        return self.rank == 0

    def share(self, size: int) -> tuple[int, int]:
        """Return start and stop of this rank's share of `size` samples; shares differ by at most one."""
        return size * self.rank // self.world_size, size * (self.rank + 1) // self.world_size

    def sum_(self, tensor: Tensor) -> Tensor:
        """Sum the tensor over the ranks, in place."""
        if self.world_size > 1:
            dist.all_reduce(tensor, group=self.group)
        return tensor

    def gather(self, tensor: Tensor) -> Tensor:
        """Return every rank's tensor (n,) as one of (world_size, n), in the order of ranks."""
        if self.world_size == 1:
            return tensor[None]
        out = tensor.new_empty(self.world_size * len(tensor))
        _gather_into(out, tensor, group=self.group)
        return out.view(self.world_size, len(tensor))

    def any(self, found: bool) -> bool:
        """Tell whether `found` is true on any rank; uses gloo, in case the GPU's stream is broken."""
        return bool(self.sum_(torch.tensor(int(found))).item())

    def agree(self, values: list[int]) -> list[int]:
        """Return rank 0's values on every rank."""
        if self.world_size == 1:
            return values
        tensor = torch.tensor(values, device=self.device)
        dist.broadcast(tensor, 0, group=self.group)
        found: list[int] = tensor.tolist()
        return found

    def share_tensors(self, tensors: Sequence[Tensor]) -> None:
        """Give every rank rank 0's values, in place."""
        for tensor in tensors if self.world_size > 1 else ():
            dist.broadcast(tensor, 0, group=self.group)

    def share_bytes(self, content: bytes) -> bytes:
        """Return rank 0's bytes on every rank."""
        if self.world_size == 1:
            return content
        (size,) = self.agree([len(content)])
        if size == 0:
            return b""
        own = torch.frombuffer(bytearray(content), dtype=torch.uint8) if self.is_rank_zero else None
        tensor = (torch.empty(size, dtype=torch.uint8) if own is None else own).to(self.device)
        dist.broadcast(tensor, 0, group=self.group)
        return tensor.cpu().numpy().tobytes()

    def wait_for_stream(self) -> None:
        """Wait until this trial's own work is done; other trials on the device may go on."""
        if self.device.type == "cuda":
            torch.cuda.current_stream(self.device).synchronize()

    def wait_for_device(self) -> None:
        """Wait until all work on the device is done."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def wrap(self, model: nn.Module, *, find_unused_parameters: bool) -> nn.Module:
        """Return the model, wrapped in DDP on several ranks, which averages gradients over them."""
        if self.world_size == 1:
            return model
        # Running statistics are those of the global batch, equal on all ranks: nothing to broadcast.
        parameters = inspect.signature(nn.parallel.DistributedDataParallel).parameters
        newer = "forward_sync_buffers" in parameters
        synced: dict[str, Any] = {"forward_sync_buffers" if newer else "broadcast_buffers": False}
        wrapped = data_parallel(
            model,
            process_group=self.group,
            bucket_cap_mb=25,  # if given, it holds for the first bucket too, otherwise 1 MiB
            gradient_as_bucket_view=True,
            find_unused_parameters=find_unused_parameters,
            **synced,
        )
        # DDP's timing of some steps waits for events, which is impossible within a captured graph.
        wrapped._set_ddp_runtime_logging_sample_rate(2**31 - 1)  # type: ignore[no-untyped-call]
        return wrapped

    def without_exchange(self, model: nn.Module) -> contextlib.AbstractContextManager[None]:
        """Return a context in which a backward pass through the wrapped model exchanges no gradients."""
        is_wrapped = isinstance(model, nn.parallel.DistributedDataParallel)
        return model.no_sync() if is_wrapped else contextlib.nullcontext()  # type: ignore[operator]


def alone(device: torch.device) -> ProcessGroup:
    """Return the process group of one rank that trains a trial by itself."""
    return ProcessGroup(0, 1, device)


@contextlib.contextmanager
def fake_group(world_size: int) -> Iterator[dist.ProcessGroup]:
    """Yield the process group of this process as the first rank; the others do not exist.

    Its collectives return at once, with nothing in their tensors that means anything.
    """
    from torch.testing._internal.distributed.fake_pg import FakeStore

    dist.init_process_group("fake", rank=0, world_size=world_size, store=FakeStore())
    try:
        assert dist.group.WORLD is not None
        yield dist.group.WORLD
    finally:
        leave()


@dataclass(frozen=True)
class RunRanks(KeyValueStore):
    """All ranks of a run, seen from one of them.

    The keys of its store last until torchrun restarts the ranks; the keys of `run` outlive that. `start`
    holds the number of this start by torchrun, from 1, and that of the ranks' own restarts since. `no_gpu`
    says why there is no GPU, if that is worth a message.
    """

    rank: int
    local_rank: int
    world_size: int
    device: torch.device
    run: KeyValueStore
    start: list[int]
    no_gpu: str = ""

    @property
    def is_rank_zero(self) -> bool:
        """Tell whether this rank prints and writes what belongs to the whole run."""
        return self.rank == 0

    def together(self) -> ProcessGroup:
        """Return the process group of all ranks, for one trial."""
        return ProcessGroup(self.rank, self.world_size, self.device, dist.group.WORLD)

    def alone(self) -> ProcessGroup:
        """Return the process group of this rank only."""
        return alone(self.device)

    def first(self, count: int) -> ProcessGroup | None:
        """Return the process group of the first `count` ranks, None on others; all ranks must call this."""
        group = dist.new_group(list(range(count)))
        return (
            ProcessGroup(self.rank, count, self.device, group)
            if isinstance(group, dist.ProcessGroup)
            else None
        )


def run_store(env: Mapping[str, str], timeout_seconds: float) -> KeyValueStore:
    """Return the store that the ranks of a run share; what torchrun serves outlives their restarts."""
    addresses.check_meeting_point(env)
    with store_errors():
        store = dist.TCPStore(  # type: ignore[attr-defined]
            env["MASTER_ADDR"],
            int(env["MASTER_PORT"]),
            int(env["WORLD_SIZE"]),
            is_master=env["RANK"] == "0" and env.get("TORCHELASTIC_USE_AGENT_STORE") != "True",
            timeout=datetime.timedelta(seconds=timeout_seconds),
        )
    prefix = f"harness/{env.get('TORCHELASTIC_RUN_ID', '')}"
    return KeyValueStore(dist.PrefixStore(f"{prefix}/run", store))  # type: ignore[attr-defined]


def rendezvous(env: Mapping[str, str], requested: str | None, timeout_seconds: float) -> RunRanks:
    """Join the ranks that torchrun started, as its environment variables say, and agree on the devices."""
    rank, local_rank, world_size = (int(env[key]) for key in ("RANK", "LOCAL_RANK", "WORLD_SIZE"))
    run = run_store(env, timeout_seconds)
    addresses.tell(run, env)
    number = env.get(environment.START) or start_number(run, rank, world_size, timeout_seconds)
    addresses.check_own(run, env)  # all ranks have called `tell` by now
    # An agent's store outlives a worker: keys of an earlier start must not be read as this one's.
    prefix = f"harness/{env.get('TORCHELASTIC_RUN_ID', '')}/{number}"
    own = dist.PrefixStore(prefix, run.store.underlying_store)  # type: ignore[attr-defined]
    start = [int(number), int(env.get(environment.GENERATION, "0"))]
    shared, key = KeyValueStore(own), f"device/{start[1]}"
    device, no_gpu = device_choice.keep(run, shared, key, requested, env, timeout_seconds)
    return RunRanks(own, rank, local_rank, world_size, device, run, start, no_gpu)


def connect(run_ranks: RunRanks, timeout_seconds: float) -> None:
    """Initialise torch's default process group; raise LostRankError if not all ranks join."""
    if run_ranks.device.type == "cuda":
        torch.cuda.set_device(run_ranks.device)
        compute_exactly()
    generation = dist.PrefixStore(f"generation/{run_ranks.start[1]}", run_ranks.store)  # type: ignore[attr-defined]
    try:
        dist.init_process_group(
            "cpu:gloo,cuda:nccl" if run_ranks.device.type == "cuda" else "gloo",
            store=generation,
            rank=run_ranks.rank,
            world_size=run_ranks.world_size,
            timeout=datetime.timedelta(seconds=2 * timeout_seconds),  # the heartbeat gives up earlier
        )
    except dist.DistStoreError as error:
        raise LostRankError(
            f"not all {run_ranks.world_size} ranks came within {timeout_seconds:.0f} s: {error}"
        ) from None


def leave() -> None:
    """Destroy torch's default process group, if there is one."""
    if dist.is_initialized():
        dist.destroy_process_group()
