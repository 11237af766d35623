"""Markdown output of a comparison, the same bytes for the same records."""

from __future__ import annotations

from harness import markdown
from harness.markdown import escaped
from harness.report.compare.contrast import Contrast
from harness.report.compare.notes import notes
from harness.report.compare.pairing import ComparedTable
from harness.report.counted_epochs import figures_are
from harness.stats import Summary

_COLUMNS = ("Experiment", "Figure", "A", "B", "n", "B - A (95 % interval)", "Verdict")


def text(table: ComparedTable, margin_points: float) -> str:
    """Return a heading, the table, its notes, and an explanation of how to read it."""
    rows = [
        list(map(escaped, [row.name if number == 0 else "″", *_cells(each, margin_points)]))
        for row in table.rows
        for number, each in enumerate(row.contrasts)
    ]
    parts = [
        f"## {_code(table.b.label)} beside {_code(table.a.label)}",
        f"A: {_code(table.a.label)}. B: {_code(table.b.label)}.",
        markdown.table(_COLUMNS, rows)
        if table.rows
        else "There is nothing to compare: no experiment is in both.",
        "\n".join(f"- {escaped(note)}" for note in notes(table)),
        "\\\n".join(_explained(table, margin_points)),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _cells(each: Contrast, margin_points: float) -> list[str]:
    metric, n = each.metric, [side.n if side else 0 for side in (each.a, each.b)]
    count = f"{n[0]} and {n[1]}" if each.pairs is None else f"{n[0]} pair{'s' * (n[0] > 1)}"
    difference = "–"
    if each.estimate is not None:
        difference = f"{metric.amount(each.estimate)}{metric.unit}"
    if each.difference is not None and each.has_spread:
        is_accuracy = metric.kind == "accuracy"
        found = each.difference.interval_of_fractions() if is_accuracy else each.difference.interval()
        low, high = map(metric.amount, found)
        difference += f" ({low} to {high})"
    return [
        metric.title,
        *(_mean(each, side) for side in (each.a, each.b)),
        count,
        difference,
        each.verdict(margin_points),
    ]


def _mean(each: Contrast, side: Summary | None) -> str:
    if side is None:
        return "–"
    return each.metric.figure(side.mean) + (
        f" ± {each.metric.figure(side.std)}" if side.std is not None else ""
    )


def _explained(table: ComparedTable, margin_points: float) -> list[str]:
    contrasts = [each for row in table.rows for each in row.contrasts]
    if not contrasts:
        return []
    entries = [each for row in table.rows for side in (row.a, row.b) for each in side.row.entries]
    figures = figures_are(each.trial.settings.training for each in entries)
    lines = [f"{figures}, mean ± sample standard deviation over n seeds."]
    if any(each.pairs for each in contrasts):
        lines.append("Pairs are trials of one seed: the mean of their differences, with Student's t.")
    if any(each.pairs is None and each.difference for each in contrasts):
        lines.append("n and n: too few seeds are on both sides; the difference of means, with Welch's t.")
        if any(side.row.deciding for row in table.rows for side in (row.a, row.b)):
            lines.append(
                "If results decided the number of seeds, Welch's t uses the spread of the first ones."
            )
    lines += [
        f"EQUIVALENT: the 90 % interval, in parentheses, lies within ±{margin_points:g} points (two "
        "one-sided tests at 5 % each); losses and speeds have no such margin.",
        "HIGHER, LOWER, FASTER, SLOWER: the 95 % interval excludes equality. IDENTICAL: equal "
        "figures in every pair. INCONCLUSIVE: none of these is shown.",
        "Speeds are compared by the ratio B / A of geometric means. Other load on a machine affects them.",
    ]
    judged = sum(each.has_spread and not each.obstacle for each in contrasts)
    if judged > 5:
        lines.append(
            f"Each verdict stands alone: of these {judged} intervals about one in twenty misses the true "
            "difference."
        )
    return lines


def _code(text: str) -> str:
    return f"`{' '.join(text.split()).replace('`', chr(39))}`"
