"""A comparison: what every contestant left in every round, as a table and as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from statistics import median

from benchmarks.contestant import HARNESS, Run
from benchmarks.welch import equivalence
from harness.markdown import table
from harness.stats import summary

COLUMNS = (
    "Contestant",
    "Wall, s",
    "Images/s",
    "Images/s, one trial's training",
    "The harness is … times as fast",
    "Test accuracy",
    "Accuracy as the harness's",
)
NOTES = """\
- Wall: the whole command, from its start to its end, for all seeds of a round, with an evaluation on the
  whole test set after each epoch. Median (min–max) over rounds.
- Images/s: seeds × epochs × training images / wall; median over rounds.
- Images/s, one trial's training: epochs × training images / seconds in training epochs alone; median over
  trials. The resident peer trains several trials at once where it can, as the harness may.
- The harness is … times as fast: the peer's wall / the harness's of the same round; median (min–max).
- Test accuracy: last epoch, mean ± sample standard deviation (n trials). Each round has seeds of its own.
- Accuracy as the harness's: two one-sided Welch t-tests at the 5 % level. Where they do not show it, a
  peer's times are not counted.
- The peers keep no training figures, checkpoints or records, the harness does. A warm-up round, not counted,
  of one epoch, came first; since then the harness has its resized images on disk and has measured how to
  execute."""


@dataclass(frozen=True)
class Comparison:
    """What was measured; `images` is how many a trial trains on, over all epochs."""

    title: str
    facts: dict[str, str]
    images: int
    margin_points: float
    rounds: list[list[Run]]
    absent: list[str]

    def to_json(self) -> str:
        """Write everything that was measured."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n"

    def to_markdown(self) -> str:
        """Write the table, with what was measured above it and what its columns mean below."""
        names = [run.contestant for run in self.rounds[0]]
        placement = self._runs(HARNESS)[0].placement
        facts = [f"- {name}: {fact}" for name, fact in {**self.facts, "The harness ran": placement}.items()]
        rows = [self._row(name) for name in names]
        rows += [(name, "not installed", *[""] * (len(COLUMNS) - 2)) for name in self.absent]
        return "\n".join([f"# {self.title}", "", *facts, "", table(COLUMNS, rows), "", NOTES]) + "\n"

    def _row(self, name: str) -> tuple[str, ...]:
        runs, harness = self._runs(name), self._runs(HARNESS)
        walls = [run.wall_seconds for run in runs]
        speeds = [len(run.test_accuracies) * self.images / run.wall_seconds for run in runs]
        own_speeds = [self.images / seconds for run in runs for seconds in run.train_seconds]
        ratios = [run.wall_seconds / other.wall_seconds for run, other in zip(runs, harness, strict=True)]
        found = summary(_accuracies(runs))
        std = "" if found.std is None else f" ± {100 * found.std:.2f} %"
        return (
            name,
            _spread(walls, "{:.1f}".format),
            f"{median(speeds):,.0f}",
            f"{median(own_speeds):,.0f}",
            "" if name == HARNESS else _spread(ratios, "{:.2f}".format),
            f"{100 * found.mean:.2f} %{std} ({found.n})",
            "" if name == HARNESS else self._verdict(runs, harness),
        )

    def _runs(self, name: str) -> list[Run]:
        return [run for runs in self.rounds for run in runs if run.contestant == name]

    def _verdict(self, runs: Sequence[Run], harness: Sequence[Run]) -> str:
        tested = equivalence(_accuracies(runs), _accuracies(harness), self.margin_points / 100)
        margin = f"± {self.margin_points:g} points"
        interval = (
            f"90 % interval of the difference {100 * tested.low:+.2f} to {100 * tested.high:+.2f} points"
        )
        if tested.is_shown:
            return f"yes, within {margin} ({interval}, p = {tested.p:.2g})"
        if math.isnan(tested.low):
            return "not counted: accuracy not equivalent (too few trials to tell)"
        return f"not counted: accuracy not equivalent ({interval}, allowed {margin})"


def _accuracies(runs: Sequence[Run]) -> list[float]:
    return [accuracy for run in runs for accuracy in run.test_accuracies]


def _spread(values: Sequence[float], form: Callable[[float], str]) -> str:
    return f"{form(median(values))} ({form(min(values))}–{form(max(values))})"
