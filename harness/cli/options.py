"""Arguments and options that commands share, and their parsing."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, cast

import typer

from harness import environment
from harness.cli import bounds
from harness.results.record import EngineName
from harness.tracking import TRACKERS

TRACKER_NAMES = ", ".join(each.name for each in TRACKERS)


class Device(StrEnum):
    """Kind of device to train on."""

    cpu = "cpu"
    cuda = "cuda"


class PlacementChoice(StrEnum):
    """Placement of trials on ranks."""

    auto = "auto"
    ddp = "ddp"
    spread = "spread"


class DataOnChoice(StrEnum):
    """Place of the samples while trials train."""

    auto = "auto"
    device = "device"
    host = "host"


class EngineChoice(StrEnum):
    """Engine that executes the steps."""

    auto = "auto"
    eager = "eager"
    graph = "graph"
    compiled = "compiled"

    @property
    def name_or_none(self) -> EngineName | None:
        """Return the requested engine, or None for the device's default."""
        return None if self is EngineChoice.auto else cast(EngineName, self.value)


OneSuite = Annotated[Path, typer.Argument(help="A suite: a YAML file, or quickstart.", show_default=False)]
Suites = Annotated[
    list[Path],
    typer.Argument(
        help="Suites: YAML files, suite.json files, - for standard input, or quickstart, the packaged suite.",
        show_default=False,
    ),
]
SuiteNames = Annotated[
    list[str] | None,
    typer.Argument(
        help="Suites: files as for `run`, or names of folders with results. Default: all results."
    ),
]
Changes = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a setting in all experiments; repeatable."),
]
Results = Annotated[Path, typer.Option("--results", help="The folder of records and tables.")]
Into = Annotated[
    list[Path] | None,
    typer.Option(
        "--into",
        metavar="FILE",
        help="Also fill a Markdown file's tables, each between <!-- harness:table NAME --> and "
        "<!-- /harness --> outside of code; repeatable. If one of the files is wrong, nothing is written.",
    ),
]
Check = Annotated[
    bool,
    typer.Option(
        "--check",
        help="Write nothing; list the tables, figures and pages that differ from what the records say. Exit "
        "with 1 if there are any, or if a record is damaged. It does not show that the records are true.",
    ),
]
Html = Annotated[
    bool,
    typer.Option(
        "--html",
        help="Also write index.html, a page of all results. Once it exists, every report updates it.",
    ),
]
DataDir = Annotated[
    Path | None, typer.Option("--data-dir", help="A folder with the datasets' official files.")
]
Only = Annotated[
    list[str] | None,
    typer.Option("--only", metavar="EXPERIMENT", help="Select this experiment only; repeatable."),
]
SeedList = Annotated[
    str | None, typer.Option("--seeds", metavar="1,2", help="Train only these of the suite's seeds.")
]
DeviceOption = Annotated[
    Device | None, typer.Option("--device", help="Where to train. Default: GPUs where there are any.")
]
RanksOption = Annotated[
    int | None,
    bounds.whole(
        "--nproc",
        1,
        1024,
        "Number of ranks. Default: one per GPU; on a CPU, one per trial, at most one per core.",
    ),
]
PlacementOption = Annotated[
    PlacementChoice,
    typer.Option(
        "--placement",
        help="ddp: all ranks train one trial; spread: each rank trains its own; auto: the faster one, as "
        "measured.",
    ),
]
EngineOption = Annotated[
    EngineChoice,
    typer.Option(
        "--engine",
        help="How steps are executed. Default: captured graphs on a GPU, else eager. compiled: graphs of a "
        "model compiled by torch, for trials that one rank trains.",
    ),
]
DataOn = Annotated[
    DataOnChoice,
    typer.Option(
        "--data-on",
        help="Where the samples are kept: the device, or the host's memory with the next batches read ahead; "
        "auto: the host if they need more than half of a GPU's free memory. The numbers are the same.",
    ),
]
TrialsPerDevice = Annotated[
    int | None,
    bounds.whole(
        "--trials-per-device", 1, 24, "Trials at once on a device. Default: the fastest number, as measured."
    ),
]
Calibrate = Annotated[
    bool,
    typer.Option(
        "--calibrate/--no-calibrate",
        help="Let `--placement auto` time a few steps of each way to train, once.",
    ),
]
Timeout = Annotated[
    float,
    bounds.seconds(
        "--timeout", 1, bounds.WEEK_SECONDS, "Seconds without a step after which a trial counts as failed."
    ),
]
CheckpointEvery = Annotated[
    str,
    bounds.duration(
        "--checkpoint-every",
        0.001,
        "How often state is saved within an epoch; it is also saved after each epoch.",
    ),
]
StaleAfter = Annotated[
    str,
    bounds.duration(
        "--stale-after",
        0.1,
        "How long another run may go without a heartbeat before its trials are taken over.",
        envvar=environment.STALE_SECONDS,
    ),
]
Wait = Annotated[
    bool,
    typer.Option(
        "--wait/--no-wait", help="Wait for trials that another run trains, and take them over if it dies."
    ),
]
MaxRestarts = Annotated[
    int,
    bounds.whole("--max-restarts", 0, 1000, "How often all ranks are started again after one has crashed."),
]
RetryDiverged = Annotated[bool, typer.Option("--retry-diverged", help="Train diverged trials again.")]
Retrain = Annotated[
    list[str] | None,
    typer.Option(
        "--retrain",
        metavar="EXPERIMENT",
        help="Set this experiment's records aside and train it again; repeatable. The old records stay "
        "beside the new ones as superseded and are in no table. After an interruption the same command keeps "
        "the trials trained since, unless your code has changed once more. `submit` sets records aside at "
        "once.",
    ),
]
SaveModel = Annotated[bool, typer.Option("--save-model", help="Save the final weights beside each record.")]
Log = Annotated[
    list[str] | None,
    typer.Option(
        "--log",
        metavar="TRACKER",
        help=f"Also log every epoch to {TRACKER_NAMES}, or to your own package.module:callable; repeatable.",
    ),
]
