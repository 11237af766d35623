"""All mistakes of the models of a run are found before it starts, each once, with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.config.loader import load_suite
from harness.config.overrides import Assignment
from harness.config.suite import Suite
from harness.errors import ModelError
from harness.runner.model_mistakes import check_models
from tests.support.trials import small_dataset

BASE = """\
suite: s
title: t
dataset: {name: kmnist_sample, resize: 8}
seeds: 3
common:
  training: {epochs: 1, batch_size: 8, optimizer: {name: SGD, lr: 0.1}}
  model: {name: 'tests.training.test_wrong_models:Wrong', how: key}
experiments:
  inherited: {}
  base:
    model:
      how: two
"""
TOP = """\
extends: base.yaml
experiments:
  rows:
    matrix:
      model.how: [two, as_it_is,
        leave]
      training.batch_size: [4, 16]
  plain: {model: {name: mlp, hidden: [4], dropout: 0.0}}
  absent: {model: {name: 'no_such_module:net'}}
"""


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("base.yaml").write_text(BASE, encoding="utf-8")
    Path("top.yaml").write_text(TOP, encoding="utf-8")


def mistakes(*suites: Suite) -> list[str]:
    """Return the lines of the message about the suites' models."""
    trials = [trial for suite in suites for trial in suite.trials()]
    with pytest.raises(ModelError) as found:
        check_models(suites, trials, lambda _: small_dataset())
    return str(found.value).splitlines()


@pytest.mark.usefixtures("files")
def test_every_wrong_experiment_is_named_once_with_its_line() -> None:
    key, two, leave, absent = mistakes(load_suite(Path("top.yaml")))
    assert "KeyError: 'logits'" in key
    assert key.endswith("(experiment inherited, base.yaml:7)")
    assert "returns a tuple" in two
    row = "rows-how=two,batch_size"
    assert two.endswith(f"(experiments base, base.yaml:12; {row}=4, top.yaml:5; {row}=16, top.yaml:5)")
    assert "SystemExit" in leave
    row = "rows-how=leave,batch_size"
    assert leave.endswith(f"(experiments {row}=4, top.yaml:6; {row}=16, top.yaml:6)")
    assert "No module named 'no_such_module'" in absent
    assert absent.endswith("(experiment absent, top.yaml:9)")


@pytest.mark.usefixtures("files")
def test_a_loss_and_augmentations_are_named_with_their_own_lines() -> None:
    text = TOP.replace(
        "  plain:",
        """\
  own:
    model: {name: mlp, hidden: [4], dropout: 0.0}
    training:
      loss: {class_weights: [1, 2]}
  cut:
    model: {name: mlp, hidden: [5], dropout: 0.0}
    matrix:
      training.augment: [[], [{name: cutout, size: 2}],
        [{name: cutout, size: 20}]]
  plain:""",
    )
    Path("top.yaml").write_text(text, encoding="utf-8")
    suite = load_suite(Path("top.yaml"))
    found = mistakes(
        suite.model_copy(
            update={
                "experiments": {
                    name: each for name, each in suite.experiments.items() if name.startswith(("own", "cut"))
                }
            }
        )
    )
    assert [line.partition(" (experiment ")[2] for line in found] == [
        "own, top.yaml:11)",
        "cut-augment=name-cutout-size-20, top.yaml:16)",
    ]


@pytest.mark.usefixtures("files")
def test_what_set_has_changed_is_named() -> None:
    Path("base.yaml").write_text(BASE.replace("      how: two\n", "      width: 3\n"), encoding="utf-8")
    (line,) = mistakes(load_suite(Path("base.yaml"), [Assignment.parse("model.how=leave")]))[:1]
    assert line.endswith("(experiment inherited, base.yaml:7 with --set model.how=leave)")


@pytest.mark.usefixtures("files")
def test_without_its_file_a_suite_is_named_itself() -> None:
    suite = load_suite(Path("base.yaml"))
    Path("base.yaml").write_text(f"# edited\n{BASE}", encoding="utf-8")
    assert mistakes(suite)[0].endswith("(experiment inherited, suite s)")


@pytest.mark.usefixtures("files")
def test_many_experiments_of_one_mistake_are_counted() -> None:
    lines = "".join(f"  e{n}: {{training: {{epochs: {n}}}}}\n" for n in range(2, 14))
    Path("base.yaml").write_text(BASE.replace("experiments:\n", f"experiments:\n{lines}"), encoding="utf-8")
    assert mistakes(load_suite(Path("base.yaml")))[0].endswith("; and 5 more)")


@pytest.mark.usefixtures("files")
def test_models_without_mistakes_pass() -> None:
    Path("base.yaml").write_text(BASE.replace("how: key", "how: as_it_is"), encoding="utf-8")
    suite = load_suite(Path("base.yaml"))
    check_models([suite], [next(suite.trials())], lambda _: small_dataset())


@pytest.mark.usefixtures("files")
def test_experiments_whose_seeds_begin_alike_are_named() -> None:
    text = BASE.replace(
        "'tests.training.test_wrong_models:Wrong', how: key", "mlp, hidden: [4], dropout: 0.0"
    )
    own = "    model: {name: 'tests.training.test_model_check:fixed'}\n"
    Path("base.yaml").write_text(text.partition("    model:\n")[0] + own, encoding="utf-8")
    suite = load_suite(Path("base.yaml"))
    assert check_models([suite], suite.trials(), lambda _: small_dataset()) == ["s/base"]
