"""What is counted of a training step, and what is not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from harness.training.cost import cost_of
from harness.training.dataloader import ResidentDataset
from harness.training.distributed import fake_group
from harness.training.operations import StepCount, StepOperations, _counted, _FirstRank, count_step
from tests.support.ranks import ALONE, CPU
from tests.support.trials import CONVNET, MIXER, MLP, resident, small_dataset, small_trial

WEIGHTED = {"name": "cross_entropy", "class_weights": "balanced"}
ROWS, COLUMNS = 6, 8
SIZE = 4 * ROWS * COLUMNS


def counted(work: Callable[[Tensor], object]) -> tuple[int, int, int]:
    """Return operations, casts and bytes of work on a matrix of float32."""
    matrix, operations = torch.rand(ROWS, COLUMNS), StepOperations()
    with operations:
        work(matrix)
    return operations.operations, operations.casting, operations.bytes


def step(model: dict[str, Any] = MLP, precision: str = "fp32", train: int = 90, **training: Any) -> StepCount:
    trial = small_trial(model, precision=precision, **training)
    return count_step(trial, resident(trial, ALONE, train=train))


WORK: dict[str, tuple[Callable[[Tensor], object], int, int]] = {
    "new": (lambda x: x + x, 1, 3 * SIZE),
    "in place": (lambda x: x.add_(1), 1, 2 * SIZE),
    "overwritten": (lambda x: x.zero_(), 1, SIZE),
    "views": (lambda x: x.view(-1)[None].detach(), 0, 0),
    "allocation": (torch.empty_like, 0, 0),
    "to the host": (lambda x: x[0, 0].item(), 0, 0),
    "expanded": (lambda x: x + x[:1].expand(ROWS, COLUMNS), 1, 2 * SIZE + 4 * COLUMNS),
    "foreach": (lambda x: torch._foreach_add_([x, x.view(-1)], 1), 1, 4 * SIZE),
    "sum": (torch.sum, 1, SIZE + 4),
}


@pytest.mark.parametrize("name", WORK)
def test_an_operation_reads_its_arguments_and_writes_its_results(name: str) -> None:
    work, operations, size = WORK[name]
    assert counted(work) == (operations, 0, size)


def test_of_a_large_tensor_only_the_rows_that_are_looked_up_or_replaced_count() -> None:
    places = torch.tensor([3, 1])
    looked_up = 2 * 4 * COLUMNS
    assert counted(lambda x: x.index_select(0, places)) == (1, 0, 2 * looked_up + 16)
    rows = torch.rand(2, COLUMNS)
    assert counted(lambda x: x.index_copy_(0, places, rows)) == (1, 0, 2 * looked_up + 16)


def test_a_cast_is_a_copy_into_another_dtype() -> None:
    assert counted(lambda x: x.bfloat16()) == (1, 1, SIZE + SIZE // 2)
    half = torch.zeros(ROWS, COLUMNS, dtype=torch.bfloat16)
    assert counted(lambda x: torch._foreach_copy_([half], [x])) == (1, 1, SIZE + SIZE // 2)
    assert counted(lambda x: x.clone()) == (1, 0, 2 * SIZE)


def test_attention_has_the_formula_of_a_gpus_kernel() -> None:
    x, operations = torch.rand(2, 3, 8, 16, requires_grad=True), StepOperations()
    with operations:
        scaled_dot_product_attention(x, x, x).sum().backward()  # type: ignore[no-untyped-call]
    one_product = 2 * 2 * 3 * 8 * 8 * 16
    assert operations.total == (2 + 5) * one_product


@pytest.mark.parametrize("model", [MIXER, CONVNET, MLP], ids=lambda each: each["name"])
def test_a_step_has_the_flops_and_the_collectives_of_its_cost(model: dict[str, Any]) -> None:
    trial = small_trial(model, precision="fp32")
    data = resident(trial, ALONE)
    found, cost = count_step(trial, data), cost_of(trial, data)
    assert found.flops == 16 * cost.flops_per_image
    assert found.collectives == 2 * cost.batch_norms + 1
    assert found.exchanged_bytes > 4 * cost.gradients


@pytest.mark.parametrize(
    "training", [{}, {"accumulate": 3}, {"loss": WEIGHTED}], ids=["plain", "parts", "weights"]
)
def test_ranks_exchange_as_much_of_a_batch_of_any_size(training: dict[str, Any]) -> None:
    found = [step(batch_size=size, **training) for size in (24, 48, 80)]
    assert len({(each.collectives, each.exchanged_bytes) for each in found}) == 1
    assert found[0].flops < found[1].flops
    trial = small_trial(MLP, precision="fp32", batch_size=80, **training)
    with fake_group(2) as group:
        whole = _counted(trial, resident(trial, ALONE), _FirstRank(0, 2, CPU, group))
    assert (whole.collectives, whole.exchanged_bytes) == (found[0].collectives, found[0].exchanged_bytes)


def test_unused_parameters_cost_a_collective_more() -> None:
    model = {"name": "tests.support.own_models:with_unused_parameters"}
    assert step(model).collectives == 4  # of its norm two, of the gradients, and of which are used


def test_masks_are_hashed_and_weights_cast() -> None:
    plain = step({**MLP, "dropout": 0.0})
    with_masks, in_bf16 = step(), step(precision="bf16")
    assert plain.hashing == 0 < with_masks.hashing < with_masks.operations
    assert in_bf16.hashing == with_masks.hashing
    assert in_bf16.casting > with_masks.casting
    assert in_bf16.operations - in_bf16.casting == with_masks.operations - with_masks.casting


def test_a_count_is_of_one_step_alone() -> None:
    found = step()
    assert found == step() == step(train=16)  # an epoch of one batch
    assert found.bytes == step(train=900).bytes  # the dataset is not read
    assert not dist.is_initialized()


def test_augmentations_and_data_on_the_host_count() -> None:
    trial = small_trial(MLP, precision="fp32")
    dataset = small_dataset()
    on_device, on_host = (
        count_step(trial, ResidentDataset.of(dataset, CPU, torch.float32, where))
        for where in ("device", "host")
    )
    # The images' copy to the device, where they are there, and the lookup of that.
    assert on_host.operations == on_device.operations + 3
    augmented = step(augment=[{"name": "flip"}])
    assert augmented.operations > on_device.operations
    assert augmented.hashing > on_device.hashing


def test_a_count_that_fails_leaves_no_process_group(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("made to fail")

    monkeypatch.setattr("harness.training.operations._FirstRank", fail)
    with pytest.raises(RuntimeError, match="made to fail"):
        step()
    assert not dist.is_initialized()
