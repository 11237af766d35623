"""`harness run` and `drill`: the commands that train."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli import bounds
from harness.cli.bounds import seconds_of
from harness.cli.choices import chosen_seeds, known_experiments, retrained
from harness.cli.options import (
    Calibrate,
    Changes,
    CheckpointEvery,
    DataDir,
    DataOn,
    DataOnChoice,
    DeviceOption,
    EngineChoice,
    EngineOption,
    Log,
    MaxRestarts,
    OneSuite,
    Only,
    PlacementChoice,
    PlacementOption,
    RanksOption,
    Results,
    Retrain,
    RetryDiverged,
    SaveModel,
    SeedList,
    StaleAfter,
    Suites,
    Timeout,
    TrialsPerDevice,
    Wait,
)
from harness.cli.submit_options import (
    parameters_of,
    written,
)
from harness.cli.suites import load, loaded
from harness.config import packaged_suite, resolved
from harness.config.suite import Suite, chosen
from harness.results.store import Store
from harness.runner.launch import handover
from harness.tracking.console import say

if TYPE_CHECKING:
    from harness.runner.request import Request


def run(
    suites: Suites,
    only: Only = None,
    seeds: SeedList = None,
    changes: Changes = None,
    results: Results = Path("results"),
    data_dir: DataDir = None,
    device: DeviceOption = None,
    nproc: RanksOption = None,
    placement: PlacementOption = PlacementChoice.auto,
    engine: EngineOption = EngineChoice.auto,
    data_on: DataOn = DataOnChoice.auto,
    trials_per_device: TrialsPerDevice = None,
    calibrate: Calibrate = True,
    timeout: Timeout = 600.0,
    checkpoint_every: CheckpointEvery = "5m",
    stale_after: StaleAfter = "60s",
    wait: Wait = True,
    max_restarts: MaxRestarts = 10,
    retry_diverged: RetryDiverged = False,
    retrain: Retrain = None,
    save_model: SaveModel = False,
    log: Log = None,
) -> None:
    """Train the trials that are missing, then write and print the suites' tables."""
    given = locals()
    store = Store(results)
    request = _request(
        given, handover.suites_to_train(lambda: loaded(suites, changes, store), os.environ, timeout)
    )

    from harness.runner.launch import launcher  # loads torch: after every check that needs none

    code = launcher.run(request, nproc, sys.argv[1:], os.environ)
    if code == 0 and "TORCHELASTIC_RUN_ID" not in os.environ:
        _tell_what_is_next(request)
    raise typer.Exit(code)


def _tell_what_is_next(request: Request) -> None:
    """Say what to try after the packaged suite."""
    if request.results != Path("results") or request.only or request.seeds:
        return  # these commands would not apply
    for suite in request.suites:
        path = suite.source.path if suite.source else None
        if path and packaged_suite.is_packaged(path) and not suite.changed:
            first, second = (f"{suite.folder}/{name}" for name in ("mlp", "conv"))
            say(f"\nnext: harness compare {first} {second}", sys.stdout)
            say("      harness report --html\n      harness init", sys.stdout)


def _request(given: Mapping[str, Any], suites: list[Suite]) -> Request:
    """Return what the options of `run` ask for; raise HarnessError where they are wrong."""
    only, seeds = known_experiments(given["only"] or [], suites), chosen_seeds(given["seeds"], suites)
    checkpoint_seconds = seconds_of("--checkpoint-every", given["checkpoint_every"])
    stale_seconds = seconds_of("--stale-after", given["stale_after"])

    from harness.runner.request import Request  # loads torch

    as_given = (
        "results",
        "data_dir",
        "trials_per_device",
        "calibrate",
        "wait",
        "max_restarts",
        "retry_diverged",
        "save_model",
    )
    return Request(
        suites=suites,
        only=only,
        seeds=seeds,
        retrain=retrained(given["retrain"] or [], only, suites),
        device=given["device"].value if given["device"] else None,
        placement=given["placement"].value,
        engine=given["engine"].name_or_none,
        data_on=given["data_on"].value,
        timeout_seconds=given["timeout"],
        checkpoint_seconds=checkpoint_seconds,
        stale_seconds=stale_seconds,
        log=given["log"] or [],
        **{name: given[name] for name in as_given},
    )


def drill(
    suite: OneSuite,
    only: Annotated[
        str | None, typer.Option("--only", metavar="EXPERIMENT", help="Drill this one. Default: the first.")
    ] = None,
    epochs: Annotated[int, bounds.whole("--epochs", 1, 1000, "How long the trial is.")] = 3,
    changes: Changes = None,
    data_dir: DataDir = None,
    device: DeviceOption = None,
    nproc: Annotated[
        int | None,
        bounds.whole("--nproc", 1, 1024, "Ranks to start. Default: 2, or 1 where there is one GPU."),
    ] = None,
) -> None:
    """Interrupt a short trial in several ways; check that its record stays the same.

    It is trained in float64, in a temporary folder: nothing of the suite's results is read or written.
    """
    from harness.runner.fault_drill import FaultDrill
    from harness.runner.launch import torchrun

    settings = [*(changes or []), "training.precision=fp64", f"training.epochs={epochs}"]
    resolved_suite = load(suite, settings)
    names = known_experiments([only] if only else [], [resolved_suite])
    trial = chosen([resolved_suite], names, [])[0]
    given = {"only": [trial.experiment], "seeds": str(trial.seed), "checkpoint_every": "1s"} | {
        "data_dir": data_dir,
        "device": device,
    }
    most = torchrun.ranks_here(nproc, device.value if device else None, None, os.environ).gpus or None
    ranks = nproc or min(2, most or 2)
    print(f"{trial.key}, {epochs} epochs in float64, {ranks} rank{'s' * (ranks > 1)}")  # noqa: T201
    with TemporaryDirectory(prefix="harness-drill-") as folder:
        frozen = Path(folder) / "suite.json"
        frozen.write_text(resolved.to_json(resolved_suite), encoding="utf-8")
        arguments = written(parameters_of(run), {**given, "suites": [frozen]})
        drill = FaultDrill(trial, arguments, ranks, Path(folder), os.environ, most)
        is_equal = drill.tell(lambda text: print(text, flush=True))  # noqa: T201
    raise typer.Exit(0 if is_equal else 1)
