"""Live monitor output on a terminal, redrawn after each poll."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from rich.console import Console, Group, RenderableType
from rich.live import Live as RichLive
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from harness.tracking.monitor.plain import epoch_text
from harness.tracking.monitor.snapshot import EndedTrial, Held, Snapshot, SuiteSnapshot, printable

_FEWEST_SHOWN = 3
_LINES_EACH = 3


@dataclass
class LiveMonitor:
    """View that draws suites with their trials under way, the latest ends and the time left."""

    rich: Console
    _live: RichLive = field(init=False)

    def __post_init__(self) -> None:
        self._live = RichLive(console=self.rich, auto_refresh=False)
        self._live.start()

    def show(self, snapshot: Snapshot) -> None:
        """Draw the snapshot over the previous one."""
        self._live.update(drawn(snapshot, *self.rich.size), refresh=True)

    def close(self) -> None:
        """Keep the last display and restore the cursor."""
        self._live.stop()


def drawn(snapshot: Snapshot, width: int, height: int) -> RenderableType:
    """Render a snapshot for a terminal of this size, with no more trials than there is room for."""
    bar_width = 20 if width >= 100 else 10
    suites = len(snapshot.suites)
    room = height - 2 * suites - len(snapshot.latest) - len(snapshot.awaited) - 4
    shown = max(_FEWEST_SHOWN, room // _LINES_EACH)
    parts: list[RenderableType] = []
    for suite in snapshot.suites:
        parts += _suite(suite, shown, bar_width)
        shown = max(0, shown - len(suite.held))
    parts += [Text(f"waiting for {name}", style="dim") for name in snapshot.awaited]
    if snapshot.latest:
        parts += [Text(), *map(_end, snapshot.latest)]
    if snapshot.time_left:
        parts += [Text(), Text(str(snapshot.time_left), style="bold")]
    elif snapshot.is_over:
        parts += [Text(), Text("nothing is left to train" if suites else "no results yet", style="bold")]
    elif suites and not any(suite.running for suite in snapshot.suites):
        parts += [Text(), Text("no run trains the rest", style="bold")]
    return Group(*parts)


def _suite(suite: SuiteSnapshot, shown: int, bar_width: int) -> Iterator[RenderableType]:
    table = Table.grid(padding=(0, 1))
    table.add_column(overflow="fold")
    table.add_column(width=bar_width)
    table.add_column(overflow="fold")
    bar = ProgressBar(total=max(1, suite.total), completed=suite.completed, width=bar_width)
    table.add_row(Text(suite.folder, style="bold"), bar, Text(str(suite)))
    for each in suite.held[:shown]:
        bar = ProgressBar(total=1.0, completed=each.fraction, width=bar_width)
        table.add_row(Text(f"  {each.trial.name}"), bar, _how(each))
    yield table
    if len(suite.held) > shown:
        yield Text(f"  and {len(suite.held) - shown} more under way", style="dim")


def _how(held: Held) -> Text:
    """Return a trial's progress, then its lease's owner and whether the owner is alive."""
    figures = epoch_text(held).partition(": ")[2]
    epochs = held.trial.settings.training.epochs
    epoch = held.lease_progress.epoch if held.lease_progress else 0
    text = Text(figures or f"epoch {epoch}/{epochs}")
    text.append(f"\n{printable(str(held.owner))}, ", style="dim")
    text.append(held.last_heartbeat, style="dim" if held.is_alive else "bold red")
    return text


def _end(end: EndedTrial) -> Text:
    style = "green" if end.state == "done" else "red"
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append(f"{end.trial.key}: ").append(end.text, style=style)
    return text
