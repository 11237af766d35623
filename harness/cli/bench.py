"""`harness bench`: how fast a suite trains on this machine, or what a step of it asks of any device."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from harness.cli import bounds
from harness.cli.choices import known_experiments
from harness.cli.options import (
    Changes,
    DataDir,
    DataOn,
    DataOnChoice,
    DeviceOption,
    OneSuite,
    Only,
    RanksOption,
    Results,
    Timeout,
)
from harness.cli.suites import load
from harness.errors import UsageError, nearest
from harness.runner.bench.roofline import CARDS
from harness.runner.launch import handover

_OF_MEASURING = ("seconds", "device", "nproc", "timeout")

Count = Annotated[
    bool,
    typer.Option(
        "--count",
        help="Measure nothing and need no GPU: count a step's operations, bytes, FLOPs and collectives, and "
        "show the images/s that the limits of cards allow. Writes results/bench/count/<suite>.md and .json.",
    ),
]
Cards = Annotated[
    list[str] | None,
    typer.Option(
        "--card",
        metavar="CARD",
        help=f"With --count: show the limits of this card only ({', '.join(CARDS)}); repeatable.",
    ),
]
Seconds = Annotated[float, bounds.seconds("--seconds", 1, bounds.WEEK_SECONDS, "How long to measure, about.")]


def bench(
    context: typer.Context,
    suite: OneSuite,
    only: Only = None,
    changes: Changes = None,
    count: Count = False,
    card: Cards = None,
    seconds: Seconds = 120.0,
    results: Results = Path("results"),
    data_dir: DataDir = None,
    data_on: DataOn = DataOnChoice.auto,
    device: DeviceOption = None,
    nproc: RanksOption = None,
    timeout: Timeout = 600.0,
) -> None:
    """Measure a suite's training speed on this machine, by precision, placement and engine.

    Writes results/bench/<device>/<suite>.md and .json.
    """
    _check_choices(context, card or [], count=count)
    chosen = handover.suites_to_train(lambda: [load(suite, changes)], os.environ, timeout)
    names = known_experiments(only or [], chosen)
    from harness.runner.request import Request  # loads torch

    given: dict[str, Any] = {"results": results, "data_dir": data_dir, "timeout_seconds": timeout}
    request = Request(chosen, names, device=device and device.value, data_on=data_on.value, **given)
    if count:
        from harness.runner.bench.count import write_counts

        print(write_counts(request, card or list(CARDS), os.environ))  # noqa: T201
        return

    from harness.runner.launch import measuring

    measuring.bench(request, nproc, seconds, sys.argv[1:], os.environ)


def _check_choices(context: typer.Context, cards: list[str], *, count: bool) -> None:
    """Raise UsageError for an option of the other kind of benchmark, or for an unknown card."""
    if cards and not count:
        raise UsageError("--card: found no --count beside it, which alone shows the limits of cards; add it")
    for name in cards:
        if name not in CARDS:
            raise UsageError(f"--card {name}: no such card; {nearest(name, CARDS)}")
    for name in _OF_MEASURING if count else ():
        source = context.get_parameter_source(name)
        if source is not None and source.name != "DEFAULT":
            raise UsageError(f"--{name}: found --count beside it, which measures nothing; leave one out")
