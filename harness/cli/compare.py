"""`harness compare`: differences between two folders of results."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from harness.cli import bounds
from harness.cli.options import Results
from harness.errors import UsageError
from harness.results.metrics import COMPARED

First = Annotated[
    str,
    typer.Argument(
        metavar="A",
        help="Results to compare with: an experiment's (suite/experiment), a suite's, or a folder of "
        "several; a path, or a name under --results.",
        show_default=False,
    ),
]
Second = Annotated[str, typer.Argument(metavar="B", help="Results of the same kind.", show_default=False)]
Margin = Annotated[float, bounds.points("--margin-points", "Accuracies that differ by less are equivalent.")]
FailIf = Annotated[
    list[str] | None,
    typer.Option(
        "--fail-if",
        metavar="worse:METRIC:AMOUNT",
        help="Leave with 1 where B is shown to be worse than A by more than AMOUNT (a one-sided t-test at "
        "5 %: noise alone fails one row in twenty at most), with 2 where a row cannot be judged; repeatable. "
        f"METRIC: {', '.join(COMPARED)}, samples_per_second_percent.",
    ),
]


def compare(
    a: First,
    b: Second,
    results: Results = Path("results"),
    margin_points: Margin = 0.5,
    fail_if: FailIf = None,
) -> None:
    """Compare two experiments, suites or folders of results: accuracy, loss and speed."""
    from harness.report import compare as comparing

    gates = comparing.gates(fail_if or [])
    table = comparing.table(comparing.find(a, results), comparing.find(b, results))
    print(comparing.text(table, margin_points), end="")  # noqa: T201
    failures = list(comparing.broken(gates, table))
    unjudged = list(comparing.unjudged(gates, table))
    passed_over = list(comparing.passed_over(gates, table))
    for line in [*table.errors, *passed_over, *failures, *(unjudged if failures else [])]:
        print(line, file=sys.stderr)  # noqa: T201
    if failures:
        raise typer.Exit(1)
    if unjudged:
        raise UsageError("\n".join(unjudged))
    raise typer.Exit(int(bool(table.errors)))
