"""Console output of a run: progress bars on a TTY, plain lines elsewhere. Knows events, not ranks."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any, Protocol, TextIO

from rich.console import Console as RichConsole
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from harness.formatting import percent

Event = dict[str, Any]


class Console(Protocol):
    """Output of events (`note`, `epoch`, `end`) and of the progress of running trials (`moving`)."""

    def show(self, event: Event) -> None:
        """Show one event."""

    def moving(self, trial: str, fraction: float) -> None:
        """Show a trial's progress, a fraction from 0 to 1."""

    def close(self) -> None:
        """Restore the terminal."""


def epoch_line(event: Event) -> str:
    """Format an epoch's metrics as one line."""
    return (
        f"{event['trial']}: epoch {event['epoch']}/{event['epochs']}  train loss {event['train_loss']:.5f}  "
        f"train {percent(event['train_accuracy'])}  test {percent(event['test_accuracy'])}  "
        f"{event['samples_per_second']:,.0f} images/s"
    )


def say(text: str, out: TextIO) -> None:
    """Write a line; if that fails, discard this and all later output, so that the run goes on."""
    try:
        out.write(text + "\n")
        out.flush()
    except OSError:  # a closed pipe or terminal, a full disk
        os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())


@dataclass
class Lines:
    """Console that writes one plain line for each event."""

    out: TextIO

    def show(self, event: Event) -> None:
        """Write the event's line."""
        say(epoch_line(event) if event["kind"] == "epoch" else str(event["text"]), self.out)

    def moving(self, trial: str, fraction: float) -> None:
        """Write nothing: one line per epoch is enough."""

    def close(self) -> None:
        """Do nothing."""


@dataclass
class LiveConsole:
    """Console with a progress bar for the whole run, with the time left, and one for each running trial."""

    total: int
    rich: RichConsole
    bars: dict[str, TaskID] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[figures]}"),
            TimeRemainingColumn(),
            console=self.rich,
        )
        self.whole = self.progress.add_task("all trials", total=self.total, figures=f"0/{self.total}")
        self.progress.start()

    def show(self, event: Event) -> None:
        """Print notes and ends above the bars; show an epoch's metrics beside its trial's bar."""
        if event["kind"] == "epoch":
            figures = epoch_line(event).partition(": ")[2]
            self.progress.update(
                self._bar(event["trial"]), completed=event["epoch"] / event["epochs"], figures=figures
            )
            self._whole()
            return
        self.progress.console.print(event["text"], highlight=False, markup=False)
        if event["kind"] == "end":
            self.ended.add(event["trial"])
            if event["trial"] in self.bars:
                self.progress.remove_task(self.bars.pop(event["trial"]))
            self._whole()

    def moving(self, trial: str, fraction: float) -> None:
        """Update the trial's bar and the whole run's."""
        if trial not in self.ended:  # its last progress may arrive after its end
            self.progress.update(self._bar(trial), completed=fraction)
            self._whole()

    def close(self) -> None:
        """Stop the display."""
        self.progress.stop()

    def _bar(self, trial: str) -> TaskID:
        if trial not in self.bars:
            self.bars[trial] = self.progress.add_task(trial, total=1.0, figures="")
        return self.bars[trial]

    def _whole(self) -> None:
        running = sum(
            self.progress.tasks[self.progress.task_ids.index(bar)].completed for bar in self.bars.values()
        )
        known = max(self.total, len(self.ended) + len(self.bars))  # the seed rule may have added trials
        self.progress.update(
            self.whole, total=known, completed=len(self.ended) + running, figures=f"{len(self.ended)}/{known}"
        )


def console_for(out: TextIO, total: int) -> Console:
    """Return progress bars on a terminal and plain lines elsewhere."""
    return LiveConsole(total, RichConsole(file=out)) if out.isatty() else Lines(out)
