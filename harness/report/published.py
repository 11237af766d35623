"""Comparison of a row with published figures: the cells of figures, difference and verdict."""

from __future__ import annotations

from fractions import Fraction
from statistics import mean

from harness.config.published import Figures
from harness.config.published_rounding import rounding
from harness.report.aggregate import Row, SuiteResults
from harness.report.number_format import loss, percent, signed
from harness.report.verdict import Finding, Verdict, finding, verdict
from harness.stats import Difference, Summary, decimal

WORDS: dict[Finding, str] = {
    "within": "REPRODUCED",
    "above": "DIFFERS ↑",
    "below": "DIFFERS ↓",
    "open": "INCONCLUSIVE",
}
_MOST_SEEDS = 1000  # that a suite can have


def verdict_of(contents: SuiteResults, row: Row, *, is_rounded: bool = True) -> Verdict | None:
    """Judge a row's testing accuracy; None if nothing comparable is published or one seed is done.

    Without `is_rounded`, the published figure counts as exact.
    """
    published, figures = contents.suite.published, row.published
    ours = row.test_accuracy
    if published is None or not contents.is_published_dataset or ours is None or not row.is_decided:
        return None
    if figures is None or figures.test_accuracy is None:
        return None
    return verdict(
        ours,
        figures.test_accuracy,
        runs=published.runs,
        margin=published.margin_points / 100,
        slack=rounding(published) / 2 if is_rounded else 0.0,
    )


def published_cell(figures: Figures | None, digits: int, run: int | None = None) -> str:
    """Format published loss, training and testing accuracy; those of one run if each run has a figure."""
    if figures is None:
        return "–"
    cells = []
    for values, write in (
        (figures.train_loss, loss),
        (figures.train_accuracy, percent(digits)),
        (figures.test_accuracy, percent(digits)),
    ):
        value = published_figure(values, run)
        cells.append("–" if value is None else write(float(value)))
    return " / ".join(cells)


def published_figure(values: list[float] | None, run: int | None = None) -> Fraction | None:
    """Return the mean of the published runs, or the figure of one run if each run has one, as written."""
    if not values:
        return None
    if run is None:
        return mean(map(decimal, values))
    return decimal(values[run]) if run < len(values) and len(values) > 1 else None


def difference_cell(contents: SuiteResults, row: Row, digits: int) -> str:
    """Format our mean minus the published one in points, with its 95 % interval if there is one."""
    ours, theirs = row.test_accuracy, published_figure(row.published.test_accuracy if row.published else None)
    if ours is None or theirs is None or not contents.is_published_dataset:
        return "–"
    judged = verdict_of(contents, row)
    interval = f" ({_interval(judged.difference, digits)})" if judged else ""
    return signed(ours.minus(theirs), digits) + interval


def verdict_cell(contents: SuiteResults, row: Row) -> str:
    """Format the verdict on a row's testing accuracy, or the reason why there is none."""
    published, ours = contents.suite.published, row.test_accuracy
    if published is None or row.published is None or row.published.test_accuracy is None:
        return "–"
    if not contents.is_published_dataset:
        return f"none: published on {published.dataset}"
    if ours is None:
        return "–"
    if not row.is_decided:
        return "none: how many seeds is not decided yet"
    judged = verdict_of(contents, row)
    if judged is None:
        return "none: one seed"
    if judged.finding != "open":
        return WORDS[judged.finding]
    runs = max(len(row.published.test_accuracy), published.runs)
    obstacle = f"{'one' if runs == 1 else runs} published run{'s' * (runs > 1)}"
    exact = verdict_of(contents, row, is_rounded=False)
    if exact and (exact.finding != "open" or exact.seeds is not None):
        obstacle = f"published in steps of {100 * rounding(published):g} points"
    return f"{WORDS[judged.finding]}: {_way_out(judged, ours, obstacle)}"


def _way_out(judged: Verdict, ours: Summary, obstacle: str) -> str:
    """Return in words how many seeds would settle the verdict, or why no number can."""
    if judged.difference.standard_error == 0:
        return f"all {ours.n} seeds are equal"
    if judged.seeds is None:
        return f"no number of our seeds can: {obstacle}"
    if judged.seeds > _MOST_SEEDS:
        return f"more than {_MOST_SEEDS:,} seeds would settle it"
    return f"about {judged.seeds} seeds would settle it"


def verdict_notes(contents: SuiteResults, digits: int) -> list[str]:
    """Return sentences on the rules of the verdicts and on the result without equal variances."""
    published = contents.suite.published
    rows = [row for row in contents.rows if not contents.hides_test(row)]
    judged = {row.name: found for row in rows if (found := verdict_of(contents, row))}
    if published is None or not judged:
        return []
    margin = f"±{published.margin_points:g} points"
    several = {name: found for name, found in judged.items() if found.sensitivity}
    kinds = []
    if len(several) < len(judged):
        runs = f"the mean of {published.runs} runs" if published.runs > 1 else "one run"
        kinds.append(
            f"{runs} was published, without a spread: it is taken to spread as ours do, "
            "and the interval is the prediction interval for it"
        )
    if several:
        kinds.append("several runs were published: the interval is that of the pooled t, for equal variances")
    slack = 50 * rounding(published)
    wider = (
        f" Published figures may be off by {slack:g} points, for their digits; every interval is wider by "
        "that."
    )
    lines = [
        "Verdicts are on testing accuracy. REPRODUCED: the difference's 90 % interval lies within "
        f"{margin} (two one-sided t-tests at 5 %). DIFFERS: it does not, and the 95 % interval, which is "
        f"shown, leaves out 0. {_capital('; '.join(kinds))}.{wider * (slack > 0)}"
    ]
    if several:
        each = "; ".join(
            f"{name} {signed(other.estimate, digits)} ({_interval(other, digits)}), "
            f"{WORDS[finding(other, published.margin_points / 100)]}"
            for name, found in several.items()
            if (other := found.sensitivity)
        )
        lines.append(f"Without equal variances (Welch's t): {each}.")
    return lines


def _interval(difference: Difference, digits: int) -> str:
    low, high = difference.interval_of_fractions()
    return f"{signed(low, digits)} to {signed(high, digits)}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
