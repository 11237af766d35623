"""The monitor off a terminal: the lines that it writes, one event after another."""

from __future__ import annotations

import dataclasses
import io
import math

from harness.results.atomic_files import write_whole
from harness.results.lease_progress import LeaseProgress
from harness.tracking.monitor.monitor import Monitor
from harness.tracking.monitor.plain import PlainOutput
from tests.support.golden import assert_golden
from tests.support.monitor_scene import Scene
from tests.support.records import diverged_of, failed_of, record_of


@dataclasses.dataclass
class Story:
    """Tells what a follower off a terminal writes of one event after another."""

    monitor: Monitor
    out: io.StringIO = dataclasses.field(default_factory=io.StringIO)

    def __post_init__(self) -> None:
        self.lines = PlainOutput(self.out)

    def look(self, what: str) -> None:
        """Look once after something has happened."""
        self.out.write(f"-- {what}\n")
        self.lines.show(self.monitor.poll())


def test_how_a_trial_goes_is_told_off_a_terminal(scene: Scene) -> None:
    story, trial = Story(scene.monitor()), scene.trial("one", 1)
    suite = scene.store.root / "small" / "suite.json"
    kept = suite.read_bytes()
    suite.unlink()
    story.look("no results yet")
    story.look("still none")
    write_whole(suite, kept)
    story.look("a suite")
    lease = scene.take(trial, "n1")
    story.look("a trial starts")
    scene.beat(trial, 0.25)
    story.look("it is within its first epoch")
    scene.beat(trial, 0.5, epoch=1)
    story.look("an epoch")
    scene.beat(trial, 0.6, epoch=1)
    story.look("it is within the second")
    scene.write(trial, LeaseProgress(fraction=0.7, epochs=2).line()[:30])
    story.look("a torn line")
    scene.store.save(trial, record_of(trial, 0.6))
    story.look("it is done, and held for a moment still")
    scene.runs["n1"].release(trial, lease)
    story.look("no longer")
    for other in list(scene.suite.trials())[1:]:
        scene.store.save(other, record_of(other, 0.7))
    story.look("all others are done")
    assert_golden("follow-lines.txt", story.out.getvalue())


def test_how_trials_go_wrong_is_told_off_a_terminal(scene: Scene) -> None:
    story, trial, other = Story(scene.monitor()), scene.trial("one", 2), scene.trial("two", 1)
    scene.take(trial, "n2", stale_seconds=60.0)
    scene.beat(trial, 0.5, epoch=1, train_loss=math.nan)
    story.look("a trial that diverges")
    for what in ("it falls silent", "and again"):
        scene.seconds += 61.0
        story.look(what)
        scene.beat(trial, 0.5, epoch=1, train_loss=math.nan)
        story.look("but it lives")
    taken = scene.take(trial, "n3", dead=True)
    story.look("it is taken over")
    scene.store.save(trial, diverged_of(trial))
    scene.runs["n3"].release(trial, taken)
    story.look("it has diverged")
    lease = scene.take(other, "n1")
    story.look("another starts")
    scene.runs["n1"].release(other, lease)
    story.look("and is left")
    scene.store.save(other, failed_of(other, "Traceback ...\nOSError: broken"))
    story.look("it has failed")
    assert_golden("follow-wrong.txt", story.out.getvalue())
