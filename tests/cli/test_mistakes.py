"""Promise 6: every rule that input can break, with its message and exit code 2, through the command line."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from tests.support.commands import call
from tests.support.golden import assert_golden

GOOD = """\
suite: small
title: A small suite
dataset: {name: kmnist_sample, resize: 8}
seeds: 2
common:
  model: {name: patch_mixer, patch_size: 4, width: 8, hidden: [8]}
  training:
    epochs: 1
    batch_size: 500
    optimizer: {name: SGD, lr: 0.1}
experiments:
  one:
  two: {model: {width: 16}}
"""

# rule: (what is taken out of the good suite, what is put there instead)
SUITE_RULES = {
    "duplicate-key": ("seeds: 2", "seeds: 2\nseeds: 3"),
    "quoted-number": ("lr: 0.1", "lr: '1e-3'"),
    "number-too-large": ("lr: 0.1", "lr: 1e400"),
    "digits-too-many": ("epochs: 1", f"epochs: {'9' * 5000}"),
    "count-too-large": ("batch_size: 500", f"batch_size: {10**30}"),
    "leading-zero": ("batch_size: 500", "batch_size: 0500\n    scheduler: {name: StepLR, step_size: 08}"),
    "no-is-false": ("title: A small suite", "title: no"),
    "octal": ("epochs: 1", "epochs: 010"),
    "base-60": ("epochs: 1", "epochs: 1:30"),
    "date": ("title: A small suite", "title: 2024-01-01"),
    "not-a-number": ("lr: 0.1", "lr: .nan"),
    "merge-key": ("  one:", "  one: {<<: {}}"),
    "alias-of-itself": ("  one:", "  one: &a {model: *a}"),
    "key-not-text": ("  one:", "  1:"),
    "tag": ("title: A small suite", "title: !!binary aGk="),
    "not-yaml": ("seeds: 2", "seeds: [2"),
    "tab": ("  model:", "\tmodel:"),
    "unknown-top-key": ("seeds: 2", "seeds: 2\ntabel: {style: runs}"),
    "unknown-training-key": ("epochs: 1", "epoch: 1"),
    "unknown-optimizer-key": ("lr: 0.1", "lr: 0.1, momentm: 0.9"),
    "unknown-experiment-key": ("  one:", "  one: {trainig: {}}"),
    "unknown-dataset": ("kmnist_sample", "kmnist_samples"),
    "unknown-dataset-key": ("resize: 8", "rezise: 8"),
    "resize-range": ("resize: 8", "resize: 0"),
    "unknown-optimizer": ("name: SGD", "name: sgd"),
    "optimizer-without-name": ("name: SGD, ", ""),
    "optimizer-without-lr": (", lr: 0.1", ""),
    "lr-range": ("lr: 0.1", "lr: 0"),
    "lr-text": ("lr: 0.1", "lr: fast"),
    "betas-count": ("name: SGD, lr: 0.1", "name: Adam, lr: 0.1, betas: [0.9]"),
    "nesterov-without-momentum": ("lr: 0.1", "lr: 0.1, nesterov: true"),
    "setting-of-another-optimizer": ("lr: 0.1", "lr: 0.1, amsgrad: true"),
    "unknown-scheduler": ("epochs: 1", "epochs: 1\n    scheduler: {name: StepLr, step_size: 1}"),
    "scheduler-range": ("epochs: 1", "epochs: 1\n    scheduler: {name: StepLR, step_size: 0}"),
    "unknown-precision": ("epochs: 1", "epochs: 1\n    precision: fp23"),
    "label-smoothing-range": ("epochs: 1", "epochs: 1\n    loss: {label_smoothing: 2.0}"),
    "unknown-loss": ("epochs: 1", "epochs: 1\n    loss: {name: mse}"),
    "epochs-not-whole": ("epochs: 1", "epochs: 1.5"),
    "batch-size-range": ("batch_size: 500", "batch_size: 0"),
    "epochs-huge": ("epochs: 1", f"epochs: 1{'0' * 400}"),
    "model-setting-huge": ("width: 8", "width: 10000000000"),
    "half-width-tiny": ("seeds: 2", "seeds: {half_width_points: 1.0e-300}"),
    "margin-range": (
        "seeds: 2",
        "seeds: 2\n"
        "published: {dataset: kmnist, source: s, margin_points: 1.0e+300, rounding_points: 1000, "
        "experiments: {one: {test_accuracy: 0.9}}}",
    ),
    "flag-not-boolean": ("epochs: 1", "epochs: 1\n    allow_rank_dependent: 1"),
    "training-missing": ("    epochs: 1\n", ""),
    "unknown-model": ("name: patch_mixer", "name: patch_mixr"),
    "model-without-name": ("name: patch_mixer, ", ""),
    "unknown-model-setting": ("patch_size: 4", "patch_sise: 4"),
    "model-setting-range": ("width: 8", "width: 0"),
    "model-setting-type": ("hidden: [8]", "hidden: 8"),
    "model-setting-empty": ("hidden: [8]", "hidden: []"),
    "suite-name": ("suite: small", "suite: ../small"),
    "suite-missing": ("suite: small\n", ""),
    "title-type": ("title: A small suite", "title: 3"),
    "experiment-name": ("  one:", "  a/b:"),
    "no-experiments": ("  one:\n  two: {model: {width: 16}}", "  {}"),
    "experiments-empty": ("  one:\n  two: {model: {width: 16}}", ""),
    "equal-experiments": ("  two: {model: {width: 16}}", "  two:"),
    "dataset-missing": ("dataset: {name: kmnist_sample, resize: 8}\n", ""),
    "dataset-word": ("dataset: {name: kmnist_sample, resize: 8}", "dataset: kmnist"),
    "seeds-count": ("seeds: 2", "seeds: 0"),
    "seeds-word": ("seeds: 2", 'seeds: "3"'),
    "seeds-twice": ("seeds: 2", "seeds: [1, 1]"),
    "seeds-negative": ("seeds: 2", "seeds: [-1]"),
    "seeds-empty": ("seeds: 2", "seeds: []"),
    "table-style": ("seeds: 2", "seeds: 2\ntable: {style: rows}"),
    "published-experiment": (
        "seeds: 2",
        "seeds: 2\npublished: {dataset: kmnist, source: s, experiments: {onn: {train_loss: 1.0}}}",
    ),
    "published-percent": (
        "seeds: 2",
        "seeds: 2\npublished: {dataset: kmnist, source: s, experiments: {one: {test_accuracy: 94.2}}}",
    ),
    "published-runs": (
        "seeds: 2",
        "seeds: 2\n"
        "published: {dataset: kmnist, source: s, runs: 3, experiments: {one: {train_loss: [1.0, 2.0]}}}",
    ),
    "published-curves": (
        "seeds: 2",
        "seeds: 2\npublished: {dataset: kmnist, source: s, curves: none.csv, experiments: {}}",
    ),
    "extends-missing": ("seeds: 2", "seeds: 2\nextends: none.yaml"),
    "extends-itself": ("seeds: 2", "seeds: 2\nextends: suite.yaml"),
    "extends-type": ("seeds: 2", "seeds: 2\nextends: [a.yaml]"),
    "matrix-root": ("  one:", "  one: {matrix: {dataset.resize: [8]}}"),
    "matrix-values": ("  one:", "  one: {matrix: {model.width: 8}}"),
    "matrix-type": ("  one:", "  one: {matrix: [model.width]}"),
    "list-at-top": (GOOD, "- suite\n"),
    "empty-file": (GOOD, ""),
    "many-at-once": (
        GOOD,
        GOOD.replace("small\n", "a b\n").replace("seeds: 2", "seeds: 0").replace("epochs: 1", "epochs: ten")
        + "  three: {model: {width: -1}}\ntabel: 1\n",
    ),
    "own-model-module": (
        "name: patch_mixer, patch_size: 4, width: 8, hidden: [8]",
        "name: 'no_such:build', width: 8",
    ),
    "own-model-attribute": (
        "name: patch_mixer, patch_size: 4, width: 8, hidden: [8]",
        "name: 'tests.support.own_models:plainn', width: 8",
    ),
    "own-model-setting": (
        "name: patch_mixer, patch_size: 4, width: 8, hidden: [8]",
        "name: 'tests.support.own_models:plain', width: 8",
    ),
    "model-refuses": ("patch_size: 4", "patch_size: 3"),
    "model-draws-randomness": (
        "{name: patch_mixer, patch_size: 4, width: 8, hidden: [8]}\n",
        "{name: 'tests.support.own_models:noisy_layer'}\n",
    ),
    "model-sees-other-rows": (
        "{name: patch_mixer, patch_size: 4, width: 8, hidden: [8]}\n",
        "{name: 'tests.support.odd_models.rows_and_draws:earlier_rows'}\n",
    ),
    "model-keeps-state": (
        "{name: patch_mixer, patch_size: 4, width: 8, hidden: [8]}\n",
        "{name: 'tests.support.odd_models.hidden_state:step_counter'}\n",
    ),
}
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
    "no-results": ["report", "small"],
    "status-no-results": ["status"],
    "set-without-suite": ["report", "--set", "training.epochs=2", "--results", "."],
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
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
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
