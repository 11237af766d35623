"""Processes that are forked from one that has loaded torch already, which takes more than a second."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import runpy
import sys
import tempfile
from collections.abc import Callable, Sequence
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext
from pathlib import Path

from tests.support import ROOT
from tests.support.forked_workers import fork_workers

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    [
        "torch.distributed.launcher.api",
        "harness.cli.main",
        "harness.runner.launch.launcher",
        "harness.training.trainer",
        "matplotlib.figure",
    ]
)


def context() -> ForkServerContext:
    """Return what makes such processes; the one they are forked from has no threads."""
    with contextlib.chdir(ROOT):  # it would stay in the folder of the test that is the first to ask
        forkserver.ensure_running()
    return _CONTEXT


def harness(arguments: Sequence[str], seconds: float) -> tuple[int | None, str]:
    """Run `python -m harness` here to its end; return its exit code and what it printed on both streams."""
    return _finished(_harness, arguments, seconds)


def script(arguments: Sequence[str], seconds: float) -> tuple[int | None, str]:
    """Run a user's Python file here, in one thread; return its exit code and what it printed."""
    return _finished(_script, arguments, seconds)


def _finished(
    run: Callable[[list[str]], None], arguments: Sequence[str], seconds: float
) -> tuple[int | None, str]:
    with tempfile.NamedTemporaryFile() as output:
        process = context().Process(
            target=_begin, args=(run, list(arguments), dict(os.environ), Path.cwd(), output.name)
        )
        process.start()
        process.join(seconds)
        process.kill()
        process.join()
        return process.exitcode, Path(output.name).read_text(encoding="utf-8")


def _begin(
    run: Callable[[list[str]], None], arguments: list[str], env: dict[str, str], folder: Path, output: str
) -> None:
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(env)
    written = os.open(output, os.O_WRONLY | os.O_APPEND)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        os.dup2(written, stream.fileno())
    os.close(written)
    run(arguments)


def _harness(arguments: list[str]) -> None:
    sys.argv = ["harness", *arguments]
    # Else a test has put something in front that Python reads first.
    if os.environ.get("PYTHONPATH") == str(ROOT):
        fork_workers()
    from harness.cli.main import main

    main()


def _script(arguments: list[str]) -> None:
    import torch

    torch.set_num_threads(1)
    sys.argv = list(arguments)
    runpy.run_path(arguments[0], run_name="__main__")
