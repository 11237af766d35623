"""Data of a suite's comparison figure: the final testing accuracy of each experiment."""

from __future__ import annotations

from dataclasses import dataclass, field

from harness.formatting import half_up, percent
from harness.report.aggregate import Row, SuiteResults
from harness.report.counted_epochs import LAST, counted_epochs
from harness.report.figures.curves import seeds
from harness.report.published import published_figure
from harness.stats import Summary


@dataclass(frozen=True, slots=True)
class Line:
    """An experiment's accuracies in percent, one value per seed that is done, and their summary."""

    name: str
    values: tuple[float, ...]
    seeds: int
    summary: Summary | None
    published: float | None = None

    @classmethod
    def of(cls, row: Row, *, is_published_dataset: bool) -> Line:
        """Return an experiment's line, with its published mean only if that is for the same dataset."""
        values = tuple(100 * each.last("test_accuracy") for each in row.done)
        theirs = row.published.test_accuracy if row.published and is_published_dataset else None
        mean = published_figure(theirs)
        published = None if mean is None else float(100 * mean)
        return cls(row.name, values, len(row.entries), row.test_accuracy, published)

    @property
    def mean(self) -> float | None:
        """Return the mean accuracy in percent, over the seeds that are done."""
        return None if self.summary is None else 100 * self.summary.mean

    def interval(self) -> tuple[float, float] | None:
        """Return the mean's 95 % t-interval in percent, None for one seed."""
        found = self.summary.interval_of_fraction() if self.summary else None
        return (100 * found[0], 100 * found[1]) if found else None

    def alt(self) -> str:
        """Describe the line in words."""
        text = "none done" if self.summary is None else percent(self.summary.mean)
        if self.summary and self.summary.std is not None:
            text += f" ± {percent(self.summary.std)}"
        theirs = "" if self.published is None else f", published {half_up(self.published, 2)} %"
        return f"{self.name} {text} ({seeds(len(self.values), self.seeds)}{theirs})"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Data of a suite's comparison figure: its experiments, in the suite's order.

    `counted` names the epochs that count; at `unhashed`, it leaves a figure's digest as it was without it.
    """

    folder: str
    dataset: str
    lines: tuple[Line, ...]
    counted: str = field(default=LAST, metadata={"unhashed": LAST})

    @classmethod
    def of(cls, contents: SuiteResults) -> Comparison | None:
        """Return a suite's comparison; None if no trial is done."""
        same = contents.is_published_dataset
        lines = tuple(Line.of(row, is_published_dataset=same) for row in contents.rows)
        if not any(line.values for line in lines):
            return None
        counted = counted_epochs(each.training for each in contents.suite.experiments.values())
        return cls(contents.suite.folder, contents.suite.dataset.title, lines, counted)

    @property
    def path(self) -> str:
        """Return the figure's path within the results of its suite."""
        return "comparison"

    def alt(self) -> str:
        """Describe the figure in words; of many experiments, the best and the worst."""
        if len(self.lines) <= 12:
            return f"Final testing accuracy: {'; '.join(line.alt() for line in self.lines)}."
        known = sorted(
            (line for line in self.lines if line.mean is not None), key=lambda each: each.mean or 0
        )
        return (
            f"Final testing accuracy of {len(self.lines)} experiments, from {known[0].alt()} "
            f"to {known[-1].alt()}."
        )
