"""Data of one experiment's learning curves: its metrics by epoch, over the seeds that are done."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from harness.formatting import half_up
from harness.report.aggregate import Row, SuiteResults


@dataclass(frozen=True, slots=True)
class Band:
    """Mean per epoch, from the first one on, with a band of the sample standard deviation over seeds.

    `low` and `high` are None for one seed.
    """

    mean: tuple[float, ...]
    low: tuple[float, ...] | None = None
    high: tuple[float, ...] | None = None

    @classmethod
    def of(cls, runs: Sequence[Sequence[float]], scale: float = 1.0) -> Band:
        """Reduce runs of equal length; sums are exact, so that the band is the same on every machine."""
        n = len(runs)
        means, spreads = [], []
        for values in zip(*runs, strict=True):
            mean = math.fsum(values) / n
            means.append(scale * mean)
            if n > 1:
                spreads.append(scale * math.sqrt(math.fsum((each - mean) ** 2 for each in values) / (n - 1)))
        if n == 1:
            return cls(tuple(means))
        pairs = list(zip(means, spreads, strict=True))
        return cls(tuple(means), tuple(m - s for m, s in pairs), tuple(m + s for m, s in pairs))

    def last(self, digits: int, unit: str = "") -> str:
        """Format the last epoch's mean ± sample standard deviation."""
        text = f"{_rounded(self.mean[-1], digits)}{unit}"
        return f"{text} ± {_rounded(self.high[-1] - self.mean[-1], digits)}{unit}" if self.high else text


@dataclass(frozen=True, slots=True)
class Run:
    """A published run, epoch by epoch; accuracies in percent."""

    epochs: tuple[int, ...]
    train_loss: tuple[float, ...]
    train_accuracy: tuple[float, ...]
    test_accuracy: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Curves:
    """Learning curves of an experiment over `n` of its `seeds` seeds; accuracies in percent."""

    folder: str
    experiment: str
    dataset: str
    n: int
    seeds: int
    train_loss: Band
    train_accuracy: Band
    test_accuracy: Band
    published: tuple[Run, ...] = ()

    @classmethod
    def of(cls, contents: SuiteResults, row: Row) -> Curves | None:
        """Return an experiment's curves; None if no trial is done."""
        if not row.done:
            return None

        def band(figure: str, scale: float) -> Band:
            return Band.of([each.epochs[figure] for each in row.done], scale)

        return cls(
            folder=contents.suite.folder,
            experiment=row.name,
            dataset=contents.suite.dataset.title,
            n=len(row.done),
            seeds=len(row.entries),
            train_loss=band("train_loss", 1),
            train_accuracy=band("train_accuracy", 100),
            test_accuracy=band("test_accuracy", 100),
            published=_published(row) if contents.is_published_dataset else (),
        )

    @property
    def path(self) -> str:
        """Return the figure's path within the results of its suite."""
        return f"{self.experiment}/curves"

    @property
    def epochs(self) -> int:
        """Return how many epochs each seed was trained."""
        return len(self.train_loss.mean)

    def alt(self) -> str:
        """Describe the figure in words."""
        train, test = self.train_accuracy.last(2, " %"), self.test_accuracy.last(2, " %")
        text = (
            f"Curves of {self.experiment} over {_count(self.epochs, 'epoch')}, {seeds(self.n, self.seeds)}. "
            f"At the end: training loss {self.train_loss.last(5)}, training accuracy {train}, "
            f"testing accuracy {test}"
        )
        if not self.published:
            return text + "."
        last = ", ".join(f"{_rounded(run.test_accuracy[-1], 2)} %" for run in self.published)
        return f"{text}; published testing accuracy {last} (dashed)."


def _rounded(value: float, digits: int) -> str:
    return half_up(round(value, digits + 6), digits)  # without what sums of floats add to a tie


def seeds(n: int, of: int) -> str:
    """Return the number of seeds as text: `3 seeds`, or `2 of 3 seeds` if not all are done."""
    return _count(n, "seed") if n == of else f"{n} of {_count(of, 'seed')}"


def _count(n: int, thing: str) -> str:
    return f"{n} {thing}{'s' * (n != 1)}"


def _published(row: Row) -> tuple[Run, ...]:
    return tuple(
        Run(
            tuple(each.epoch),
            tuple(each.train_loss),
            tuple(100 * value for value in each.train_accuracy),
            tuple(100 * value for value in each.test_accuracy),
        )
        for each in row.curves
    )
