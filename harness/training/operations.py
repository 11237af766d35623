"""What a training step asks of a device: operations, bytes, FLOPs and collectives, counted on the CPU."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from harness.config.suite import Trial
from harness.strict import Strict
from harness.training import rng
from harness.training.cost import Operations
from harness.training.dataloader import ResidentDataset
from harness.training.distributed import ProcessGroup, alone, fake_group
from harness.training.prepared_trial import prepare

RANKS = 2

_CPU = torch.device("cpu")
_aten = torch.ops.aten
# They allocate, or work on the host: an epoch's order is drawn there on every kind of device.
_NO_WORK = {"empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided", "randperm"}
_CASTS = {"_to_copy", "copy_", "_foreach_copy_"}
_OVERWRITES = {"copy_", "fill_", "zero_", "_foreach_copy_", "_foreach_zero_"}
# Of their first tensor only the rows that they look up or replace are touched.
_LOOKUPS = {"index_select", "index", "gather", "embedding", "take"}
_REPLACEMENTS = {"index_copy_", "index_put_", "_index_put_impl_", "scatter_"}
# Formulas for the attention that the CPU chooses: that of a GPU's kernel of the same arguments.
_ATTENTION = {
    f"_scaled_dot_product_flash_attention_for_cpu{part}": f"_scaled_dot_product_flash_attention{part}"
    for part in ("", "_backward")
}


class StepCount(Strict):
    """Counts of one training step.

    `hashing` and `casting` operations are among `operations`. Collectives, and the bytes that a rank gives
    to them, are those of a step on two ranks.
    """

    operations: int
    hashing: int
    casting: int
    bytes: int
    flops: int
    collectives: int
    exchanged_bytes: int


def count_step(trial: Trial, data: ResidentDataset) -> StepCount:
    """Count one step of the trial on a full batch; the data are on the CPU."""
    one = _counted(trial, data, alone(_CPU))
    with fake_group(RANKS) as group:
        several = _counted(_of_few_rows(trial), data, _FirstRank(0, RANKS, _CPU, group))
    return StepCount(
        operations=one.operations,
        hashing=one.hashing,
        casting=one.casting,
        bytes=one.bytes,
        flops=one.total,
        collectives=several.collectives,
        exchanged_bytes=several.exchanged_bytes,
    )


def _of_few_rows(trial: Trial) -> Trial:
    """Return the trial with a small batch: what ranks exchange does not depend on its size."""
    training = trial.settings.training
    rows = min(training.batch_size, 4 * RANKS * training.accumulate)
    changed = {"training": training.model_copy(update={"batch_size": rows})}
    return replace(trial, settings=trial.settings.model_copy(update=changed))


def _counted(trial: Trial, data: ResidentDataset, world: ProcessGroup) -> StepOperations:
    prepared = prepare(trial, data, world, "eager")
    step, batch_size = prepared.step, min(trial.settings.training.batch_size, len(data.train))
    step.model.train()
    first, second = (
        data.train.train_shares(trial.seed, epoch, batch_size, world, whole=step.needs_whole_batches)
        for epoch in (1, 2)
    )
    prepared.engine.train(next(first))  # which creates the optimizer's state
    operations = StepOperations()
    with operations:
        prepared.engine.train(next(second))
    return operations


@dataclass(frozen=True)
class _FirstRank(ProcessGroup):
    """The first of several ranks, the others of which are not there."""

    def wrap(self, model: nn.Module, *, find_unused_parameters: bool) -> nn.Module:
        """Wrap the model in DDP with an exchange of its own, as DDP's waits for an answer."""
        wrapped = super().wrap(model, find_unused_parameters=find_unused_parameters)
        hook = lambda _, bucket: _answered(self.sum_(bucket.buffer()))  # noqa: E731 (DDP reads annotations)
        wrapped.register_comm_hook(None, hook)  # type: ignore[operator]
        return wrapped


def _answered(tensor: Tensor) -> torch.futures.Future[Tensor]:
    answer: torch.futures.Future[Tensor] = torch.futures.Future()
    answer.set_result(tensor)
    return answer


class StepOperations(Operations):  # type: ignore[no-untyped-call]
    """Counts operations that compute or copy something; views and allocations do neither."""

    def __init__(self) -> None:
        super().__init__()
        pairs = ((getattr(_aten, ours), getattr(_aten, like)) for ours, like in _ATTENTION.items())
        self.formulas = {**self.formulas, **{ours: self.formulas[like] for ours, like in pairs}}
        self.operations, self.hashing, self.casting, self.bytes = 0, 0, 0, 0
        self.collectives, self.exchanged_bytes = 0, 0

    def __torch_dispatch__(
        self, operation: Any, types: Any, arguments: Any = (), named: Any = None
    ) -> Any:  # torch's own signature
        out = super().__torch_dispatch__(operation, types, arguments, named)
        names = (each.name for each in operation._schema.arguments)
        given = {**dict(zip(names, arguments, strict=False)), **(named or {})}
        if operation.namespace == "c10d":
            self.collectives += 1
            self.exchanged_bytes += _bytes(_tensors(given.get("input_tensor", arguments[0])))
        else:
            self._add(operation, given, out)
        return out

    def _add(self, operation: Any, given: dict[str, Any], out: Any) -> None:
        name = operation._schema.name.rpartition("::")[2]
        # Torch's fused optimizers change gradients only by a scale, which is never given.
        changes = {each.name for each in operation._schema.arguments if _is_changed(each)} - {"grads"}
        changed = [each for key in changes for each in _tensors(given.get(key))]
        known = [each for value in given.values() for each in _tensors(value)]
        storages = {each.untyped_storage()._cdata for each in known}
        new = [each for each in _tensors(out) if each.untyped_storage()._cdata not in storages]
        if name in _NO_WORK or (not changed and not new):
            return
        self.operations += 1
        if _is_hashing():
            self.hashing += 1
        elif name in _CASTS and len({each.dtype for each in (*known, *new)}) > 1:
            self.casting += 1
        read, written = known, [*changed, *new]
        if name in _LOOKUPS:
            read = [*new, *known[1:]]
        elif name in _REPLACEMENTS:
            read, written = known[1:], known[-1:]
        elif name in _OVERWRITES:
            read = [each for key, value in given.items() if key not in changes for each in _tensors(value)]
        self.bytes += _bytes(read) + _bytes(written)


def _is_changed(argument: Any) -> bool:
    return argument.alias_info is not None and argument.alias_info.is_write


def _is_hashing() -> bool:
    """Tell whether a function of `rng`, which hashes dropout masks and draws, is being called."""
    frame = sys._getframe(1)
    while frame.f_globals is not vars(rng):
        if frame.f_back is None:
            return False
        frame = frame.f_back
    return True


def _tensors(value: Any) -> Iterator[Tensor]:
    """Yield the tensors of an argument or result, of a sparse one its parts."""
    for each in tree_leaves(value):
        if isinstance(each, Tensor) and each.is_sparse:
            yield from (each._indices(), each._values())
        elif isinstance(each, Tensor):
            yield each


def _bytes(tensors: Iterable[Tensor]) -> int:
    """Sum up the bytes; what is repeated along an expanded dimension counts once."""
    return sum(each.element_size() * math.prod(_distinct(each)) for each in tensors)


def _distinct(tensor: Tensor) -> Iterator[int]:
    """Yield the sizes of the dimensions that are not expanded."""
    yield from (n for n, stride in zip(tensor.shape, tensor.stride(), strict=True) if stride)
