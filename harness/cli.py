"""The commands. Alone in knowing argv, environment variables and exit codes."""

from __future__ import annotations

import os
import signal
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from harness import __version__, suite_file
from harness.errors import CrashError, HarnessError, UsageError, nearest
from harness.store import Store
from harness.suite import Suite

app = typer.Typer(
    help="Train a report's experiments from several seeds, keep a record of each, and write its tables.",
    epilog="Exit codes: 0 all trials done; 1 some failed or diverged, or a record is unreadable; 2 wrong "
    "usage, suite or data; 130/143 interrupted, with everything finished saved.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


class Device(StrEnum):
    """Where to train."""

    cpu = "cpu"
    cuda = "cuda"


class PlacementChoice(StrEnum):
    """How trials meet ranks."""

    auto = "auto"
    ddp = "ddp"
    spread = "spread"


Suites = Annotated[list[Path], typer.Argument(help="Suites: YAML files.", show_default=False)]
SuiteNames = Annotated[
    list[str] | None,
    typer.Argument(help="Suites: YAML files, or names of folders with results. Default: all results."),
]
Changes = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a setting of all experiments; repeatable."),
]
Results = Annotated[Path, typer.Option("--results", help="The folder of records and tables.")]
DataDir = Annotated[
    Path | None, typer.Option("--data-dir", help="A folder with the official files of datasets.")
]


@app.command()
def run(
    suites: Suites,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="EXPERIMENT", help="Train this experiment only; repeatable."),
    ] = None,
    seeds: Annotated[
        str | None, typer.Option("--seeds", metavar="1,2", help="Train these of the suite's seeds only.")
    ] = None,
    changes: Changes = None,
    results: Results = Path("results"),
    data_dir: DataDir = None,
    device: Annotated[
        Device | None, typer.Option(help="Where to train. Default: GPUs where there are any.")
    ] = None,
    nproc: Annotated[
        int | None, typer.Option("--nproc", help="Ranks to start. Default: one a GPU, else one.")
    ] = None,
    placement: Annotated[
        PlacementChoice, typer.Option(help="ddp: all ranks train one trial; spread: each its own.")
    ] = PlacementChoice.auto,
    timeout: Annotated[
        float, typer.Option(help="Seconds without a step after which a trial counts as failed.", min=1)
    ] = 600.0,
    retry_diverged: Annotated[
        bool, typer.Option("--retry-diverged", help="Train diverged trials again.")
    ] = False,
    save_model: Annotated[
        bool, typer.Option("--save-model", help="Leave the final weights beside each record.")
    ] = False,
) -> None:
    """Train what the suites lack, then write and print their tables."""
    from harness import runner

    loaded = [_load(path, changes) for path in suites]
    request = runner.Request(
        suites=loaded,
        only=_known("--only", only or [], [name for suite in loaded for name in suite.experiments]),
        seeds=_seeds(seeds, loaded),
        results=results,
        data_dir=data_dir,
        device=device.value if device else None,
        placement=placement.value,
        timeout_seconds=timeout,
        retry_diverged=retry_diverged,
        save_model=save_model,
    )
    if "TORCHELASTIC_RUN_ID" in os.environ:
        _work(request, nproc)
    else:
        _launch(request, nproc)


def _launch(request: runner.Request, nproc: int | None) -> None:  # type: ignore[name-defined]  # noqa: F821
    from harness import runner
    from harness.launch import local

    ranks = local.ranks_here(nproc, request.device)
    with request.store.lock([suite.folder for suite in request.suites]):
        for suite in request.suites:
            request.store.save_suite(suite)
        runner.check(request, os.environ)
        crash: HarnessError | None = None
        if request.remaining():
            try:
                local.launch(sys.argv[1:], ranks)
            except CrashError as error:
                crash = error
        code = _conclude(request)
    if crash:
        _leave(crash)
    raise typer.Exit(code)


def _work(request: runner.Request, nproc: int | None) -> None:  # type: ignore[name-defined]  # noqa: F821
    """Be one of torchrun's workers."""
    import contextlib

    from harness import runner
    from harness.training import world

    signal.signal(signal.SIGINT, signal.SIG_DFL)
    rank, launched = int(os.environ["RANK"]), "HARNESS_LAUNCHED" in os.environ
    if nproc is not None and not launched:
        raise UsageError(
            "--nproc: torchrun has started the ranks already; say --nproc_per_node to it instead"
        )
    with contextlib.ExitStack() as held:
        if rank == 0 and not launched:
            held.enter_context(request.store.lock([suite.folder for suite in request.suites]))
            for suite in request.suites:
                request.store.save_suite(suite)
        if not launched:
            runner.check(request, os.environ)
        fleet = world.join(os.environ, request.device, request.timeout_seconds)
        runner.work(request, fleet, os.environ)
        world.leave()
        if rank == 0 and not launched:
            code = _conclude(request)
            restarts = int(os.environ.get("TORCHELASTIC_MAX_RESTARTS", "0"))
            raise typer.Exit(0 if restarts else code)  # torchrun would start a finished suite again


def _conclude(request: runner.Request) -> int:  # type: ignore[name-defined]  # noqa: F821
    """Write and print the tables; return the exit code that the records call for."""
    from harness import report

    code = 0
    for suite in request.suites:
        path, unreadable = report.write(request.store, suite.folder)
        print(f"\n{path.read_text(encoding='utf-8')}\n({path})")  # noqa: T201
        for message in unreadable:
            print(message, file=sys.stderr)  # noqa: T201
    if any(request.store.find(trial).state != "done" for trial in request.trials()):
        code = 1
    return code


@app.command()
def plan(suites: Suites, changes: Changes = None, results: Results = Path("results")) -> None:
    """Show every trial with its state, digest and likely time; train nothing."""
    from harness import plan as plans

    store = Store(results)
    for path in suites:
        suite = _load(path, changes)
        print(plans.plan_text(suite, plans.plan(store, suite)))  # noqa: T201


@app.command()
def status(suites: SuiteNames = None, changes: Changes = None, results: Results = Path("results")) -> None:
    """Count the trials that are done, failed, diverged, left and stale, from disk."""
    from harness import plan as plans

    store = Store(results)
    states = [plans.status(store, suite) for suite in _resolved(store, suites, changes)]
    print(plans.status_text(states))  # noqa: T201
    raise typer.Exit(int(any(state.is_troubled for state in states)))


@app.command()
def report(suites: SuiteNames = None, changes: Changes = None, results: Results = Path("results")) -> None:
    """Write the tables again, from the records alone."""
    from harness import report as reports

    store = Store(results)
    unreadable: list[str] = []
    for suite in _resolved(store, suites, changes):
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


def _load(path: Path, changes: list[str] | None) -> Suite:
    return suite_file.load(path, [suite_file.Assignment.parse(text) for text in changes or []])


def _resolved(store: Store, names: list[str] | None, changes: list[str] | None) -> list[Suite]:
    """Return the suites as their results have them; a YAML file stands for the folder of its results."""
    if not store.root.is_dir():
        raise UsageError(
            f"{store.root}: there is no such folder of results; run a suite first, or give --results"
        )
    if changes and not names:
        raise UsageError("--set: expected the YAML file of a suite beside it")
    folders: list[str] = []
    for name in names or store.folders():
        if name.endswith((".yaml", ".yml")):
            folders.append(_load(Path(name), changes).folder)
        elif changes:
            raise UsageError(f"--set: found {name!r}, expected the YAML file of a suite beside it")
        else:
            folders.append(name)
    return [store.load_suite(folder) for folder in folders]


def _known(option: str, found: list[str], known: list[str]) -> list[str]:
    for name in found:
        if name not in known:
            raise UsageError(f"{option} {name}: no such experiment; {nearest(name, known)}")
    return found


def _seeds(text: str | None, suites: list[Suite]) -> list[int]:
    if text is None:
        return []
    known = sorted({seed for suite in suites for seed in suite.seeds})
    chosen = []
    for part in text.split(","):
        if not part.strip().isdecimal() or int(part) not in known:
            raise UsageError(
                f"--seeds {text}: found {part.strip()!r}, expected some of {known}, such as --seeds 1,2"
            )
        chosen.append(int(part))
    return chosen


def _leave(error: HarnessError) -> NoReturn:
    if os.environ.get("RANK", "0") == "0" or error.exit_code == 1:
        print(f"error: {error}", file=sys.stderr, flush=True)  # noqa: T201
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
