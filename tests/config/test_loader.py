"""Suites: what a file means once it is extended, merged and expanded."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import pytest

from harness.config.loader import load_suite
from harness.config.overrides import Assignment
from harness.config.suite import Suite
from harness.errors import SuiteError

COMMON = """\
suite: small
title: A small suite
dataset: {name: kmnist_sample, resize: 8}
seeds: 2
common:
  model: {name: mlp, hidden: [8], dropout: 0.1}
  training:
    epochs: 3
    batch_size: 10
    optimizer: {name: SGD, lr: 0.1, momentum: 0.9}
    scheduler: {name: StepLR, step_size: 1}
"""


def load(folder: Path, experiments: str, *changes: str, common: str = COMMON) -> Suite:
    path = folder / "suite.yaml"
    path.write_text(common + textwrap.dedent(experiments), encoding="utf-8")
    return load_suite(path, [Assignment.parse(text) for text in changes])


def test_an_experiment_is_laid_over_common(tmp_path: Path) -> None:
    suite = load(
        tmp_path, "experiments:\n  one:\n  two: {training: {optimizer: {lr: 0.2}}, model: {hidden: [4]}}"
    )
    one, other = suite.experiments["one"], suite.experiments["two"]
    assert one.training.optimizer.model_dump()["lr"] == 0.1
    assert other.training.optimizer.model_dump() == {**one.training.optimizer.model_dump(), "lr": 0.2}
    assert other.model == {"name": "mlp", "hidden": [4], "dropout": 0.1}  # a list is replaced, not merged
    assert other.training.epochs == 3


def test_a_section_starts_anew_under_another_name(tmp_path: Path) -> None:
    suite = load(
        tmp_path,
        """\
        experiments:
          one:
            training: {optimizer: {name: Adam, lr: 0.3}}
            model: {name: convnet, channels: [4], dropout: 0.2}
        """,
    )
    one = suite.experiments["one"]
    assert "momentum" not in one.training.optimizer.model_dump()
    assert one.model == {"name": "convnet", "channels": [4], "dropout": 0.2}


@pytest.mark.parametrize(
    ("common", "own", "expected"),
    [
        ("{label_smoothing: 0.1}", "{name: binary}", {"name": "binary", "label_smoothing": 0.0}),
        ("{name: binary, label_smoothing: 0.1}", "{name: 'm:f', k: 2}", {"name": "m:f", "k": 2}),
        (
            "{label_smoothing: 0.1}",
            "{name: cross_entropy}",
            {"name": "cross_entropy", "label_smoothing": 0.1},
        ),
        ("{name: binary, label_smoothing: 0.1}", "{}", {"name": "binary", "label_smoothing": 0.1}),
    ],
)
def test_a_loss_does_so_too(common: str, own: str, expected: dict[str, Any], tmp_path: Path) -> None:
    suite = load(
        tmp_path,
        f"experiments:\n  one: {{training: {{loss: {own}}}}}",
        common=with_training(f"loss: {common}"),
    )
    assert suite.experiments["one"].training.loss.model_dump() == expected


def test_a_list_of_augmentations_replaces_the_common_one(tmp_path: Path) -> None:
    common = with_training("augment: [{name: flip}, {name: cutout, size: 2}]")
    suite = load(
        tmp_path, "experiments:\n  one: {training: {augment: [{name: flip}]}}\n  two:", common=common
    )
    names = [[part.name for part in each.training.augment] for each in suite.experiments.values()]
    assert names == [["flip"], ["flip", "cutout"]]
    assert Suite.model_validate_json(suite.model_dump_json()) == suite


def with_training(setting: str) -> str:
    return COMMON.replace("epochs: 3", f"epochs: 3\n    {setting}")


def test_null_takes_the_scheduler_away(tmp_path: Path) -> None:
    suite = load(tmp_path, "experiments:\n  one: {training: {scheduler: null}}")
    assert suite.experiments["one"].training.scheduler is None


def test_a_matrix_is_expanded_to_named_experiments(tmp_path: Path) -> None:
    suite = load(
        tmp_path,
        """\
        experiments:
          grid:
            training: {epochs: 5}
            matrix: {model.dropout: [0.1, 0.2], training.optimizer.lr: [0.1, 0.5]}
        """,
    )
    assert list(suite.experiments) == [
        "grid-dropout=0.1,lr=0.1",
        "grid-dropout=0.1,lr=0.5",
        "grid-dropout=0.2,lr=0.1",
        "grid-dropout=0.2,lr=0.5",
    ]
    last = suite.experiments["grid-dropout=0.2,lr=0.5"]
    assert (last.model["dropout"], last.training.optimizer.lr, last.training.epochs) == (0.2, 0.5, 5)


def test_a_matrix_with_equal_last_keys_names_them_whole(tmp_path: Path) -> None:
    matrix = "{training.optimizer.weight_decay: [0.0], training.optimizer.lr: [0.5], model.dropout: [0.0]}"
    suite = load(tmp_path, f"experiments:\n  a: {{matrix: {matrix}}}")
    assert list(suite.experiments) == ["a-weight_decay=0.0,lr=0.5,dropout=0.0"]


@pytest.mark.parametrize(("text", "seeds"), [("3", [1, 2, 3]), ("[7, 0]", [7, 0])])
def test_seeds_are_a_count_or_a_list(text: str, seeds: list[int], tmp_path: Path) -> None:
    suite = load(tmp_path, "experiments:\n  one:", common=COMMON.replace("seeds: 2", f"seeds: {text}"))
    assert suite.seeds == seeds
    assert [trial.seed for trial in suite.trials()] == seeds


def test_set_changes_settings_digest_and_folder(tmp_path: Path) -> None:
    plain = load(tmp_path, "experiments:\n  one:\n  two: {training: {epochs: 9}}")
    changed = load(tmp_path, "experiments:\n  one:\n  two: {model: {hidden: [4]}}", "training.epochs=2")
    assert [each.training.epochs for each in changed.experiments.values()] == [2, 2]
    assert plain.folder == "small"
    assert changed.folder.startswith("small@")
    assert len(changed.folder) == len("small@") + 8
    assert next(plain.trials()).digest != next(changed.trials()).digest


@pytest.mark.parametrize(
    ("change", "section", "key", "value"),
    [
        ("dataset.resize=null", "dataset", "resize", None),
        ("model.dropout=0.4", "model", "dropout", 0.4),
        ("training.optimizer={name: Adam, lr: 0.5}", "training", "epochs", 3),
        ("training.scheduler=null", "training", "scheduler", None),
    ],
)
def test_set_reaches_every_section(change: str, section: str, key: str, value: Any, tmp_path: Path) -> None:
    suite = load(tmp_path, "experiments:\n  one:", change)
    assert next(suite.trials()).settings.model_dump()[section][key] == value


def test_extends_merges_files_and_keeps_the_others_place(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(COMMON + "experiments:\n  one:\n", encoding="utf-8")
    path = tmp_path / "inner" / "suite.yaml"
    path.parent.mkdir()
    path.write_text(
        "extends: ../base.yaml\nsuite: other\ncommon: {training: {epochs: 7}}\n", encoding="utf-8"
    )
    suite = load_suite(path)
    assert (suite.suite, suite.title, suite.seeds) == ("other", "A small suite", [1, 2])
    assert suite.experiments["one"].training.epochs == 7
    assert suite.experiments["one"].training.batch_size == 10


def test_a_circle_of_files_is_refused(tmp_path: Path) -> None:
    for own, other in (("a", "b"), ("b", "c"), ("c", "a")):
        (tmp_path / f"{own}.yaml").write_text(f"extends: {other}.yaml\nsuite: {own}\n", encoding="utf-8")
    with pytest.raises(SuiteError, match=r"circle a\.yaml -> b\.yaml -> c\.yaml -> a\.yaml"):
        load_suite(tmp_path / "a.yaml")


def test_one_published_value_or_one_a_run(tmp_path: Path) -> None:
    published = """\
    experiments:
      one:
    published:
      dataset: kmnist
      source: somebody
      runs: 2
      experiments: {one: {train_loss: 0.5, test_accuracy: [0.9, 0.8]}}
    """
    suite = load(tmp_path, published)
    assert suite.published is not None
    figures = suite.published.experiments["one"]
    assert (figures.train_loss, figures.train_accuracy, figures.test_accuracy) == ([0.5], None, [0.9, 0.8])


def test_a_suite_comes_back_from_its_json(tmp_path: Path) -> None:
    suite = load(tmp_path, "experiments:\n  one:\n  two: {model: {hidden: [4]}}", "training.epochs=2")
    assert Suite.model_validate_json(suite.model_dump_json()) == suite


@pytest.mark.parametrize("values", ["[x y, x-y]", "['" + "x" * 100 + "']", "[0.5, '0.5']"])
def test_a_matrix_whose_rows_have_no_names_of_their_own_is_a_mistake(values: str, tmp_path: Path) -> None:
    path = tmp_path / "suite.yaml"
    path.write_text(MATRIX.format(values=values), encoding="utf-8")
    with pytest.raises(SuiteError, match=r"suite\.yaml:9: experiments\.grid\.matrix: found the row 'grid-"):
        load_suite(path)


def test_negative_values_keep_their_names(tmp_path: Path) -> None:
    path = tmp_path / "suite.yaml"
    path.write_text(MATRIX.format(values="[-1.0, 1.0]"), encoding="utf-8")
    with pytest.raises(SuiteError) as caught:
        load_suite(path)
    assert "different names" not in str(caught.value)


MATRIX = """\
suite: small
title: A small suite
dataset: {{name: kmnist_sample, resize: 8}}
seeds: 2
common:
  training: {{epochs: 2, batch_size: 600, optimizer: {{name: Adam, lr: 0.01}}}}
  model: {{name: mlp, hidden: [8], dropout: 0.1}}
experiments:
  grid: {{matrix: {{model.dropout: {values}}}}}
"""
