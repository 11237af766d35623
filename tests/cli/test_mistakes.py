"""Promise 6: every rule that input can break, with its message and exit code 2, through the command line."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from tests.support.commands import call
from tests.support.data_mistakes import DATA_RULES
from tests.support.golden import assert_golden
from tests.support.suite_mistakes import GOOD, SUITE_RULES

ARGUMENT_RULES = {
    "set-without-value": ["run", "suite.yaml", "--set", "training.epochs"],
    "set-unknown-root": ["run", "suite.yaml", "--set", "trainin.epochs=2"],
    "set-unknown-key": ["run", "suite.yaml", "--set", "training.epoch=2"],
    "set-range": ["plan", "suite.yaml", "--set", "training.epochs=0"],
    "set-trap": ["plan", "suite.yaml", "--set", "training.optimizer.nesterov=on"],
    "no-such-suite": ["run", "none.yaml"],
    "suite-is-a-folder": ["run", "."],
    "only-unknown": ["run", "suite.yaml", "--only", "on"],
    "seeds-unknown": ["run", "suite.yaml", "--seeds", "1,9"],
    "seeds-text": ["run", "suite.yaml", "--seeds", "one"],
    "log-unknown": ["run", "suite.yaml", "--log", "tensorbord"],
    "log-own-module": ["run", "suite.yaml", "--log", "no_such:tracker"],
    "log-own-attribute": ["run", "suite.yaml", "--log", "tests.support.own_trackers:Keep"],
    "log-submitted": ["submit", "suite.yaml", "--log", "mlflow"],
    "export-unknown": ["export", "wandb"],
    "nproc-zero": ["run", "suite.yaml", "--nproc", "0"],
    "cuda-without-gpu": ["run", "suite.yaml", "--device", "cuda"],
    "suite-twice": ["run", "suite.yaml", "suite.yaml"],
    "several-a-device-under-ddp": ["run", "suite.yaml", "--placement", "ddp", "--trials-per-device", "2"],
    "graph-without-gpu": ["run", "suite.yaml", "--engine", "graph"],
    "compiled-without-gpu": ["run", "suite.yaml", "--engine", "compiled"],
    "bench-card-unknown": ["bench", "suite.yaml", "--count", "--card", "h10"],
    "bench-card-without-count": ["bench", "suite.yaml", "--card", "h100"],
    "bench-count-and-seconds": ["bench", "suite.yaml", "--count", "--seconds", "120"],
    "bench-count-and-nproc": ["bench", "suite.yaml", "--count", "--nproc", "2"],
    "no-results": ["report", "small"],
    "status-no-results": ["status"],
    "set-without-suite": ["report", "--set", "training.epochs=2", "--results", "."],
    "init-exists": ["init", "suite"],
    "init-name": ["init", "my suite"],
    "init-name-with-model": ["init", "my-suite", "--model"],
    "init-no-folder": ["init", "none/suite"],
    "init-quickstart": ["init", "quickstart"],
    "data-unknown": ["data", "kmnistt"],
    "data-dir-missing": ["run", "suite.yaml", "--data-dir", "none"],
}


def outcome(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[int, str]:
    """Run the command; return its exit code and what it wrote to stderr."""
    code, _, err = call(tuple(arguments), monkeypatch, capsys)
    return int(code or 0), err


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    monkeypatch.delenv("HARNESS_DATA", raising=False)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    Path("suite.yaml").write_text(GOOD, encoding="utf-8")


def _quiet(text: str) -> str:
    lines = [line for line in text.splitlines() if not line.startswith("resizing ")]
    return "\n".join(lines).replace(os.getcwd(), "FOLDER") + "\n"


@pytest.mark.parametrize("rule", SUITE_RULES)
def test_suite_rule(rule: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    old, new = SUITE_RULES[rule]
    assert old in GOOD
    Path("suite.yaml").write_text(GOOD.replace(old, new), encoding="utf-8")
    code, text = outcome(["run", "suite.yaml"], monkeypatch, capsys)
    assert_golden(f"mistakes/{rule}.txt", _quiet(text))
    assert code == 2
    assert not list(Path.cwd().glob("results/*/*/*"))


@pytest.mark.parametrize("rule", DATA_RULES)
def test_data_rule(rule: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    dataset, make = DATA_RULES[rule]
    make(Path("files"))
    suite = GOOD.replace("{name: kmnist_sample, resize: 8}", dataset)
    mixer = "{name: patch_mixer, patch_size: 4, width: 8, hidden: [8]}"
    suite = suite.replace(mixer, "{name: mlp, hidden: [8], dropout: 0.0}").replace("width: 16", "hidden: [4]")
    Path("files/suite.yaml").write_text(suite, encoding="utf-8")
    code, text = outcome(["run", "files/suite.yaml"], monkeypatch, capsys)
    assert_golden(f"mistakes/data-{rule}.txt", _quiet(text))
    assert code == 2
    assert not list(Path.cwd().glob("results/*/*/*"))


@pytest.mark.parametrize("rule", ARGUMENT_RULES)
def test_argument_rule(
    rule: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, text = outcome(ARGUMENT_RULES[rule], monkeypatch, capsys)
    assert_golden(f"mistakes/{rule}.txt", _quiet(text))
    assert code == 2


def test_not_utf8(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    Path("suite.yaml").write_bytes(b"suite: caf\xe9\n")
    code, text = outcome(["run", "suite.yaml"], monkeypatch, capsys)
    assert_golden("mistakes/not-utf8.txt", text)
    assert code == 2


def test_damaged_data(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    folder = Path("data")
    folder.mkdir()
    for name in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        (folder / f"{name}-ubyte.gz").write_bytes(gzip.compress(b"cut", mtime=0))
    code, text = outcome(["data", "mnist", "--data-dir", "data"], monkeypatch, capsys)
    assert_golden("mistakes/data-damaged.txt", _quiet(text))
    assert code == 2


def test_a_mistake_in_the_base_names_its_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("base.yaml").write_text(GOOD.replace("epochs: 1", "epochs: 0"), encoding="utf-8")
    Path("suite.yaml").write_text("extends: base.yaml\nsuite: other\n", encoding="utf-8")
    code, text = outcome(["plan", "suite.yaml"], monkeypatch, capsys)
    assert_golden("mistakes/in-the-base.txt", text)
    assert code == 2
