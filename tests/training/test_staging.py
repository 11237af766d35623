"""Data in the host's memory: the same numbers, bit for bit, wherever they are kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from harness.config.suite import Trial
from harness.data import Dataset, Split
from harness.results.record import Epoch
from harness.training import dataloader, staging
from harness.training.dataloader import DataOn, Resident, ResidentDataset
from harness.training.distributed import ProcessGroup
from tests.support.calls import Calls
from tests.support.ranks import ALONE, run_ranks
from tests.support.trials import MLP, figures, small_dataset, small_trial, train

CPU = torch.device("cpu")


def features() -> Dataset:
    """Make up normalized features of float32."""
    rng = np.random.default_rng(0)

    def split(size: int) -> Split:
        labels = np.arange(size, dtype=np.uint8) % 3
        return Split(rng.normal(size=(size, 6)).astype(np.float32) + labels[:, None], labels)

    scaling = ([0.5] * 6, [2.0] * 6)
    return Dataset("made up", split(90), split(37), 3, "0" * 64, scaling=scaling)


MIXED: dict[str, Any] = {"augment": [{"name": "mixup", "alpha": 0.4}], "accumulate": 3}
CASES: dict[str, tuple[Trial, Dataset]] = {
    "images": (small_trial(MLP, epochs=2), small_dataset()),
    "features": (small_trial(MLP, epochs=2), features()),
    "samples of other ranks are mixed": (small_trial(MLP, epochs=2, **MIXED), small_dataset()),
    "ranks without a share": (small_trial(MLP, epochs=1), small_dataset(train=34, test=2)),
}


def results(
    world: ProcessGroup, trial: Trial, dataset: Dataset, data_on: DataOn, path: str, stop_after: int = 0
) -> tuple[list[float], list[float]]:
    """Return the losses of all steps and the figures of all epochs of a trial, maybe a resumed one."""
    torch.set_num_threads(1)
    losses: list[float] = []

    def on_step(_: int, loss: Tensor) -> None:
        losses.append(float(loss))

    def on_epoch(epoch: Epoch) -> None:
        if epoch.epoch == stop_after:
            raise KeyboardInterrupt

    resident = ResidentDataset.of(dataset, world.device, torch.float64, data_on)
    if stop_after:
        with pytest.raises(KeyboardInterrupt):
            train(trial, resident, world, Path(path), Calls(on_epoch=on_epoch))
    outcome = train(trial, resident, world, Path(path), Calls(on_step=on_step))
    return losses, figures(outcome.epochs)


def everywhere(world: ProcessGroup, folder: str) -> dict[str, list[tuple[list[float], list[float]]]]:
    """Train every case with its data on the device, then on the host."""
    places: tuple[DataOn, ...] = ("device", "host")
    return {
        name: [results(world, *case, data_on, f"{folder}/{name} {data_on}") for data_on in places]
        for name, case in CASES.items()
    }


@pytest.mark.e2e
@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_a_trial_is_the_same_bit_for_bit(world_size: int, tmp_path: Path) -> None:
    for found in run_ranks(world_size, everywhere, str(tmp_path)):
        assert len(found["images"][0][0]) == 12
        for name, (device, host) in found.items():
            assert host == device, name


@pytest.mark.e2e
def test_a_resumed_trial_is_the_same(tmp_path: Path) -> None:
    trial, dataset = small_trial(epochs=2), small_dataset()
    expected = results(ALONE, trial, dataset, "device", str(tmp_path / "device"), 1)
    assert results(ALONE, trial, dataset, "host", str(tmp_path / "host"), 1) == expected


@pytest.mark.parametrize("first_step", [0, 2, 5])
def test_shares_are_those_on_the_device(first_step: int) -> None:
    dataset = small_dataset()
    device, host = (
        Resident.of(dataset.train, CPU, torch.float64, on_host=on_host) for on_host in (False, True)
    )
    for world_size in (1, 3, 7):
        for rank in range(world_size):
            world = ProcessGroup(rank, world_size, CPU)
            pairs = zip(
                device.train_shares(3, 1, 16, world, first_step),
                host.train_shares(3, 1, 16, world, first_step),
                strict=True,
            )
            for expected, found in pairs:
                assert (found.first_row, found.size) == (expected.first_row, expected.size)
                for one, other in zip(host.gather(found.chosen), device.gather(expected.chosen), strict=True):
                    assert torch.equal(one, other)


def test_no_more_is_read_than_the_next_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    plain = staging._Slot.fill

    def fill(slot: staging._Slot, images: Tensor, rows: Tensor) -> None:
        read.append(len(rows))
        plain(slot, images, rows)

    monkeypatch.setattr(staging._Slot, "fill", fill)
    host = Resident.of(small_dataset().train, CPU, torch.float64, on_host=True)
    shares = host.train_shares(3, 1, 16, ALONE, first_step=2)
    next(shares)
    shares.close()  # type: ignore[attr-defined]
    assert read == [16] * (staging.SLOTS - 1)


def test_an_error_while_reading_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    def fill(*_: object) -> None:
        raise OSError("the disk is gone")

    monkeypatch.setattr(staging._Slot, "fill", fill)
    host = Resident.of(small_dataset().train, CPU, torch.float64, on_host=True)
    with pytest.raises(OSError, match="the disk is gone"):
        next(host.train_shares(3, 1, 16, ALONE))


@pytest.mark.parametrize(("free", "expected"), [(90 * 64 * 4, True), (90 * 64, False)])
def test_auto_leaves_on_the_host_what_needs_more_than_half_of_the_free_memory(
    free: int, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (free, 10 * free))
    dataset = small_dataset()
    assert dataloader._fits([dataset.train, dataset.test], torch.device("cuda", 0)) == expected
    assert dataloader._fits([dataset.train], CPU)


def test_the_validation_split_is_there_too() -> None:
    dataset = small_dataset()
    for data_on in ("device", "host"):
        whole = replace(dataset, validation=dataset.test)
        resident = ResidentDataset.of(whole, CPU, torch.float64, data_on)
        assert resident.samples == {"train": 90, "test": 37, "validation": 37}


def test_trials_that_take_turns_have_rows_of_their_own() -> None:
    device, host = (
        Resident.of(small_dataset().train, CPU, torch.float64, on_host=on_host) for on_host in (False, True)
    )
    trials = [
        (device.train_shares(seed, 1, size, ALONE), host.train_shares(seed, 1, size, ALONE))
        for seed, size in ((3, 16), (4, 9), (5, 16))
    ]
    for _ in range(5):
        for expected, found in trials:
            images, labels = host.gather(next(found).chosen)
            other_images, other_labels = device.gather(next(expected).chosen)
            assert torch.equal(images, other_images)
            assert torch.equal(labels, other_labels)
