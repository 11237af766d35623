"""`harness compare --fail-if`: what is worse, what cannot be judged, and the exit codes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.comparison_cases import (
    ACCURACIES,
    FIVE,
    SLIGHTLY_WORSE,
    Harness,
    done,
    experiments,
    made,
    nothing_in_common,
    one_seed,
    other_hardware,
    paired,
    roots,
    rows_of,
    same_bits,
    suites,
    unpaired,
    with_accuracies,
)
from tests.support.filled_stores import ONE
from tests.support.records import SUITE


def test_differences_without_spread_prove_nothing(harness: Harness) -> None:
    """Steps that are equal but for rounding are no spread either."""
    made("a", FIVE, with_accuracies([0.8, 0.81, 0.82, 0.83, 0.84]))
    made("b", FIVE, with_accuracies([0.79, 0.80, 0.81, 0.82, 0.83]))
    code, text, said = harness("compare", "a/small/one", "b/small/one", "--fail-if", worse("0"))
    assert rows_of(text)[0][5:] == ["-1.000 points", "INCONCLUSIVE: no spread"]
    assert (code, "cannot be judged: no spread" in said) == (2, True)
    assert harness("compare", "b/small/one", "a/small/one", "--fail-if", worse("0"))[0] == 0


def worse(amount: str, metric: str = "test_accuracy_points") -> str:
    return f"worse:{metric}:{amount}"


@pytest.mark.parametrize(
    ("case", "gate", "code", "said"),
    [
        (paired, worse("0.98"), 1, "with 95 % confidence worse by 0.9862 points or more"),
        (paired, worse("0.99"), 0, ""),
        (paired, worse("0"), 1, "82.994 % in B (5 pairs): -1.006 points"),
        (paired, worse("0", "test_loss"), 0, ""),
        (paired, worse("0", "samples_per_second_percent"), 0, ""),
        (unpaired, worse("0"), 0, ""),
        (one_seed, worse("90"), 2, "one cannot be judged: one pair"),
        (
            other_hardware,
            worse("5", "samples_per_second_percent"),
            2,
            "not the same devices, world size, engine",
        ),
        (other_hardware, worse("5"), 0, ""),
        (same_bits, worse("0"), 0, ""),
        (same_bits, worse("0", "train_loss"), 0, ""),
        (suites, worse("0.5"), 1, "one is worse"),
        (roots, worse("0.5"), 2, "small/one cannot be judged: nothing done in B"),
        (experiments, worse("19"), 2, "no spread"),
        (nothing_in_common, worse("0"), 2, "nothing can be judged: no experiment is in both"),
    ],
)
def test_fail_if(case: Callable[[], list[str]], gate: str, code: int, said: str, harness: Harness) -> None:
    left, text, errors = harness("compare", *case(), "--fail-if", gate)
    assert (left, bool(errors)) == (code, bool(code))
    assert said in errors
    assert text.startswith("## ")


def test_each_direction_is_worse_for_its_figure(harness: Harness) -> None:
    """Turn the sides round: what was better is worse, for accuracy, loss and speed."""
    rates = [900.0, 1010.0, 950.0]
    made("a", ONE, with_accuracies(ACCURACIES))
    made(
        "b",
        ONE,
        lambda trial: done(
            trial, ACCURACIES[trial.seed - 1] + 0.03 + 0.001 * trial.seed,
            loss=1.0 - 0.02 * trial.seed**2, samples_per_second=3 * rates[trial.seed - 1],
        ),
    )  # fmt: skip
    forth, back = ["a/small", "b/small"], ["b/small", "a/small"]
    for metric, amount in (
        ("test_accuracy_points", "2.9"),
        ("test_loss", "0.2"),
        ("samples_per_second_percent", "60"),
    ):
        assert harness("compare", *forth, "--fail-if", worse("0", metric))[0] == 0
        assert harness("compare", *back, "--fail-if", worse(amount, metric))[0] == 1
        enough = {"test_accuracy_points": "3.3", "test_loss": "0.7"}.get(metric, "69")
        assert harness("compare", *back, "--fail-if", worse(enough, metric))[0] == 0


def test_a_guard_says_what_it_passes_over(harness: Harness) -> None:
    code, _, said = harness("compare", *suites(), "--fail-if", worse("2"))
    passed = [
        "--fail-if ignores what is in A only: two",
        "--fail-if ignores what is in B only: three",
    ]
    assert (code, said.splitlines()) == (0, passed)


def test_a_failing_row_wins_over_one_that_cannot_be_judged(harness: Harness) -> None:
    made("a", SUITE, with_accuracies(ACCURACIES))
    made(
        "b",
        SUITE,
        lambda trial: done(trial, SLIGHTLY_WORSE[trial.seed - 1]) if trial.experiment == "one" else None,
    )
    code, _, said = harness(
        "compare", "a", "b", "--fail-if", worse("0.5"), "--fail-if", worse("0.5", "test_loss")
    )
    assert code == 1
    assert [line.split(" is ")[0].split(" cannot")[0] for line in said.splitlines()] == [
        "worse:test_accuracy_points:0.5: small/one",
        "worse:test_accuracy_points:0.5: small/two",
        "worse:test_loss:0.5: small/two",
    ]
