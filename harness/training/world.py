"""The ranks: who trains a trial together, and what they tell each other. Alone in using torch.distributed."""

from __future__ import annotations

import contextlib
import datetime
import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from harness.errors import LostRankError, UsageError


@dataclass(frozen=True)
class World:
    """The ranks that train one trial together; at world size 1 every exchange is a no-op."""

    rank: int
    world_size: int
    device: torch.device
    group: dist.ProcessGroup | None = None

    @property
    def owns(self) -> bool:
        """Tell whether this rank writes the trial's files."""
        return self.rank == 0

    def share(self, size: int) -> tuple[int, int]:
        """Return the bounds of this rank's share of `size` samples; shares differ by one at most."""
        return size * self.rank // self.world_size, size * (self.rank + 1) // self.world_size

    def sum_(self, tensor: Tensor) -> Tensor:
        """Add the tensor up over the ranks, in place."""
        if self.world_size > 1:
            dist.all_reduce(tensor, group=self.group)
        return tensor

    def gather(self, tensor: Tensor) -> Tensor:
        """Return every rank's tensor (n,) as one of (world_size, n), in the order of ranks."""
        if self.world_size == 1:
            return tensor[None]
        out = [torch.empty_like(tensor) for _ in range(self.world_size)]
        dist.all_gather(out, tensor, group=self.group)
        return torch.stack(out)

    def wait_for_device(self) -> None:
        """Wait until the device has done all that it was given."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def wrap(self, model: nn.Module, *, find_unused_parameters: bool) -> nn.Module:
        """Return the model as one whose gradients are averaged over the ranks."""
        if self.world_size == 1:
            return model
        # Running statistics are those of the global batch, equal on all ranks: nothing to broadcast.
        parameters = inspect.signature(nn.parallel.DistributedDataParallel).parameters
        newer = "forward_sync_buffers" in parameters
        synced: dict[str, Any] = {"forward_sync_buffers" if newer else "broadcast_buffers": False}
        wrapped = nn.parallel.DistributedDataParallel(
            model,
            process_group=self.group,
            gradient_as_bucket_view=True,
            find_unused_parameters=find_unused_parameters,
            **synced,
        )
        # Its timing of some steps waits for events, which cannot be within a captured graph.
        wrapped._set_ddp_runtime_logging_sample_rate(2**31 - 1)  # type: ignore[no-untyped-call]
        return wrapped


def alone(device: torch.device) -> World:
    """Return the world of a rank that trains a trial by itself."""
    return World(0, 1, device)


@contextlib.contextmanager
def _store_errors() -> Iterator[None]:
    try:
        yield
    except dist.DistError:
        raise LostRankError("torchrun is gone: its store does not answer any more") from None


@dataclass(frozen=True)
class Fleet:
    """All the ranks of a run, and the key-value store they share; nothing here waits in a collective.

    Exchanges raise LostRankError once the store, and with it torchrun, is gone.
    """

    rank: int
    local_rank: int
    world_size: int
    device: torch.device
    store: dist.Store  # type: ignore[name-defined]

    @property
    def speaks(self) -> bool:
        """Tell whether this rank prints and writes what belongs to the whole run."""
        return self.rank == 0

    def together(self) -> World:
        """Return the world of all ranks, for one trial."""
        return World(self.rank, self.world_size, self.device, dist.group.WORLD)

    def alone(self) -> World:
        """Return the world of this rank only."""
        return alone(self.device)

    def first(self, count: int) -> World | None:
        """Return the world of so many ranks, None on the others; all ranks must ask for it."""
        group = dist.new_group(list(range(count)))
        return World(self.rank, count, self.device, group) if isinstance(group, dist.ProcessGroup) else None

    def put(self, key: str, text: str) -> None:
        """Set a key for all to see."""
        with _store_errors():
            self.store.set(key, text)

    def look(self, key: str) -> str | None:
        """Return a key's text, or None where nobody has set it; never waits."""
        with _store_errors():
            return self.store.get(key).decode() if self.store.check([key]) else None

    def count(self, key: str, amount: int = 1) -> int:
        """Add to a counter and return what it is now."""
        with _store_errors():
            return int(self.store.add(key, amount))


def pick_device(requested: str | None, local_rank: int, local_world_size: int) -> torch.device:
    """Return this rank's device; raise UsageError where there are more ranks than GPUs."""
    gpus = torch.cuda.device_count() if requested != "cpu" else 0
    if requested == "cuda" and gpus == 0:
        raise UsageError("--device cuda: found no GPU that torch can use; use --device cpu")
    if gpus == 0:
        return torch.device("cpu")
    if local_world_size > gpus:
        raise UsageError(
            f"found {gpus} GPU{'s' * (gpus > 1)} for {local_world_size} ranks here, expected one each; "
            f"start {gpus} or fewer, or use --device cpu"
        )
    return torch.device("cuda", local_rank)


def join(env: Mapping[str, str], requested: str | None, timeout_seconds: float) -> Fleet:
    """Meet the other ranks that torchrun started, as its environment variables say."""
    rank, local_rank, world_size = (int(env[key]) for key in ("RANK", "LOCAL_RANK", "WORLD_SIZE"))
    device = pick_device(requested, local_rank, int(env["LOCAL_WORLD_SIZE"]))
    if device.type == "cuda":
        torch.cuda.set_device(device)
        _compute_exactly()
    # An agent's store outlives a worker: keys of an earlier start must not be read as this one's.
    start = f"{env.get('TORCHELASTIC_RUN_ID', '')}/{env.get('TORCHELASTIC_RESTART_COUNT', '0')}"
    patience = datetime.timedelta(seconds=timeout_seconds)
    store = dist.TCPStore(  # type: ignore[attr-defined]
        env["MASTER_ADDR"],
        int(env["MASTER_PORT"]),
        world_size,
        is_master=rank == 0 and env.get("TORCHELASTIC_USE_AGENT_STORE") != "True",
        timeout=patience,
    )
    own = dist.PrefixStore(f"harness/{start}", store)  # type: ignore[attr-defined]
    generation = dist.PrefixStore(  # type: ignore[attr-defined]
        f"generation/{env.get('HARNESS_GENERATION', '0')}", own
    )
    try:
        dist.init_process_group(
            "nccl" if device.type == "cuda" else "gloo",
            store=generation,
            rank=rank,
            world_size=world_size,
            timeout=patience * 2,  # the pulse gives up first, and says more
        )
    except dist.DistStoreError as error:
        raise LostRankError(
            f"not all {world_size} ranks came within {timeout_seconds:.0f} s: {error}"
        ) from None
    return Fleet(rank, local_rank, world_size, device, own)


def _compute_exactly() -> None:
    """Have a GPU give the same bits each time, and fp32 mean fp32; torch warns where it has no such way."""
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False


def leave() -> None:
    """Part from the other ranks."""
    if dist.is_initialized():
        dist.destroy_process_group()
