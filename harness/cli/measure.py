"""`harness bench` and `scale`: the commands that measure speed."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli import bounds
from harness.cli.choices import known_experiments
from harness.cli.options import (
    Changes,
    DataDir,
    Device,
    DeviceOption,
    Only,
    RanksOption,
    Results,
    Timeout,
)
from harness.cli.suites import load
from harness.config.suite import Suite
from harness.runner.launch import handover

if TYPE_CHECKING:
    from harness.runner.request import Request

SuiteFile = Annotated[Path, typer.Argument(help="A suite: a YAML file, or quickstart.", show_default=False)]
Seconds = Annotated[float, bounds.seconds("--seconds", 1, bounds.WEEK_SECONDS, "How long to measure, about.")]

_WORLDS = 1, 1024


def bench(
    suite: SuiteFile,
    only: Only = None,
    changes: Changes = None,
    seconds: Seconds = 120.0,
    results: Results = Path("results"),
    data_dir: DataDir = None,
    device: DeviceOption = None,
    nproc: RanksOption = None,
    timeout: Timeout = 600.0,
) -> None:
    """Measure a suite's training speed on this machine, by precision, placement and engine.

    Writes results/bench/<device>/<suite>.md and .json.
    """
    to_measure = handover.suites_to_train(lambda: [load(suite, changes)], os.environ, timeout)
    request = _request(to_measure, only, results, data_dir, device, timeout)

    from harness.runner.launch import measuring

    measuring.bench(request, nproc, seconds, sys.argv[1:], os.environ)


def scale(
    suite: SuiteFile,
    only: Only = None,
    changes: Changes = None,
    world: Annotated[
        str | None,
        bounds.whole_numbers(
            "--world",
            *_WORLDS,
            "How many ranks to train a trial on, beside one. Default: powers of two up to one per GPU; on a "
            "CPU, up to one per core.",
        ),
    ] = None,
    seconds: Seconds = 120.0,
    results: Results = Path("results"),
    data_dir: DataDir = None,
    device: DeviceOption = None,
    timeout: Timeout = 600.0,
) -> None:
    """Measure how a trial of each experiment scales over ranks: images/s, efficiency, collectives.

    Strong scaling has the ranks share the suite's batch, weak scaling gives each rank as many images.
    Writes results/bench/<device>/<suite>-scale.md, .json and .svg.
    """
    to_measure = handover.suites_to_train(lambda: [load(suite, changes)], os.environ, timeout)
    request = _request(to_measure, only, results, data_dir, device, timeout)

    from harness.runner.launch import measuring

    worlds = bounds.numbers_of("--world", world, *_WORLDS) if world else []
    measuring.scaling(request, worlds, seconds, sys.argv[1:], os.environ)


def _request(
    suites: list[Suite],
    only: list[str] | None,
    results: Path,
    data_dir: Path | None,
    device: Device | None,
    timeout: float,
) -> Request:
    names = known_experiments(only or [], suites)

    from harness.runner.request import Request  # loads torch

    return Request(
        suites=suites,
        only=names,
        results=results,
        data_dir=data_dir,
        device=device.value if device else None,
        timeout_seconds=timeout,
    )
