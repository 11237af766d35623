"""The page on simulated verdicts: tables, and what they mean for someone who has three seeds."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from dataclasses import replace

from benchmarks.simulated_advice import AT_LEAST, CAP, HALF_WIDTH_POINTS
from benchmarks.simulated_results import DIFFERENCES, EDGE, HALF_WIDTHS, LOOKS_CAP, SEEDS, ByN, Name, Results
from benchmarks.simulated_verdicts import IMAGES, MEAN, ONE_RUN, POOLED, Case
from harness.markdown import table


def page(results: Results, today: str) -> str:
    """Write the tables, and what they mean."""
    plain, other = results.of(plain=True), results.of(plain=False)

    def by_seeds(names: list[Name], cell: Callable[[ByN, int], str]) -> str:
        rows = [[*_row(*name), *(cell(results.rates[name], n) for n in SEEDS)] for name in names]
        return table(["Published", "seeds spread by", *(f"n = {n}" for n in SEEDS)], rows)

    def alarm(found: ByN, n: int) -> str:
        return percent(found[n, 0.0].differs, 1)

    def false(found: ByN, n: int) -> str:
        return percent(found[n, EDGE].reproduced, 1)

    parts = [
        "# Verdicts beside published figures, simulated",
        "## What it means if you have three seeds",
        meaning(results),
        "## DIFFERS, though there is no difference (5 % at most is right)",
        by_seeds(plain, alarm),
        f"## REPRODUCED, though the true difference is the margin, {EDGE:g} points (5 % at most is right)",
        by_seeds(plain, false),
        "## REPRODUCED, where there is no difference (more is better)",
        by_seeds(plain, lambda found, n: percent(found[n, 0.0].reproduced)),
        f"## DIFFERS, where the true difference is {EDGE:g} / 1 / 2 points (more is better)",
        by_seeds(plain, lambda found, n: " / ".join(percent(found[n, d].differs) for d in DIFFERENCES[1:])),
        "## Where seeds are not as the formulas suppose",
        "DIFFERS, though there is no difference / REPRODUCED, though the difference is the margin:",
        by_seeds(other, lambda found, n: f"{alarm(found, n)} / {false(found, n)}"),
        "## Seeds added because of what was found",
        followed_table(results),
        "## The 95 % interval of a mean: how often it holds the true one",
        coverage_table(results),
        "## How many seeds, left to the results: 95 % is right",
        size_table(results),
        "## How it was made",
        how_it_was_made(results, today),
    ]
    return "\n\n".join(parts) + "\n"


def percent(share: float, digits: int = 0) -> str:
    """Write a share as a percentage."""
    return f"{100 * share:.{digits}f} %"


def _row(case: Case, std: float) -> list[str]:
    spread = f"{std:g} points"
    if case.ratio != 1:
        spread += f", theirs by {std * case.ratio:g}"
    if case.low:
        spread += f", {percent(case.low)} of runs end {5 * std:g} lower"
    return [case.name, spread]


def followed_table(results: Results) -> str:
    """Write what comes of looking again, and of looking once after a number that the spread decided."""
    head = ["Seeds", "Published", "seeds spread by", "DIFFERS, though there is no difference"]
    head += [
        "REPRODUCED, though the difference is the margin",
        f"told a number up to {CAP}",
        "which settles it",
    ]
    rules = {
        "three, then as many as INCONCLUSIVE asks for, again and again": results.followed,
        f"as many as the spread of the first {AT_LEAST} asks for (Stein)": results.adapted,
    }
    rows = [
        [
            rule,
            *_row(*name),
            percent(found[0.0].rates.differs, 1),
            percent(found[EDGE].rates.reproduced, 1),
            percent(found[0.0].advised) if found[0.0].advised else "",
            percent(found[0.0].settled) if found[0.0].advised else "",
        ]
        for rule, by_name in rules.items()
        for name, found in by_name.items()
    ]
    return table(head, rows)


def coverage_table(results: Results) -> str:
    """Write the coverage of both intervals."""
    rows = [
        [name, *(percent(each[n].held, 1) for n in SEEDS)]
        for name, each in (("t", results.students), ("percentile bootstrap", results.bootstraps))
    ]
    return table(["Interval", *(f"n = {n}" for n in SEEDS)], rows)


def size_table(results: Results) -> str:
    """Write what rules for the number of seeds cover and cost."""
    head = ["Rule", "at least"]
    for half in HALF_WIDTHS:
        head += [f"covers, half-width {half:g} standard deviations", "mean seeds", "stopped by the cap"]
    rows = []
    for (rule, first), found in results.sizes.items():
        cells = [(percent(each.held, 1), f"{each.seeds:.1f}", percent(each.capped)) for each in found]
        rows.append([rule, str(first), *(text for each in cells for text in each)])
    return table(head, rows)


def meaning(results: Results) -> str:
    """Write what the figures mean for someone who has three seeds and is no statistician."""
    judged = [results.rates[name] for name in results.of(plain=True) if name[0].formula == "pooled"]
    alarm = max(found[n, 0.0].differs for found in judged for n in SEEDS)
    false = max(found[n, EDGE].reproduced for found in judged for n in SEEDS)
    return _list(
        f"**A verdict is seldom wrong.** Where nothing differs, at most {percent(alarm, 1)} of reports say "
        f"DIFFERS; where the true difference is as large as the margin of {EDGE:g} points, at most "
        f"{percent(false, 1)} say REPRODUCED. That is for one verdict: in a table of twenty rows, expect up "
        "to one that is wrong.",
        *_power(results),
        _added_seeds(results),
        _wider_published_runs(results),
        "With three seeds, the 95 % interval of your mean holds the true one in "
        f"{percent(results.students[3].held, 1)} of reports; a percentile bootstrap's in "
        f"{percent(results.bootstraps[3].held, 1)}. Whatever the verdict, that of the difference says how "
        "large a difference is still possible.",
    )


def _power(results: Results) -> list[str]:
    """Write how often a verdict comes out, where nothing differs and where something does."""
    one, wide, mean = (results.rates[name] for name in ((ONE_RUN, 0.2), (ONE_RUN, 0.5), (MEAN, 0.2)))

    def reproduced(found: ByN) -> str:
        return ", ".join(f"{percent(found[n, 0.0].reproduced)} with {n}" for n in SEEDS)

    def differs(n: int) -> str:
        return ", ".join(f"{percent(one[n, each].differs)} for {each:g}" for each in DIFFERENCES[1:])

    return [
        "**It is often missing.** Where your seeds spread by 0.2 points (their standard deviation) and one "
        "published run is from the very same distribution, REPRODUCED comes out in "
        f"{reproduced(one)} seeds; beside the mean of three runs, in {reproduced(mean)}. INCONCLUSIVE says "
        "that nothing was shown: not that something is wrong, and not that all is the same.",
        "**Seeds that spread by as much as the margin settle little.** At 0.5 points, beside one published "
        f"run: {reproduced(wide)} seeds. The one run that was published is too uncertain, and no number of "
        "yours can change that.",
        "**Large differences show.** At a spread of 0.2 points, three seeds say DIFFERS of a true difference "
        f"in {differs(3)} points; five seeds in {differs(5)}.",
    ]


def _added_seeds(results: Results) -> str:
    """Write what comes of seeds that are added because of a verdict."""
    advice = results.followed[ONE_RUN, 0.2]
    again = max(found[0.0].rates.differs for found in results.followed.values())
    again_false = max(found[EDGE].rates.reproduced for found in results.followed.values())
    once = max(found[0.0].rates.differs for found in results.adapted.values())
    return (
        "**The number of seeds that would settle it is a guess**, as three seeds tell their spread badly: it "
        f"settles {percent(advice[0.0].settled)} of the reports that train so many (first row of the table "
        "of added seeds). And looking again until something is found finds more that is not there: up to "
        f"{percent(again, 1)} wrong DIFFERS, {percent(again_false, 1)} wrong REPRODUCED. Seeds whose number "
        f"the spread of the first alone decides keep the promise: {percent(once, 1)} wrong DIFFERS at most."
    )


def _wider_published_runs(results: Results) -> str:
    """Write what comes of published runs that spread more than one's own."""
    blind = results.rates[replace(ONE_RUN, ratio=2.5), 0.2]
    pooled = results.rates[replace(POOLED, ratio=2.5), 0.2]
    return (
        "**All of it supposes that a published run is one like any of yours.** If it was picked as the best, "
        "or their runs spread more, DIFFERS comes out too often: where theirs spread 2.5 times as much, in "
        f"{percent(blind[3, 0.0].differs)} of reports with three seeds and {percent(blind[20, 0.0].differs)} "
        "with twenty, though nothing differs. With one published run nobody can check that. Beside three "
        f"published values it is {percent(pooled[3, 0.0].differs)} and {percent(pooled[20, 0.0].differs)}: "
        "count on a verdict where the line of Welch's t says the same."
    )


def how_it_was_made(results: Results, today: str) -> str:
    """Write what was simulated."""
    fewer = max(results.trials // 10, 1)
    error, more = (1.96 * (0.05 * 0.95 / each) ** 0.5 for each in (results.trials, fewer))
    return _list(
        f"{results.trials:,} simulated reports for each figure ({fewer:,} for added seeds and the "
        f"bootstrap): one of 5 % is uncertain by {100 * error:.2f} points ({100 * more:.2f}) to either side.",
        f"Accuracies near 90 % of {IMAGES:,} test images, normal, in steps of one image; published ones "
        f"rounded to 0.01 points, intervals widened by half of that. Margin {EDGE:g} points.",
        "Of each figure's reports 100 are held against `harness/report/verdict.py`; it alone judges added "
        "seeds.",
        f"Added seeds: {CAP} in all at most. Stein: so that the 95 % interval is {HALF_WIDTH_POINTS:g} "
        "points wide to either side.",
        "Intervals: no steps; half-widths in standard deviations of seeds, so 0.1 points where seeds spread "
        f"by 0.2 and by 0.5. Looking after every seed ends at {LOOKS_CAP}.",
        f"{today}. Made with `python -m benchmarks.verdicts --trials {results.trials}`.",
    )


def _list(*items: str) -> str:
    return "\n".join(
        textwrap.fill(item, 110, initial_indent="- ", subsequent_indent="  ", break_on_hyphens=False)
        for item in items
    )
