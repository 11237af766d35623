"""Data of one experiment's learning curves: its metrics by epoch, over the seeds that are done."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from harness.formatting import half_up
from harness.report.aggregate import Row, SuiteResults
from harness.report.counted_epochs import LAST, counted_epochs


@dataclass(frozen=True, slots=True)
class Band:
    """Mean per epoch, from the first one on, with a band of the sample standard deviation over seeds.

    `low` and `high` are None for one seed, and NaN in epochs that only one of several seeds has reached.
    """

    mean: tuple[float, ...]
    low: tuple[float, ...] | None = None
    high: tuple[float, ...] | None = None

    @classmethod
    def of(cls, runs: Sequence[Sequence[float]], scale: float = 1.0) -> Band:
        """Reduce each epoch over the runs that reached it.

        Sums are exact, so that the band is the same on every machine.
        """
        epochs = [[run[at] for run in runs if at < len(run)] for at in range(max(map(len, runs)))]
        pairs = [_mean_and_std(values, scale) for values in epochs]
        means = tuple(mean for mean, _ in pairs)
        if len(runs) == 1:
            return cls(means)
        return cls(means, tuple(m - s for m, s in pairs), tuple(m + s for m, s in pairs))

    def last(self, digits: int, unit: str = "") -> str:
        """Format the last epoch's mean ± sample standard deviation."""
        text = f"{_rounded(self.mean[-1], digits)}{unit}"
        return f"{text} ± {_rounded(self.high[-1] - self.mean[-1], digits)}{unit}" if self.high else text


def _mean_and_std(values: Sequence[float], scale: float) -> tuple[float, float]:
    n = len(values)
    mean = math.fsum(values) / n
    if n == 1:
        return scale * mean, math.nan
    return scale * mean, scale * math.sqrt(math.fsum((each - mean) ** 2 for each in values) / (n - 1))


@dataclass(frozen=True, slots=True)
class Run:
    """A published run, epoch by epoch; accuracies in percent."""

    epochs: tuple[int, ...]
    train_loss: tuple[float, ...]
    train_accuracy: tuple[float, ...]
    test_accuracy: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Curves:
    """Learning curves of an experiment over `n` of its `seeds` seeds; accuracies in percent.

    `ends` holds how many epochs each seed was trained, `counted` names the epoch that counts, and `figures`
    are the training loss and both accuracies there. They are in no digest: they are told beside the figure,
    and `ends` shows in the bands.
    """

    folder: str
    experiment: str
    dataset: str
    n: int
    seeds: int
    train_loss: Band
    train_accuracy: Band
    test_accuracy: Band
    ends: tuple[int, ...] = field(compare=False)
    counted: str = field(compare=False)
    figures: tuple[Band, Band, Band] = field(compare=False)
    published: tuple[Run, ...] = ()

    @classmethod
    def of(cls, contents: SuiteResults, row: Row) -> Curves | None:
        """Return an experiment's curves; None if no trial is done."""
        if not row.done:
            return None

        def band(figure: str, scale: float) -> Band:
            return Band.of([each.epochs[figure] for each in row.done], scale)

        def counted(figure: str, scale: float) -> Band:
            return Band.of([[each.last(figure)] for each in row.done], scale)

        return cls(
            folder=contents.suite.folder,
            experiment=row.name,
            dataset=contents.suite.dataset.title,
            n=len(row.done),
            seeds=len(row.entries),
            train_loss=band("train_loss", 1),
            train_accuracy=band("train_accuracy", 100),
            test_accuracy=band("test_accuracy", 100),
            ends=tuple(len(each.epochs["train_loss"]) for each in row.done),
            counted=counted_epochs(each.trial.settings.training for each in row.done),
            figures=(counted("train_loss", 1), counted("train_accuracy", 100), counted("test_accuracy", 100)),
            published=_published(row) if contents.is_published_dataset else (),
        )

    @property
    def path(self) -> str:
        """Return the figure's path within the results of its suite."""
        return f"{self.experiment}/curves"

    @property
    def epochs(self) -> int:
        """Return how many epochs the longest seed was trained."""
        return len(self.train_loss.mean)

    @property
    def span(self) -> str:
        """Return how many epochs the seeds were trained, as text: `9 epochs`, or `7 to 9 epochs`."""
        fewest = min(self.ends)
        return ("" if fewest == self.epochs else f"{fewest} to ") + _count(self.epochs, "epoch")

    def alt(self) -> str:
        """Describe the figure in words."""
        loss, train, test = self.figures
        is_even, is_last = min(self.ends) == self.epochs, self.counted == LAST
        text = (
            f"Curves of {self.experiment} over {self.span}, {seeds(self.n, self.seeds)}. "
            + (
                ""
                if is_even
                else "The seeds ended at different epochs; each mean is over those that reached it. "
            )
            + ("At the end: " if is_even and is_last else f"At each seed's {self.counted}: ")
            + f"training loss {loss.last(5)}, training accuracy {train.last(2, ' %')}, "
            f"testing accuracy {test.last(2, ' %')}"
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
