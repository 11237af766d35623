"""The trials of one experiment as the cells of a row."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from functools import cached_property

from harness.record import Epoch
from harness.stats import Summary, summary
from harness.store import Found, State
from harness.suite import Figures

LOSS_DIGITS = 5


@dataclass(frozen=True, slots=True)
class Entry:
    """What a table needs of one trial; its record, with every epoch, need not be kept.

    `last` is the last epoch of a trial that is done, `error` says why a record is unreadable.
    """

    experiment: str
    seed: int
    state: State
    error: str | None = None
    last: Epoch | None = None
    devices: tuple[str, ...] = ()
    torch: str = ""
    code: str = ""
    commit: str | None = None

    @classmethod
    def of(cls, found: Found) -> Entry:
        """Take out of a trial's record what a table needs."""
        trial, record = found.trial, found.record
        if found.state != "done" or record is None:
            return cls(trial.experiment, trial.seed, found.state, found.error)
        made = record.versions
        return cls(
            trial.experiment,
            trial.seed,
            found.state,
            last=record.epochs[-1],
            devices=tuple(map(sys.intern, sorted(set(record.hardware.devices)))),
            torch=sys.intern(made.torch),
            code=sys.intern(made.code),
            commit=made.commit and sys.intern(made.commit),
        )


@dataclass(frozen=True)
class Row:
    """An experiment's name and everything that is on disk of its trials, in the order of seeds."""

    name: str
    entries: Sequence[Entry]
    published: Figures | None

    @cached_property
    def done(self) -> list[Entry]:
        """Return the entries of the trials that are done."""
        return [each for each in self.entries if each.last is not None]

    def summary(self, figure: Callable[[Epoch], float]) -> Summary | None:
        """Summarise a figure of the last epoch over the trials that are done."""
        values = [figure(each.last) for each in self.done if each.last is not None]
        return summary(values) if values else None

    @cached_property
    def test_accuracy(self) -> Summary | None:
        """Summarise the last epoch's testing accuracy."""
        return self.summary(lambda epoch: epoch.test_accuracy)

    def absent(self) -> str:
        """Name the seeds whose trials are not in the figures, and why."""
        reasons: dict[str, list[int]] = {}
        for each in self.entries:
            if each.state != "done":
                reasons.setdefault("missing" if each.state == "left" else each.state, []).append(each.seed)
        return "; ".join(
            f"{reason}: seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"
            for reason, seeds in sorted(reasons.items())
        )

    def mean_cell(self, value: Summary | None, write: Callable[[float], str]) -> str:
        """Write `mean ± std (n)`, or `(n of all)` where trials are absent."""
        if value is None:
            return "–"
        spread = "" if value.std is None else f" ± {write(value.std)}"
        of_all = f" of {len(self.entries)}" if value.n < len(self.entries) else ""
        return f"{write(value.mean)}{spread} ({value.n}{of_all})"


def loss(value: float) -> str:
    """Write a loss with the report's digits."""
    return f"{value:.{LOSS_DIGITS}f}"


def percent(digits: int) -> Callable[[float], str]:
    """Return what writes a fraction as a percentage with so many digits, halves rounded up as reports do."""
    step = Decimal(1).scaleb(-digits)
    return lambda value: f"{(100 * Decimal(repr(value))).quantize(step, ROUND_HALF_UP)} %"


def published_cell(figures: Figures | None, digits: int, run: int | None = None) -> str:
    """Write published loss, training and testing accuracy; of one run where there is a figure for each."""
    if figures is None:
        return "–"
    cells = []
    for values, write in (
        (figures.train_loss, loss),
        (figures.train_accuracy, percent(digits)),
        (figures.test_accuracy, percent(digits)),
    ):
        value = published_figure(values, run)
        cells.append("–" if value is None else write(value))
    return " / ".join(cells)


def difference(mean: float | None, published: float | None, digits: int) -> str:
    """Write a mean less the published figure in percentage points."""
    return "–" if mean is None or published is None else f"{100 * (mean - published):+.{digits}f}"


def published_figure(values: list[float] | None, run: int | None) -> float | None:
    """Return the mean of the published runs, or the figure of one run where each run has one."""
    if not values:
        return None
    if run is None:
        return summary(values).mean
    return values[run] if run < len(values) and len(values) > 1 else None
