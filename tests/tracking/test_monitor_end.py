"""When the monitor ends: nothing is left and nobody trains, or results cannot be read."""

from __future__ import annotations

import errno
import io

import pytest

from harness.errors import StoreError
from harness.tracking.monitor import follow
from harness.tracking.monitor.monitor import Monitor
from harness.tracking.monitor.plain import PlainOutput
from tests.support.monitor_scene import Scene
from tests.support.records import failed_of, record_of


def test_it_ends_when_nothing_is_left_and_nobody_trains(scene: Scene) -> None:
    trials = list(scene.suite.trials())
    for trial in trials[1:]:
        scene.store.save(trial, record_of(trial))
    first = trials[0]
    lease = scene.take(first, "n1")
    looks = []

    def sleep(seconds: float) -> None:
        looks.append(seconds)
        scene.seconds += seconds
        if len(looks) == 2:
            scene.store.save(first, failed_of(first))  # it may be tried again: its holder has it still
        if len(looks) == 4:
            scene.runs["n1"].release(first, lease)

    assert follow(scene.monitor(), PlainOutput(io.StringIO()), sleep)
    assert looks == [1.0] * 4
    retried = scene.take(first, "n1")
    scene.store.save(first, record_of(first))
    assert not follow(
        scene.monitor(), PlainOutput(io.StringIO()), sleep
    )  # done: whoever holds it trains nothing
    assert len(looks) == 4
    scene.runs["n1"].release(first, retried)


def test_a_dead_holder_of_a_failed_trial_is_not_waited_for(scene: Scene) -> None:
    trials = list(scene.suite.trials())
    for trial in trials:
        scene.store.save(trial, failed_of(trial))
    scene.take(trials[0], "n1", stale_seconds=60.0)

    def sleep(seconds: float) -> None:
        scene.seconds += seconds

    assert follow(scene.monitor(), PlainOutput(io.StringIO()), sleep)
    assert scene.seconds == 61.0


def test_results_that_cannot_be_read_any_more_end_it_with_a_message(scene: Scene) -> None:
    def names() -> list[str]:
        raise OSError(errno.ESTALE, "Stale file handle", "results")

    view = PlainOutput(io.StringIO())
    with pytest.raises(StoreError, match=r"^results: cannot be read: Stale file handle$"):
        follow(Monitor(scene.store, names, lambda: 0.0), view, lambda seconds: None)
