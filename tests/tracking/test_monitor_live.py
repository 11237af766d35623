"""The monitor on a terminal: what is drawn, at every width and in every encoding."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from harness.tracking.monitor import view_for
from harness.tracking.monitor.live import LiveMonitor, drawn
from harness.tracking.monitor.monitor import Monitor
from harness.tracking.monitor.plain import PlainOutput
from harness.tracking.monitor.snapshot import Snapshot
from tests.support.golden import assert_golden
from tests.support.monitor_scene import Scene
from tests.support.records import diverged_of, failed_of, record_of


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
    assert isinstance(view, LiveMonitor)
    view.show(busy(scene).poll())
    view.close()
    text = out.getvalue().decode(encoding)
    assert "one seed 2" in text
    assert "no heartbeat for 1 min 01 s" in text
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1  # the cursor comes back
    assert "\x1b[31m[bold]" not in text


def test_plain_lines_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert isinstance(view_for(io.StringIO()), PlainOutput)
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(view_for(Terminal(io.BytesIO())), PlainOutput)
