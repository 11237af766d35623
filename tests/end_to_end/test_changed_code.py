"""A user's package that is edited between seeds, and while a rank that trains it starts again."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.runs import ONE_TRIAL, records, run

NET = """\
from torch import nn
from .blocks import activation
def net(image_shape, num_classes):
    from .sizes import WIDTH
    size = image_shape[0] * image_shape[1] * image_shape[2]
    return nn.Sequential(nn.Flatten(), nn.Linear(size, WIDTH), activation(), nn.Linear(WIDTH, num_classes))
"""
# Edits its own package in the first worker that trains it, which the system then ends.
KILLED = """
import os, pathlib, signal
class Killing(nn.ReLU):
    def forward(self, images):
        sizes = pathlib.Path(__file__).with_name("sizes.py")
        if "TORCHELASTIC_RUN_ID" in os.environ and sizes.read_text() == "WIDTH = 8\\n":
            sizes.write_text("WIDTH = 16\\n")
            os.kill(os.getpid(), signal.SIGKILL)
        return super().forward(images)
activation = Killing
"""


def write(name: str, text: str) -> None:
    path = Path("own") / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")


@pytest.fixture(autouse=True)
def suite(folder: Path) -> None:
    head, _, _ = ONE_TRIAL.partition("experiments:")
    text = head.replace("seeds: 1", "seeds: 3") + "experiments:\n  a: {model: {name: 'own.net:net'}}\n"
    Path("suite.yaml").write_text(text, encoding="utf-8")
    write("net.py", NET)
    write("blocks.py", "from torch import nn\nactivation = nn.ReLU\n")
    write("sizes.py", "WIDTH = 8\n")


def test_edits_between_seeds_are_said_and_mended() -> None:
    run("suite.yaml", "--seeds", "1", "--nproc", "1")
    write("blocks.py", "from torch import nn\nactivation = nn.Tanh\n")
    assert "small/a: 1 of 1 records are of other user code" in run(
        "suite.yaml", "--seeds", "2", "--nproc", "1"
    )
    write("sizes.py", "WIDTH = 16\n")
    output = run("suite.yaml", "--nproc", "1")
    assert "`harness run … --retrain a`" in output
    assert "[^small-1]: a: its runs do not share user code (" in output
    hashes = [record.versions.user_code for record in records().values()]
    assert len(set(hashes)) == 3
    kept = Path("results/.code")
    assert sorted(path.name for path in kept.iterdir()) == sorted(map(str, hashes))
    assert (kept / str(hashes[0]) / "own" / "blocks.py").read_text(encoding="utf-8").endswith("ReLU\n")
    output = run("suite.yaml", "--retrain", "a", "--nproc", "1")
    assert "small/a: 3 records set aside, kept as superseded" in output
    assert "do not share" not in output
    assert "Superseded records, kept and in no figure above: a: 3." in output
    assert "small/a: 3 superseded records, kept, in no table" in run("status")


def test_a_rank_that_starts_again_trains_no_mix() -> None:
    write("blocks.py", "from torch import nn" + KILLED)
    output = run("suite.yaml", "--nproc", "1", "--seeds", "1", code=1)
    assert "small/a/seed-1: failed, the user's code has changed since the run started: found" in output
    (record,) = records().values()
    assert [attempt.status for attempt in record.attempts] == ["killed", "failed"]
    assert record.status == "failed"
