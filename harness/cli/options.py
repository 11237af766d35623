"""Arguments and options that commands share, and their parsing."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from harness.cli import bounds
from harness.results.record import EngineName


class Device(StrEnum):
    """Kind of device to train on."""

    cpu = "cpu"
    cuda = "cuda"


class PlacementChoice(StrEnum):
    """Placement of trials on ranks."""

    auto = "auto"
    ddp = "ddp"
    spread = "spread"


class EngineChoice(StrEnum):
    """Engine that executes the steps."""

    auto = "auto"
    eager = "eager"
    graph = "graph"

    @property
    def name_or_none(self) -> EngineName | None:
        """Return the requested engine, or None for the device's default."""
        return None if self is EngineChoice.auto else "eager" if self is EngineChoice.eager else "graph"


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
    typer.Option("--set", metavar="KEY=VALUE", help="Change a setting of all experiments; repeatable."),
]
Results = Annotated[Path, typer.Option("--results", help="The folder of records and tables.")]
Into = Annotated[
    list[Path] | None,
    typer.Option(
        "--into",
        metavar="FILE",
        help="Fill a Markdown file's tables too, each between <!-- harness:table NAME --> and "
        "<!-- /harness --> and not in code; repeatable. If one of the files is wrong, nothing is written.",
    ),
]
Check = Annotated[
    bool,
    typer.Option(
        "--check",
        help="Write nothing; show which tables, figures and pages are not as the records say, and exit with "
        "1 if any is or a record is damaged. It does not show that the records are true.",
    ),
]
Html = Annotated[
    bool,
    typer.Option(
        "--html",
        help="Write a page of all results too, index.html; where there is one it is kept as the records say.",
    ),
]
DataDir = Annotated[
    Path | None, typer.Option("--data-dir", help="A folder with the official files of datasets.")
]
Only = Annotated[
    list[str] | None,
    typer.Option("--only", metavar="EXPERIMENT", help="Only this experiment; repeatable."),
]
SeedList = Annotated[
    str | None, typer.Option("--seeds", metavar="1,2", help="Train these of the suite's seeds only.")
]
DeviceOption = Annotated[
    Device | None, typer.Option("--device", help="Where to train. Default: GPUs where there are any.")
]
Ranks = Annotated[
    int | None,
    bounds.whole("--nproc", 1, 1024, "Ranks to start. Default: one a GPU, else one a core."),
]
PlacementOption = Annotated[
    PlacementChoice,
    typer.Option(
        "--placement", help="ddp: all ranks train one trial; spread: each its own; auto: as measured."
    ),
]
Engine = Annotated[
    EngineChoice,
    typer.Option("--engine", help="How steps are executed. Default: captured graphs on a GPU, else eager."),
]
TrialsPerDevice = Annotated[
    int | None,
    bounds.whole("--trials-per-device", 1, 24, "Trials at once, on each device. Default: measured."),
]
Calibrate = Annotated[
    bool,
    typer.Option(
        "--calibrate/--no-calibrate", help="Let `--placement auto` measure a few steps of every way, once."
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
        "--checkpoint-every", 0.001, "How often a state is saved within an epoch; one is after each."
    ),
]
StaleAfter = Annotated[
    str,
    bounds.duration(
        "--stale-after",
        0.1,
        "How long another run that trains the same suite may give no sign of life.",
        envvar="HARNESS_STALE_SECONDS",
    ),
]
Wait = Annotated[
    bool,
    typer.Option(
        "--wait/--no-wait", help="Wait for trials that other runs hold, to take over what they leave."
    ),
]
MaxRestarts = Annotated[
    int,
    bounds.whole("--max-restarts", 0, 1000, "How often all ranks start again after one has crashed."),
]
RetryDiverged = Annotated[bool, typer.Option("--retry-diverged", help="Train diverged trials again.")]
Retrain = Annotated[
    list[str] | None,
    typer.Option(
        "--retrain",
        metavar="EXPERIMENT",
        help="Set this experiment's records aside (they stay beside the new ones as superseded and are in no "
        "table) and train it again; repeatable. Given again before all of it is done, what was trained "
        "since stays, unless the user's code has changed. `submit` sets aside at once.",
    ),
]
SaveModel = Annotated[bool, typer.Option("--save-model", help="Leave the final weights beside each record.")]
Log = Annotated[
    list[str] | None,
    typer.Option(
        "--log",
        metavar="TRACKER",
        help="Log every epoch to tensorboard too, or to your own package.module:callable; repeatable.",
    ),
]
