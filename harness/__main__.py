"""Entry point of `harness` and `python -m harness`; the workers that these start run this very file.

Before anything else is imported it takes the current folder out of the import path, unless PYTHONPATH names
it: a user's `statistics.py` or `torch.py` there does no harm. `harness.plugins` looks there, last.
"""

from __future__ import annotations

import os
import sys


def _look_elsewhere() -> None:
    """Remove the current folder, and the package's own where this runs as a file, from the import path."""
    named = {os.path.abspath(path) for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path}
    try:
        here = os.getcwd()
    except OSError:  # it was removed
        here = ""
    unwanted = {"", here, os.path.dirname(os.path.abspath(__file__))} - named
    sys.path[:] = [path for path in sys.path if path not in unwanted]


def _load_own_package() -> None:
    """Have `harness` stand for the package around this file, wherever it lies."""
    from importlib.util import module_from_spec, spec_from_file_location

    folder = os.path.dirname(os.path.abspath(__file__))
    path = os.path.join(folder, "__init__.py")
    spec = spec_from_file_location("harness", path, submodule_search_locations=[folder])
    assert spec is not None
    assert spec.loader is not None
    sys.modules["harness"] = module_from_spec(spec)
    spec.loader.exec_module(sys.modules["harness"])


_look_elsewhere()
if not __package__:
    _load_own_package()

from harness import standard_streams  # noqa: E402
from harness.starts import Starts, end_with_launcher  # noqa: E402

standard_streams.guard()


def main() -> None:
    """Run the command that argv names; end at once where ranks that were started before did not get far."""
    end_with_launcher(os.environ)
    starts = Starts.of(os.environ)
    if starts is None:
        _run()
    elif starts.is_hopeless:
        raise SystemExit(0)  # torchrun would start a rank that fails again
    else:
        with starts.watched():
            _run()


def _run() -> None:
    from harness.cli import main as command_line

    command_line.main()


if __name__ == "__main__":
    main()
