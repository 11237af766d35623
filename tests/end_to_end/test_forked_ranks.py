"""Ranks as forks of the launcher on a CPU: what they share with it, and when they are started anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.runs import ONE_TRIAL, SUITE, run

# A model that notes each process that imports it, and each that comes to its end.
MODEL = """\
import atexit, os, signal, threading, time
from pathlib import Path
from torch import nn

with open("imports", "a") as file:
    print(os.getpid(), file=file)
atexit.register(lambda: Path("ends").open("a").write(f"{os.getpid()} "))
# here

class Net(nn.Sequential):
    def __init__(self, shape, classes):
        super().__init__(nn.Flatten(), nn.Linear(shape[1] * shape[2], classes))

    def forward(self, x):
        # forward
        return super().forward(x)
"""

pytestmark = pytest.mark.usefixtures("folder")


def prepared(suite: str, model: str = MODEL) -> None:
    """Write a suite whose first experiment has the model."""
    Path("own.py").write_text(model, encoding="utf-8")
    before, _, after = suite.partition("{name: patch_mixer")
    text = f"{before}{{name: 'own:Net'}}{after.partition('}')[2]}"
    Path("suite.yaml").write_text(text, encoding="utf-8")


def imports() -> int:
    """Count the processes that have imported the model."""
    return len(Path("imports").read_text(encoding="utf-8").split())


def test_ranks_are_forks_that_have_the_launchers_modules_and_their_own_end() -> None:
    prepared(SUITE)
    run("suite.yaml", "--nproc", "2", "--no-calibrate")
    assert imports() == 1
    ends = Path("ends").read_text(encoding="utf-8").split()
    assert len(ends) == len(set(ends)) == 2  # the launcher is a fork of the test's, and has none


def test_one_rank_of_several_threads_is_a_fork_too() -> None:
    prepared(ONE_TRIAL)
    run("suite.yaml", "--nproc", "1")
    assert imports() == 1


def test_ranks_are_started_anew_after_user_code_that_starts_threads() -> None:
    thread = "threading.Thread(target=time.sleep, args=(60,), daemon=True).start()"
    prepared(SUITE, MODEL.replace("# here", thread))
    run("suite.yaml", "--nproc", "2", "--no-calibrate")
    assert imports() == 3


def test_code_that_changes_after_the_launcher_has_imported_it_is_not_trained() -> None:
    edit = 'Path("own.py").write_text(Path("own.py").read_text() + "# edited")'
    prepared(ONE_TRIAL, MODEL.replace("# here", edit))
    output = run("suite.yaml", code=1)
    assert "small/mixer/seed-1: failed, the user's code has changed since the run started: found" in output
    assert imports() == 1
