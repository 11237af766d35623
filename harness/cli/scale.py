"""`harness scale`: how a trial of each experiment scales over ranks."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

from harness.cli import bounds
from harness.cli.bench import Seconds
from harness.cli.choices import known_experiments
from harness.cli.options import (
    Changes,
    DataDir,
    DeviceOption,
    OneSuite,
    Only,
    Results,
    Timeout,
)
from harness.cli.suites import load
from harness.runner.launch import handover

_WORLDS = 1, 1024


def scale(
    suite: OneSuite,
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
    names = known_experiments(only or [], to_measure)

    from harness.runner.launch import measuring
    from harness.runner.request import Request  # loads torch

    request = Request(
        suites=to_measure,
        only=names,
        results=results,
        data_dir=data_dir,
        device=device.value if device else None,
        timeout_seconds=timeout,
    )
    worlds = bounds.numbers_of("--world", world, *_WORLDS) if world else []
    measuring.scaling(request, worlds, seconds, sys.argv[1:], os.environ)
