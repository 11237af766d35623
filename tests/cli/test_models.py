"""`harness models`: the list of models, and a suite's models layer by layer, against golden texts."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.commands import call
from tests.support.golden import assert_golden

SUITE = """\
suite: nets
title: Networks
dataset: {name: kmnist_sample, resize: 16}
seeds: 1
common:
  training: {epochs: 1, batch_size: 100, optimizer: {name: Adam, lr: 0.001}}
experiments:
  lenet: {model: {name: lenet5}}
  mixer: {model: {name: patch_mixer, patch_size: 8, width: 16, hidden: [8]}}
  vit: {model: {name: vit_tiny, patch_size: 8, width: 12, depth: 1}}
  longer: {model: {name: lenet5}, training: {epochs: 2}}
"""


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    Path("nets.yaml").write_text(SUITE, encoding="utf-8")


def test_the_list_of_models(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(("models",), monkeypatch, capsys)
    assert code == 0
    assert_golden("models.txt", out)


def test_models_of_a_suite(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(("models", "nets.yaml"), monkeypatch, capsys)
    assert code == 0
    assert_golden("models-of-suite.txt", out)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--set", "model.width=3"), "--set: expected the file of a suite beside it"),
        (("nets.yaml", "--set", "model.name=torchvision:resnet19"), "torchvision has no model 'resnet19'"),
    ],
)
def test_mistakes(
    arguments: tuple[str, ...],
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("nets.yaml").write_text(SUITE.partition("  mixer:")[0], encoding="utf-8")
    code, _, err = call(("models", *arguments), monkeypatch, capsys)
    assert code == 2
    assert reason in err


def test_features_are_counted_and_outputs_are_the_losss(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("t.csv").write_text("a,b,kind\n" + "1,2,x\n3,4,y\n" * 4, encoding="utf-8")
    head, _, _ = SUITE.partition("experiments:")
    csv = "{name: csv, path: t.csv, label: kind, split: {test: 0.5, seed: 0}}"
    text = head.replace("{name: kmnist_sample, resize: 16}", csv)
    model = "experiments:\n  mlp: {model: {name: mlp, hidden: [4], dropout: 0.0}}\n"
    text = text.replace("epochs: 1,", "epochs: 1, loss: {name: binary},")
    Path("nets.yaml").write_text(text + model, encoding="utf-8")
    code, out, _ = call(("models", "nets.yaml"), monkeypatch, capsys)
    assert code == 0
    assert out.startswith("nets: 2 features, 2 classes\n")
    assert "Linear       N × 1 " in out  # one output under this loss
