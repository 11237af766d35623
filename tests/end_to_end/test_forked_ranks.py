"""Ranks as forks of the launcher on a CPU: what they share with it, and when they are started anew."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.runs import ONE_TRIAL, SUITE, records, run

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
    assert len(ends) == len(set(ends)) == 3  # the launcher's and the ranks', once each


def test_one_rank_of_several_threads_is_a_fork_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    prepared(ONE_TRIAL)
    run("suite.yaml", "--nproc", "1")
    assert imports() == 1


@pytest.mark.parametrize(
    "cause",
    ["threading.Thread(target=time.sleep, args=(9,), daemon=True).start()", "os.environ['OMP_WAIT_POLICY']"],
)
def test_ranks_are_started_anew_after_user_code_that_starts_threads(cause: str) -> None:
    prepared(SUITE, MODEL.replace("# here", cause))
    run("suite.yaml", "--nproc", "2", "--no-calibrate")
    assert imports() == 3


def test_a_rank_that_died_is_forked_again_with_the_code_that_was_checked() -> None:
    edits_and_dies = """\
if self.training and "RANK" in os.environ and not os.path.exists("died"):
            Path("died").touch()
            Path("own.py").write_text(Path("own.py").read_text() + "# edited")
            os.kill(os.getpid(), signal.SIGKILL)
"""
    prepared(ONE_TRIAL)
    run("suite.yaml")
    (undisturbed,) = records().values()
    prepared(ONE_TRIAL, MODEL.replace("# forward", edits_and_dies))
    run("suite.yaml", "--results", "again")
    (record,) = records("again").values()
    assert [each.status for each in record.attempts] == ["killed"]
    assert record.final == undisturbed.final
    assert Path("own.py").read_text(encoding="utf-8").endswith("# edited")
    kept = next(Path("again/.code").glob("*/own.py")).read_text(encoding="utf-8")
    assert "# edited" not in kept.splitlines()[-1]
