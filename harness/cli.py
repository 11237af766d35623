"""The commands. Alone in knowing argv, environment variables and exit codes."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from harness import __version__
from harness.arguments import (
    Calibrate,
    Changes,
    CheckpointEvery,
    DataDir,
    DeviceOption,
    Engine,
    EngineChoice,
    MaxRestarts,
    Only,
    PlacementChoice,
    PlacementOption,
    Ranks,
    Results,
    RetryDiverged,
    SaveModel,
    SeedList,
    StaleAfter,
    SuiteNames,
    Suites,
    Timeout,
    TrialsPerDevice,
    Wait,
    chosen_seeds,
    known_experiments,
    load,
    resolved,
    seconds_of,
)
from harness.errors import HarnessError
from harness.store import Store
from harness.submit_arguments import (
    Account,
    AllowChangedCode,
    Array,
    Constraint,
    CpusPerTask,
    DryRun,
    GpusPerNode,
    MailUser,
    Memory,
    Nodes,
    Partition,
    Qos,
    RanksPerNode,
    SbatchArguments,
    Setup,
    TimeLimit,
    written,
)
from harness.suite import chosen

app = typer.Typer(
    help="Train a report's experiments from several seeds, keep a record of each, and write its tables.",
    epilog="Exit codes: 0 all trials done; 1 some failed or diverged, or a record is unreadable; 2 wrong "
    "usage, suite or data; 130/143 interrupted, with everything finished saved.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.command()
def run(
    suites: Suites,
    only: Only = None,
    seeds: SeedList = None,
    changes: Changes = None,
    results: Results = Path("results"),
    data_dir: DataDir = None,
    device: DeviceOption = None,
    nproc: Ranks = None,
    placement: PlacementOption = PlacementChoice.auto,
    engine: Engine = EngineChoice.auto,
    trials_per_device: TrialsPerDevice = None,
    calibrate: Calibrate = True,
    timeout: Timeout = 600.0,
    checkpoint_every: CheckpointEvery = "5m",
    stale_after: StaleAfter = "60s",
    wait: Wait = True,
    max_restarts: MaxRestarts = 10,
    retry_diverged: RetryDiverged = False,
    save_model: SaveModel = False,
) -> None:
    """Train what the suites lack, then write and print their tables."""
    from harness import start
    from harness.request import Request

    loaded = [load(path, changes) for path in suites]
    request = Request(
        suites=loaded,
        only=known_experiments(only or [], loaded),
        seeds=chosen_seeds(seeds, loaded),
        results=results,
        data_dir=data_dir,
        device=device.value if device else None,
        placement=placement.value,
        engine=engine.name_or_none,
        trials_per_device=trials_per_device,
        calibrate=calibrate,
        timeout_seconds=timeout,
        checkpoint_seconds=seconds_of("--checkpoint-every", checkpoint_every),
        stale_seconds=seconds_of("--stale-after", stale_after),
        wait=wait,
        max_restarts=max_restarts,
        retry_diverged=retry_diverged,
        save_model=save_model,
    )
    raise typer.Exit(start.run(request, nproc, sys.argv[1:], os.environ))


@app.command()
def submit(
    suites: Suites,
    nodes: Nodes = None,
    gpus_per_node: GpusPerNode = None,
    cpus_per_task: CpusPerTask = None,
    nproc: RanksPerNode = None,
    mem: Memory = None,
    time: TimeLimit = None,
    partition: Partition = None,
    account: Account = None,
    qos: Qos = None,
    constraint: Constraint = None,
    mail_user: MailUser = None,
    setup: Setup = None,
    sbatch_arg: SbatchArguments = None,
    array: Array = None,
    allow_changed_code: AllowChangedCode = False,
    dry_run: DryRun = False,
    only: Only = None,
    seeds: SeedList = None,
    changes: Changes = None,
    results: Results = Path("results"),
    data_dir: DataDir = None,
    device: DeviceOption = None,
    placement: PlacementOption = PlacementChoice.auto,
    engine: Engine = EngineChoice.auto,
    trials_per_device: TrialsPerDevice = None,
    calibrate: Calibrate = True,
    timeout: Timeout = 600.0,
    checkpoint_every: CheckpointEvery = "5m",
    stale_after: StaleAfter = "60s",
    wait: Wait = True,
    retry_diverged: RetryDiverged = False,
    save_model: SaveModel = False,
) -> None:
    """Submit a SLURM job that trains what the suites lack, and one that writes their tables after it.

    What is not asked for is taken from harness/slurm.yaml in the user's folder of configurations.
    """
    given = locals() | {"nproc": None, "wait": wait and array is None}
    from harness.launch import slurm, slurm_options, time_limit

    for option, text in (("--checkpoint-every", checkpoint_every), ("--stale-after", stale_after)):
        seconds_of(option, text)  # a mistake is found before a job is
    loaded = [load(path, changes) for path in suites]
    trials = chosen(loaded, known_experiments(only or [], loaded), chosen_seeds(seeds, loaded))
    left = time_limit.left(Store(results), loaded, trials, os.environ, retry_diverged=retry_diverged)
    options = slurm_options.options(given | {"nproc": nproc}, os.environ)
    options, note = time_limit.with_time(options, left, array or 1)
    submission = slurm.Submission(
        name=f"harness:{'+'.join(suite.folder for suite in loaded)}",
        training=["run", *written(_parameters("run"), given)],
        report=["report", *written(_parameters("report"), given)],
        options=options,
        results=results.absolute(),
        code="" if allow_changed_code else slurm.code_of(trials),
        array=array,
    )
    if not left:
        print("nothing is left to train; `harness report` writes the tables", file=sys.stderr)  # noqa: T201
    elif note:
        print(note, file=sys.stderr)  # noqa: T201
    if dry_run:
        print(submission.shown())  # noqa: T201
    elif left:
        print(submission.submit(os.environ))  # noqa: T201


@app.command()
def bench(
    suite: Annotated[Path, typer.Argument(help="A suite: a YAML file.", show_default=False)],
    only: Only = None,
    changes: Changes = None,
    seconds: Annotated[float, typer.Option("--seconds", help="How long to measure, about.", min=1)] = 120.0,
    results: Results = Path("results"),
    data_dir: DataDir = None,
    device: DeviceOption = None,
    nproc: Ranks = None,
    timeout: Timeout = 600.0,
) -> None:
    """Measure how fast a suite's trials train here, in every precision and every way to execute them.

    Writes results/bench/<device>/<suite>.md and .json.
    """
    from harness import start
    from harness.request import Request

    loaded = load(suite, changes)
    request = Request(
        suites=[loaded],
        only=known_experiments(only or [], [loaded]),
        results=results,
        data_dir=data_dir,
        device=device.value if device else None,
        timeout_seconds=timeout,
    )
    start.measure(request, nproc, seconds, sys.argv[1:], os.environ)


@app.command()
def drill(
    suite: Annotated[Path, typer.Argument(help="A suite: a YAML file.", show_default=False)],
    only: Annotated[
        str | None, typer.Option("--only", metavar="EXPERIMENT", help="Drill this one. Default: the first.")
    ] = None,
    epochs: Annotated[int, typer.Option("--epochs", help="How long the trial is.", min=1)] = 3,
    changes: Changes = None,
    data_dir: DataDir = None,
    device: DeviceOption = None,
    nproc: Annotated[int, typer.Option("--nproc", help="Ranks to start.", min=1)] = 2,
) -> None:
    """Break a short trial of a suite off in several ways; say whether its records are always the same.

    It is trained in float64, in a temporary folder: nothing of the suite's results is read or written.
    """
    from tempfile import TemporaryDirectory

    from harness.drill import Drill

    settings = [*(changes or []), "training.precision=fp64", f"training.epochs={epochs}"]
    loaded = load(suite, settings)
    names = known_experiments([only] if only else [], [loaded])
    trial = chosen([loaded], names, [])[0]
    given = {"only": [trial.experiment], "seeds": str(trial.seed), "changes": settings} | {
        "suites": [suite],
        "data_dir": data_dir,
        "device": device,
        "checkpoint_every": "1s",
    }
    arguments = written(_parameters("run"), given)
    print(f"{trial.key}, {epochs} epochs in float64, {nproc} ranks")  # noqa: T201
    with TemporaryDirectory(prefix="harness-drill-") as folder:
        is_equal = True
        for outcome in Drill(trial, arguments, nproc, Path(folder), os.environ).outcomes():
            print(outcome, flush=True)  # noqa: T201
            is_equal &= outcome.is_equal
    raise typer.Exit(0 if is_equal else 1)


@app.command()
def plan(suites: Suites, changes: Changes = None, results: Results = Path("results")) -> None:
    """Show every trial with its state, digest and likely time; train nothing."""
    from harness import plan as plans
    from harness.data import cache_folder
    from harness.paces import Paces

    store, paces = Store(results), Paces(cache_folder(os.environ) / "paces").latest()
    for path in suites:
        suite = load(path, changes)
        print(plans.plan_text(suite, plans.plan(store, suite, paces)))  # noqa: T201


@app.command()
def status(suites: SuiteNames = None, changes: Changes = None, results: Results = Path("results")) -> None:
    """Count the trials that are done, failed, diverged, left and stale, from disk."""
    from harness import plan as plans

    store = Store(results)
    states = [plans.status(store, suite) for suite in resolved(store, suites, changes)]
    print(plans.status_text(states))  # noqa: T201
    raise typer.Exit(int(any(state.is_troubled for state in states)))


@app.command()
def report(suites: SuiteNames = None, changes: Changes = None, results: Results = Path("results")) -> None:
    """Write the tables again, from the records alone."""
    from harness import report as reports

    store = Store(results)
    unreadable: list[str] = []
    for suite in resolved(store, suites, changes):
        path, messages = reports.write(store, suite.folder)
        unreadable += messages
        print(path)  # noqa: T201
    for message in unreadable:
        print(message, file=sys.stderr)  # noqa: T201
    raise typer.Exit(int(bool(unreadable)))


@app.command()
def schema() -> None:
    """Print the JSON Schema of a suite."""
    from harness.schema import suite_schema_text

    print(suite_schema_text(), end="")  # noqa: T201


@app.command("data")
def fetch_data(name: Annotated[str, typer.Argument(help="A dataset.")], data_dir: DataDir = None) -> None:
    """Find or download a dataset and check its files."""
    from harness import data

    found = data.load(name, None, data_dir, os.environ, say=lambda text: print(text, file=sys.stderr))  # noqa: T201
    train, test = len(found.train.labels), len(found.test.labels)
    print(f"{name}: {train:,} + {test:,} images of {found.image_shape}, digest {found.digest[:16]}")  # noqa: T201


def _parameters(command: str) -> list[Any]:
    """Return the parameters of a command, from which its arguments can be written."""
    parameters: list[Any] = typer.main.get_command(app).commands[command].params  # type: ignore[attr-defined]
    return parameters


def _leave(error: HarnessError) -> NoReturn:
    is_first_here = os.environ.get("LOCAL_RANK", "0") == "0"
    if is_first_here or error.exit_code != 2:
        print(f"error: {error}", file=sys.stderr, flush=True)  # noqa: T201
    else:  # all ranks of a machine find the same mistake: torchrun must not end the one that tells it
        threading.Event().wait(60)
    raise SystemExit(error.exit_code)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"harness {__version__}")  # noqa: T201
        raise typer.Exit


@app.callback()
def harness(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Train a report's experiments from several seeds, keep a record of each, and write its tables."""


def main() -> None:
    """Run the command that argv names; `harness SUITE.yaml` is `harness run SUITE.yaml`."""
    arguments = sys.argv[1:]
    if arguments and arguments[0].endswith((".yaml", ".yml")):
        sys.argv.insert(1, "run")
    try:
        app()
    except HarnessError as error:
        _leave(error)
