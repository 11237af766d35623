"""One thread before torch is loaded, so that forked ranks are safe and equal; signals as a shell has them.

The files that take longest come first: each is tested by one worker, and the last one must not be alone.
"""

import gc
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ["OMP_NUM_THREADS"] = "1"

# What starts the tests in the background may ignore these, and so would the runs that the tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

_LONGEST = (
    "test_slurm",
    "test_kills",
    "test_faults",
    "test_fault_drill",
    "test_failing_trials",
    "test_run",
    "test_interrupted_runs",
    "test_killed_runs",
    "test_gpus",
    "test_gpu_rehearsal",
    "test_ranks",
    "test_ranks_of_models",
    "test_terminals",
    "test_gpu_rehearsal_runs",
    "test_engine",
    "test_html_browser",
)


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the folder of cached data that tests share: resizing the sample takes a third of a second."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _import_path() -> Iterator[None]:
    """Restore where imports look: the program adds the folders of users' modules."""
    before = list(sys.path)
    yield
    sys.path[:] = before


def pytest_configure(config: pytest.Config) -> None:
    """Hide GPUs from tests that are not of GPUs: on any machine they test what a CPU does.

    No file is flushed to its disk in this process: that takes its time, and no test cuts the power.
    """
    vars(os)["fsync"] = lambda _: None
    if not config.option.markexpr.startswith("gpu"):
        os.environ["CUDA_VISIBLE_DEVICES"] = ""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort the tests by how long their files take, as far as that matters."""
    places = {name: place for place, name in enumerate(_LONGEST)}
    items.sort(key=lambda item: places.get(item.path.stem, len(places)))


def pytest_collection_finish() -> None:
    """Have the garbage collector pass over the million objects that are there before the first test."""
    gc.collect()
    gc.freeze()
