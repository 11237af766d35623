"""Which results `harness compare` finds by the names it is given, and which arguments it refuses."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.comparison_cases import (
    ACCURACIES,
    SLIGHTLY_WORSE,
    Harness,
    made,
    rows_of,
    same_bits,
    with_accuracies,
)
from tests.support.filled_stores import ONE
from tests.support.records import SUITE


def test_a_renamed_folder_is_read_where_it_stands(harness: Harness) -> None:
    made("a", ONE, with_accuracies(ACCURACIES))
    os.rename("a/small", "a/before")
    made("a", ONE, with_accuracies(SLIGHTLY_WORSE))
    accuracy = rows_of(harness("compare", "before/one", "small/one", "--results", "a")[1])[0]
    assert accuracy[2:5] == ["82.000 % ± 2.000 %", "81.003 % ± 2.005 %", "3 pairs"]


def test_names_of_folders_cannot_break_the_text(harness: Harness) -> None:
    same_bits()
    os.rename("b", "b`|\n## c")
    text = harness("compare", "a", "b`|\n## c")[1]
    assert text.startswith("## `b'| ## c` beside `a`\n\nA: `a`. B: `b'| ## c`.\n\n| Experiment |")


def test_an_unreadable_record_is_told_and_the_code_says_so(harness: Harness) -> None:
    names = same_bits()
    path = next(Path("b").glob("small/one/seed-1-*.json"))
    path.write_text("{", encoding="utf-8")
    code, text, said = harness("compare", *names)
    assert (code, "unreadable in B: seed 1" in text) == (1, True)
    assert said.startswith(f"{Path('b/small/one').absolute() / path.name}: unreadable record: ")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["a", "a"], "a and a are the same results: expected two"),
        (["a/small", "small"], "a/small and small are the same results: expected two"),
        (["a", "a/small"], "a is a folder of several suites, a/small is a suite: expected two experiments"),
        (["a/small", "a/small/one"], "a/small is a suite, a/small/one is an experiment"),
        (["a/small/one", "a/small/tow"], "no such experiment in small; did you mean 'two'? known: one, two"),
        (["small/one", "small/tow"], "no such experiment in small; did you mean 'two'?"),
        (["smal", "a"], "smal: no such results; in a: did you mean 'small'? known: small"),
        (["a", "empty"], "empty: no results there (a suite's have a suite.json); in a: known: small"),
        (["", "a"], "found '', expected a folder of results"),
        (["a", "x" * 5000], "cannot be read: File name too long"),
        (["a", "b", "--fail-if", "worse:test_acuracy_points:1"], "did you mean 'test_accuracy_points'?"),
        (
            ["a", "b", "--fail-if", "better:test_loss:1"],
            "found 'better:test_loss:1', expected worse:METRIC:AMOUNT",
        ),
        (["a", "b", "--fail-if", "worse:test_loss"], "expected worse:METRIC:AMOUNT"),
        (["a", "b", "--fail-if", "worse:test_loss:-1"], "found '-1', expected a number, 0 or more"),
        (["a", "b", "--fail-if", "worse:test_loss:nan"], "found 'nan', expected a number"),
        (["a", "b", "--fail-if", "worse:test_loss:inf"], "found 'inf', expected a number"),
        (["a", "b", "--fail-if", "worse:test_accuracy_points:100"], "expected a number, from 0 to below 100"),
        (["a", "b", "--margin-points", "nan"], "--margin-points: found 'nan', expected a number"),
        (["a", "b", "--margin-points", "0"], "--margin-points: found '0', expected a number"),
    ],
)
def test_wrong_arguments(arguments: list[str], said: str, harness: Harness) -> None:
    for where in "ab":
        made(where, SUITE, lambda trial: None)
    Path("empty").mkdir()
    code, text, errors = harness("compare", *arguments, "--results", "a")
    assert (code, text) == (2, "")
    assert errors.startswith("error: ")
    assert said in errors
