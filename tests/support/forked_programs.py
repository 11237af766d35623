"""What a process becomes that was forked instead of started: the program that a command of Python's runs."""

from __future__ import annotations

import os
import runpy
import sys
import traceback
from collections.abc import Sequence
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from harness.program import ENTRY

_OPTIONS = ("-P", "-u", "-m")


def run(command: Sequence[str]) -> None:
    """Be the harness, torchrun or a Python file, as its arguments, variables and folder say.

    torch is loaded before a `sitecustomize.py` runs: what that needs to do earlier takes a new process.
    """
    import torch

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    name, *arguments = [each for each in command[1:4] if each not in _OPTIONS] + list(command[4:])
    sys.orig_argv, sys.argv = list(command), [name, *arguments]
    _follow_python_path()
    if name in ("harness", str(ENTRY)):
        from harness.__main__ import main

        main()
    elif name == "torch.distributed.run":
        _torchrun(arguments)
    else:
        runpy.run_path(name, run_name="__main__")


def _follow_python_path() -> None:
    folders = [folder for folder in os.environ.get("PYTHONPATH", "").split(os.pathsep) if folder]
    sys.path[:0] = [folder for folder in folders if folder not in sys.path]
    hooks = [path for folder in folders if (path := Path(folder, "sitecustomize.py")).exists()]
    for path in hooks[:1]:
        spec = spec_from_file_location("sitecustomize", path)
        assert spec is not None
        assert spec.loader is not None
        spec.loader.exec_module(module_from_spec(spec))


def _torchrun(arguments: list[str]) -> None:
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import main

    try:
        main(arguments)
    except ChildFailedError as error:  # its traceback would name files of the tests
        traceback.print_exception(error.with_traceback(None))
        raise SystemExit(1) from None
