"""Entry point of `harness`: its commands by name, and its exit codes."""

from __future__ import annotations

import os
import sys
import threading
from io import TextIOWrapper
from typing import Annotated, NoReturn

import typer

from harness import __version__, environment, home
from harness.cli import bench, compare, data, export, init, models, results, scale, submit, train
from harness.cli.suites import names_a_file
from harness.config import packaged_suite
from harness.errors import HarnessError
from harness.runner.shutdown import JobFiles
from harness.tracking.console import say

app = typer.Typer(
    help="Train a report's experiments from several seeds, keep a record of each, and write its tables.",
    epilog="Exit codes: 0 all trials done; 1 some failed or diverged, or a record is unreadable; 2 wrong "
    "usage, suite or data; 130/143 interrupted, with everything finished saved.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

app.command()(init.init)
app.command()(train.run)
app.command()(submit.submit)
app.command()(results.plan)
app.command()(results.status)
app.command()(results.report)
app.command()(compare.compare)
app.command()(export.export)
app.command()(data.data)
app.command()(models.models)
app.command()(bench.bench)
app.command()(scale.scale)
app.command()(train.drill)
app.command()(results.schema)


def _leave(error: HarnessError) -> NoReturn:
    is_first_here = os.environ.get("LOCAL_RANK", "0") == "0"
    if is_first_here or error.exit_code != 2:
        say(f"error: {error}", sys.stderr)
    else:  # all ranks find the same mistake: torchrun must not end rank 0 before it has reported it
        threading.Event().wait(60)
    _exit(error.exit_code)


def _exit(code: int) -> NoReturn:
    """Exit with the code; after a mistake with 0 if torchrun would restart all ranks only to repeat it."""
    if code == 2 and os.environ.get("TORCHELASTIC_MAX_RESTARTS", "0") != "0":
        if os.environ.get("RANK") == "0":
            JobFiles.of(os.environ).tell_outcome(2, is_finished=True)
        raise SystemExit(0)
    raise SystemExit(code)


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
    """Run the command that argv names; `harness SUITE` is `harness run SUITE`."""
    home.provide(os.environ)
    for out in (sys.stdout, sys.stderr):
        if isinstance(out, TextIOWrapper):
            out.reconfigure(errors="replace")  # tables and errors may hold what a terminal cannot show
    arguments = sys.argv[1:]
    if arguments and (names_a_file(arguments[0]) or arguments[0] == packaged_suite.NAME):
        sys.argv.insert(1, "run")
    try:
        app()
    except HarnessError as error:
        _leave(error)
    except SystemExit as left:
        if left.code == 2 and environment.LAUNCHED not in os.environ:  # an argument that typer refuses
            _exit(2)
        raise
