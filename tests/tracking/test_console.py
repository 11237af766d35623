"""Progress: one plain line an event off a terminal, bars on one."""

from __future__ import annotations

import io
import math

from rich.console import Console as RichConsole

from harness.tracking.console import Lines, LiveConsole, console_for

EPOCH = {
    "kind": "epoch",
    "trial": "small/one/seed-1",
    "epoch": 1,
    "epochs": 2,
    "train_loss": 0.123456,
    "train_accuracy": 0.5,
    "test_accuracy": 0.6789,
    "samples_per_second": 12345.6,
}
END = {"kind": "end", "trial": "small/one/seed-1", "text": "small/one/seed-1: done, test [67.89] %"}


def test_lines() -> None:
    out = io.StringIO()
    console = console_for(out, 1)
    assert isinstance(console, Lines)
    for event in ({"kind": "note", "text": "a note"}, EPOCH, END):
        console.show(event)
    console.moving("small/one/seed-1", 0.5)
    console.close()
    assert out.getvalue() == (
        "a note\n"
        "small/one/seed-1: epoch 1/2  train loss 0.12346  train 50.00 %  test 67.89 %  12,346 images/s\n"
        "small/one/seed-1: done, test [67.89] %\n"
    )


def test_a_loss_that_is_no_number_is_shown() -> None:
    out = io.StringIO()
    Lines(out).show({**EPOCH, "train_loss": math.nan})
    assert "train loss nan" in out.getvalue()


def test_live() -> None:
    out = io.StringIO()
    live = LiveConsole(2, RichConsole(file=out, force_terminal=True, width=150, legacy_windows=False))
    live.moving("small/one/seed-1", 0.25)
    live.show(EPOCH)
    live.progress.refresh()
    drawn = out.getvalue()
    assert "all trials" in drawn
    assert "small/one/seed-1" in drawn
    assert "epoch 1/2" in drawn
    assert "test 67.89 %" in drawn
    assert live.progress.tasks[0].completed == 0.5  # half of one trial, of two
    live.show(END)
    live.moving("small/one/seed-1", 0.9)
    assert not live.bars
    assert live.progress.tasks[0].completed == 1
    assert live.progress.tasks[0].fields["figures"] == "1/2"
    live.close()
    assert "test [67.89] %" in out.getvalue()


def test_a_terminal_gets_the_live_view() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    console = console_for(Terminal(), 3)
    console.close()
    assert isinstance(console, LiveConsole)
