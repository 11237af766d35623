"""What users' own trackers are told of a trial, and that none of them harms it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.config.suite import Trial
from harness.results.record import Epoch
from harness.results.store import Store
from harness.tracking import Dispatcher, OpenTracker, default_root
from harness.training.checkpoint_policy import CheckpointAction
from tests.support import own_trackers
from tests.support.calls import Calls
from tests.support.own_trackers import OURS
from tests.support.ranks import ALONE
from tests.support.tracker_readers import name_of, scalars
from tests.support.trials import course, places, resident, small_trial, train

pytestmark = pytest.mark.usefixtures("_own_folder")


def lines(trial: Trial, name: str) -> list[str]:
    """Read what one of our trackers has kept of a trial."""
    folder = default_root(Store(Path("results")), f"{OURS}:{name}") / "suite/experiment" / name_of(trial)
    path = folder / "lines.txt"
    return path.read_text(encoding="utf-8").splitlines()


def test_trackers_that_fail_are_dropped_and_told_once() -> None:
    trial, store, notes = small_trial(epochs=3), Store(Path("results")), list[str]()
    names = [
        "Sheds",
        "Fails",
        "Cancels",
        "Unspeakable",
        "Keeps",
        "opens_nothing",
        "cannot_open",
        "Exits",
        "none",
    ]
    data = resident(trial, ALONE)
    with Dispatcher(trial, store, [f"{OURS}:{name}" for name in names], notes.append) as dispatcher:
        callbacks = Calls(on_begin=lambda history: dispatcher.begin(history, 90), on_epoch=dispatcher.epoch)
        outcome = course(trial, data, ALONE, places(Path("checkpoint")), callbacks)
        dispatcher.status = "done"
    assert outcome is not None
    losses = [f"{epoch.epoch} {epoch.train_loss!r}" for epoch in outcome.epochs]
    assert losses == [
        f"{each.epoch} {each.train_loss!r}" for each in train(trial, data, ALONE, Path("alone")).epochs
    ]
    assert lines(trial, "Keeps") == [*losses, "done"]
    assert lines(trial, "Fails") == losses[:2]
    assert [note.removeprefix(f"suite/experiment/seed-3: logging to {OURS}:") for note in notes] == [
        "cannot_open failed: KeyError: 'API_KEY'; the trial goes on without it",
        f"none failed: --log '{OURS}:none': {OURS} has no callable 'none'; "
        "known: Cancels, Exits, Fails, Hangs, Keeps, KeepsSome, Sheds, Stops, Unshowable, Unspeakable, "
        "cannot_open, opens_nothing; "
        "the trial goes on without it",
        "Cancels failed: CancelledError: task; the trial goes on without it",
        "Unspeakable failed: Unshowable; the trial goes on without it",
        "opens_nothing failed: AttributeError: 'NoneType' object has no attribute 'epoch'; "
        "the trial goes on without it",
        "Fails failed: ConnectionError: no answer; the trial goes on without it",
        "Exits failed: SystemExit: good bye; the trial goes on without it",
    ]


def test_a_tracker_that_hangs_is_left_and_the_trial_goes_on() -> None:
    trial, notes, names = small_trial(), list[str](), [f"{OURS}:Hangs"]
    with Dispatcher(trial, Store(Path("results")), names, notes.append, timeout_seconds=0.3) as dispatcher:
        callbacks = Calls(on_begin=lambda history: dispatcher.begin(history, 90), on_epoch=dispatcher.epoch)
        assert course(trial, resident(trial, ALONE), ALONE, places(Path("checkpoint")), callbacks)
    assert notes == [
        f"suite/experiment/seed-3: logging to {OURS}:Hangs failed: TimeoutError: no answer for 0.1 s; "
        "the trial goes on without it"
    ]


def test_an_interrupted_trial_tells_each_epoch_once() -> None:
    """It ends between saving an epoch and telling it; the epoch is told when the trial goes on."""
    trial, store = small_trial(epochs=4), Store(Path("results"))
    data = resident(trial, ALONE)

    def part(
        on_epoch: Callable[[Dispatcher, Epoch], None], after_epoch: CheckpointAction = CheckpointAction.GO_ON
    ) -> Any:
        with Dispatcher(trial, store, [f"{OURS}:Keeps", "tensorboard"], pytest.fail) as dispatcher:
            callbacks = Calls(
                on_begin=lambda history: dispatcher.begin(history, 90),
                on_epoch=lambda epoch: on_epoch(dispatcher, epoch),
                on_boundary=lambda saving: after_epoch if saving else CheckpointAction.GO_ON,
            )
            outcome = course(trial, data, ALONE, places(Path("checkpoint")), callbacks)
            dispatcher.status = outcome.status if outcome else "left"
        return outcome

    def fall(dispatcher: Dispatcher, epoch: Epoch) -> None:
        raise OSError("a made-up end")

    assert part(Dispatcher.epoch, CheckpointAction.STOP) is None
    first, *rest = lines(trial, "Keeps")
    assert rest == ["left"]
    with pytest.raises(OSError, match="a made-up end"):
        part(fall)
    assert lines(trial, "Keeps") == [first, "failed"]
    outcome = part(Dispatcher.epoch)
    assert lines(trial, "Keeps") == [
        *(f"{epoch.epoch} {epoch.train_loss!r}" for epoch in outcome.epochs),
        "done",
    ]
    found = scalars(default_root(store, "tensorboard") / "suite/experiment" / name_of(trial))
    assert [step for step, _ in found["test_loss"]] == [1, 2, 3, 4]


TRACKERS: list[OpenTracker] = [own_trackers.Keeps, own_trackers.cannot_open]  # as mypy sees it
