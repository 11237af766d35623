"""Following runs from their files: what is seen, told off a terminal, drawn on one, and when it ends."""

from __future__ import annotations

import dataclasses
import errno
import io
import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from harness.config.suite import Suite, Trial
from harness.errors import StoreError
from harness.results.atomic_files import write_whole
from harness.results.lease import Lease, Leases
from harness.results.lease_owner import this_process
from harness.results.lease_progress import LeaseProgress
from harness.results.store import Found, Store
from harness.tracking.monitor import follow, view_for
from harness.tracking.monitor.live import Live, drawn
from harness.tracking.monitor.monitor import Monitor
from harness.tracking.monitor.plain import PlainOutput
from harness.tracking.monitor.snapshot import Snapshot
from tests.support.golden import assert_golden
from tests.support.records import SUITE, diverged_of, epochs_of, failed_of, record_of, suite_of

STALE_SECONDS = 6000.0  # a heart beats only when the test says so


@dataclasses.dataclass
class Scene:
    """A suite's results, runs that hold trials of it, and a follower with a clock of its own."""

    store: Store
    suite: Suite
    seconds: float = 0.0
    beats: int = 0
    runs: dict[str, Leases] = dataclasses.field(default_factory=dict)

    def trial(self, experiment: str, seed: int) -> Trial:
        """Return one of the suite's trials."""
        trials = self.suite.trials()
        return next(each for each in trials if (each.experiment, each.seed) == (experiment, seed))

    def take(self, trial: Trial, run: str, *, dead: bool = False, **changes: Any) -> Lease:
        """Have a run take a trial, from another where that is known to be dead."""
        if run not in self.runs:
            me = this_process(run, [0, 0], {}, STALE_SECONDS).model_copy(
                update={"host": run, "process": 5, "machine": "another", **changes}
            )
            self.runs[run] = Leases(self.store, me, now=lambda: self.seconds)
        lease = self.runs[run].take(trial, self.runs[run].dead(trial) if dead else "")
        assert lease is not None
        return lease

    def beat(self, trial: Trial, fraction: float, epoch: int = 0, **changes: Any) -> None:
        """Let the heart of the trial's holder beat once."""
        last = epochs_of(trial, 0.6)[epoch - 1].model_copy(update=changes) if epoch else None
        speed = 12345.6 if epoch else None
        lease_progress = LeaseProgress(fraction=fraction, epochs=2, last=last, samples_per_second=speed)
        self.write(trial, lease_progress.line())

    def write(self, trial: Trial, line: bytes) -> None:
        """Write how far a trial is into its claim, in place."""
        self.beats += 1
        path = max(self.store.record_path(trial).parent.glob(f"seed-{trial.seed}-*.claim-*"))
        head = path.read_bytes().partition(b"\n")[0]
        with path.open("r+b") as file:
            file.write(head + b"\n%020d %s\n" % (self.beats, line))

    def monitor(self, store: Store | None = None) -> Monitor:
        """Return a new follower."""
        return Monitor(store or self.store, lambda: ["small"], lambda: self.seconds)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(Store(tmp_path / "results"), suite_of(tmp_path))
    made.store.save_suite(made.suite)
    yield made
    for run in made.runs.values():
        run.stop()


def shown(snapshot: Snapshot, width: int, height: int = 40) -> str:
    """Return what a terminal of that size shows."""
    out = io.StringIO()
    console = Console(file=out, width=width, height=height, force_terminal=False, color_system=None)
    console.print(drawn(snapshot, width, height))
    return out.getvalue()


def busy(scene: Scene) -> Monitor:
    """Let there be something of everything."""
    done, begun, silent, failed, diverged, dead = scene.suite.trials()
    scene.store.save(done, record_of(done, 0.6))
    scene.store.save(failed, failed_of(failed, "Traceback ...\nOSError: broken \x1b[31m[bold]"))
    scene.store.save(diverged, diverged_of(diverged))
    scene.take(begun, "n1", job="local:17")
    scene.take(silent, "n2")
    scene.take(dead, "n3", stale_seconds=60.0)
    monitor = scene.monitor()
    monitor.poll()
    scene.seconds = 30.0
    scene.beat(begun, 0.75, epoch=1)
    monitor.poll()
    scene.seconds = 61.0
    return monitor


def test_what_a_terminal_shows(scene: Scene) -> None:
    snapshot = busy(scene).poll()
    texts = [shown(snapshot, width) for width in (130, 80, 44)]
    assert_golden("follow-live.txt", "\n".join(texts))


def test_many_trials_leave_room_for_the_rest(scene: Scene) -> None:
    for trial in scene.suite.trials():
        scene.take(trial, f"n{trial.seed}")
    text = shown(scene.monitor().poll(), 80, 16)
    assert len(text.splitlines()) <= 16
    assert "and 3 more under way" in text
    assert "seed 3" in text


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


@dataclasses.dataclass(frozen=True)
class Counting(Store):
    """Counts what is looked up."""

    found: list[Trial] = dataclasses.field(default_factory=list)

    def find(self, trial: Trial) -> Found:
        self.found.append(trial)
        return super().find(trial)


def test_only_what_has_changed_is_read(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, third = list(scene.suite.trials())[:3]
    scene.store.save(first, record_of(first))
    scene.store.save(second, failed_of(second))
    store = Counting(scene.store.root)
    monitor = scene.monitor(store)
    for _ in range(3):
        monitor.poll()
    assert store.found == [first, second]
    scene.store.save(second, record_of(second))
    for _ in range(3):
        monitor.poll()
    assert store.found == [first, second, second]
    path = store.record_path(third)
    path.write_text("{", encoding="utf-8")
    (end,) = monitor.poll().ended
    assert end.text.startswith(f"{path}: unreadable record: ")
    assert not monitor.poll().ended
    path.write_text(record_of(third).to_json(), encoding="utf-8")  # mended in place
    (end,) = monitor.poll().ended
    assert end.text == "done, test 80.00 %"
    monkeypatch.setattr(Path, "read_text", lambda path, **how: pytest.fail(f"{path} is read again"))
    monitor.poll()


@dataclasses.dataclass(frozen=True)
class Vanishing(Store):
    """Loses what is about to be read."""

    def find(self, trial: Trial) -> Found:
        self.record_path(trial).unlink()
        return super().find(trial)

    def lease_path(self, trial: Trial, generation: int) -> Path:
        path = super().lease_path(trial, generation)
        path.unlink(missing_ok=True)
        return path

    def load_suite(self, folder: str) -> Suite:
        if (self.root / "cut").exists():
            (self.root / folder / "suite.json").unlink()
        return super().load_suite(folder)


def test_what_vanishes_before_it_is_read_is_not_there(scene: Scene) -> None:
    first, second = list(scene.suite.trials())[:2]
    scene.store.save(first, record_of(first))
    scene.take(second, "n1")
    store = Vanishing(scene.store.root)
    snapshot = scene.monitor(store).poll()
    assert str(snapshot.suites[0]) == "0 of 6 done, 6 left"
    assert (snapshot.suites[0].held, snapshot.ended, snapshot.latest) == ([], [], [])
    (store.root / "cut").touch()
    monitor = scene.monitor(store)
    assert monitor.poll().awaited == ["small"]
    shutil.rmtree(store.root)
    assert monitor.poll().awaited == ["small"]
    assert not monitor.poll().is_over


def test_records_that_go_are_trials_that_are_left(scene: Scene) -> None:
    first = scene.trial("one", 1)
    scene.store.save(first, record_of(first))
    monitor = scene.monitor()
    assert str(monitor.poll().suites[0]) == "1 of 6 done, 5 left"
    scene.store.record_path(first).unlink()
    assert str(monitor.poll().suites[0]) == "0 of 6 done, 6 left"


def test_a_suite_that_changes_is_read_again(scene: Scene, tmp_path: Path) -> None:
    first = scene.trial("one", 1)
    scene.store.save(first, record_of(first))
    monitor = scene.monitor()
    monitor.poll()
    scene.store.save_suite(suite_of(tmp_path, SUITE.replace("seeds: 3", "seeds: 4")))
    assert str(monitor.poll().suites[0]) == "1 of 8 done, 7 left"
    path = scene.store.root / "small" / "suite.json"
    path.write_text("{", encoding="utf-8")
    assert str(monitor.poll().suites[0]) == "1 of 8 done, 7 left"  # as it was known
    with pytest.raises(StoreError, match=r"suite\.json: unreadable"):
        scene.monitor().poll()


def test_seeds_that_results_call_for_are_counted(scene: Scene, tmp_path: Path) -> None:
    rule = "seeds: {half_width_points: 0.1, at_least: 2, at_most: 4}"
    scene.suite = suite_of(tmp_path, SUITE.replace("seeds: 3", rule))
    scene.store.save_suite(scene.suite)
    monitor = scene.monitor()
    assert str(monitor.poll().suites[0]) == "0 of 4 done, 4 left"
    for seed, accuracy in ((1, 0.5), (2, 0.9)):
        trial = scene.trial("one", seed)
        scene.store.save(trial, record_of(trial, accuracy))
    snapshot = monitor.poll()
    assert str(snapshot.suites[0]) == "2 of 6 done, 4 left"


def test_the_time_left_is_that_of_records_and_of_trials_under_way(scene: Scene, tmp_path: Path) -> None:
    one, two = scene.trial("one", 1), scene.trial("two", 1)
    scene.take(one, "n1")
    scene.take(two, "n2")
    monitor = scene.monitor()
    assert monitor.poll().time_left is None  # nothing tells
    scene.beat(one, 0.5, epoch=1)  # 2.5 s an epoch, 2 epochs
    assert str(monitor.poll().time_left) == "about 6 s left, 2 at once, and 3 of unknown time"
    trial = scene.trial("two", 2)
    scene.store.save(trial, record_of(trial))
    # 2.5 and 5 s of those under way, 3 trials of 5 s to come.
    assert str(monitor.poll().time_left) == "about 11 s left, 2 at once"
    assert monitor.poll().suites[0].completed == 1.5
    elsewhere = suite_of(tmp_path, SUITE.replace("suite: small", "suite: other"))
    for trial in elsewhere.trials():
        slow = [each.model_copy(update={"train_seconds": 60.0}) for each in epochs_of(trial, 0.8)]
        scene.store.save(trial, record_of(trial, epochs=slow))
    # 2.5 and 121 s, and 5, 5 and 121 s.
    assert str(scene.monitor().poll().time_left) == "about 2 min 07 s left, 2 at once"


def test_a_claim_of_an_earlier_form_is_followed(scene: Scene) -> None:
    trial = scene.trial("one", 1)
    scene.take(trial, "n1")
    monitor = scene.monitor()
    monitor.poll()
    path = scene.store.lease_path(trial, 1)
    path.write_bytes(path.read_bytes().partition(b"\n")[0] + b"\n%020d\n" % 1)
    (held,) = monitor.poll().suites[0].held
    assert (held.lease_progress, held.fraction, held.is_moving) == (None, 0.0, True)
    path.write_bytes(b"cut")
    scene.seconds = 1.0
    (held,) = monitor.poll().suites[0].held
    assert (str(held.owner), held.sign_of_life) == ("process 0 on an unknown host", "first seen 0 s ago")


class Terminal(io.TextIOWrapper):
    """A terminal of another encoding."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_terminals_of_every_encoding_show_it(
    scene: Scene, encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    out = io.BytesIO()
    view = view_for(Terminal(out, encoding=encoding, errors="replace", write_through=True))
    assert isinstance(view, Live)
    view.show(busy(scene).poll())
    view.close()
    text = out.getvalue().decode(encoding)
    assert "one seed 2" in text
    assert "no sign of life for 1 min 01 s" in text
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1  # the cursor comes back
    assert "\x1b[31m[bold]" not in text


def test_plain_lines_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert isinstance(view_for(io.StringIO()), PlainOutput)
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(view_for(Terminal(io.BytesIO())), PlainOutput)


def test_results_that_cannot_be_read_any_more_end_it_with_a_message(scene: Scene) -> None:
    def names() -> list[str]:
        raise OSError(errno.ESTALE, "Stale file handle", "results")

    view = PlainOutput(io.StringIO())
    with pytest.raises(StoreError, match=r"^results: cannot be read: Stale file handle$"):
        follow(Monitor(scene.store, names, lambda: 0.0), view, lambda seconds: None)


def test_all_suites_are_followed_where_none_is_named(scene: Scene) -> None:
    monitor = Monitor(scene.store, scene.store.folders, lambda: 0.0)
    assert [suite.folder for suite in monitor.poll().suites] == ["small"]
    scene.store.save_suite(scene.suite.model_copy(update={"suite": "other"}))
    assert [suite.folder for suite in monitor.poll().suites] == ["other", "small"]
    assert Monitor(scene.store, list, lambda: 0.0).poll().is_over
