"""Plain values of YAML: numbers as YAML 1.2 has them, quoted text as it is, and what no file may hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.config import yaml_reader
from harness.config.loader import load_suite
from harness.config.overrides import Assignment
from harness.errors import SuiteError
from tests.config.test_loader import COMMON

NUMBERS = {
    "1e-3": 0.001,
    "1e-08": 1e-8,
    "1E5": 1e5,
    "+1e3": 1e3,
    "-1e3": -1e3,
    ".5e1": 5.0,
    "1.0e5": 1e5,
    "1.e5": 1e5,
    "-.5": -0.5,
    "08e1": 80.0,
    "0o17": 15,
}


@pytest.mark.parametrize(("text", "number"), NUMBERS.items())
def test_unquoted_numbers_are_those_of_yaml_1_2(text: str, number: float) -> None:
    value, _ = yaml_reader.parse(text, "value")
    assert (value, type(value)) == (number, type(number))


@pytest.mark.parametrize("text", ["'1e-3'", '"1e-3"', "!!str 1e-3", "1e", "e3", "1e-3x", "1.2.3", "0x"])
def test_quoted_and_other_text_stays_text(text: str) -> None:
    value, _ = yaml_reader.parse(text, "value")
    assert value == text.removeprefix("!!str ").strip("'\"")


def test_numbers_are_numbers_in_a_users_model_in_a_matrix_and_in_set(tmp_path: Path) -> None:
    own = "{name: 'own:net', eps: 1e-3, tag: '1e-3', deep: {list: [1E2, \"1e2\"]}}"
    matrix = "{training.optimizer.lr: [1e-2, 2e-3]}"
    text = f"{COMMON}experiments:\n  one:\n    model: {own}\n    matrix: {matrix}\n"
    (tmp_path / "suite.yaml").write_text(text, encoding="utf-8")
    suite = load_suite(tmp_path / "suite.yaml", [Assignment.parse("model.more=1e-08")])
    assert list(suite.experiments) == ["one-lr=0.01", "one-lr=0.002"]
    for each in suite.experiments.values():
        expected: dict[str, Any] = {"name": "own:net", "eps": 0.001, "tag": "1e-3", "more": 1e-8}
        assert each.model == {**expected, "deep": {"list": [100.0, "1e2"]}}


@pytest.mark.parametrize("opened", ["[", "{a: ", "- "])
@pytest.mark.parametrize("levels", [101, 300, 20_000])
def test_values_nested_too_deep_are_a_mistake(opened: str, levels: int) -> None:
    closed = {"[": "]", "{a: ": "}", "- ": ""}[opened]
    with pytest.raises(SuiteError, match="nested more than 100 deep"):
        yaml_reader.parse(opened * levels + "1" + closed * levels, "value")
