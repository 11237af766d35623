"""What `harness compare` prints: golden texts, intervals, verdicts, and which seeds count."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.results.store import Store
from tests.support import ROOT, committed
from tests.support.comparison_cases import (
    ACCURACIES,
    CASES,
    FIVE,
    SLIGHTLY_WORSE,
    Harness,
    made,
    paired,
    rows_of,
    same_bits,
    with_accuracies,
)
from tests.support.filled_stores import ONE
from tests.support.golden import assert_golden
from tests.support.records import suite_of


@pytest.mark.parametrize("case", CASES)
def test_comparison(case: Callable[[], list[str]], harness: Harness) -> None:
    code, text, said = harness("compare", *case())
    assert_golden(f"compare/{case.__name__}.md", text)
    assert (code, said) == (0, "")


def test_pairs_show_what_their_spread_over_seeds_hides(harness: Harness) -> None:
    accuracy = rows_of(harness("compare", *paired())[1])[0]
    assert accuracy[4:] == ["5 pairs", "-1.006 points (-1.032 to -0.980)", "LOWER"]
    shifted = FIVE.replace("seeds: 5", "seeds: [101, 102, 103, 104, 105]")
    made("c", shifted, with_accuracies(SLIGHTLY_WORSE))
    accuracy = rows_of(harness("compare", "a/small/one", "c/small/one")[1])[0]
    assert accuracy[4:] == ["5 and 5", "-1.006 points (-5.610 to +3.598)", "INCONCLUSIVE"]


@pytest.fixture(scope="module")
def tracked() -> Iterator[Path]:
    """Return a folder with the results that git tracks."""
    with committed.laid_out() as folder:
        yield folder


def test_the_committed_equivalence_is_what_was_found_by_hand(harness: Harness, tracked: Path) -> None:
    equivalence = tracked / "results/equivalence"
    row = next(
        line
        for line in (equivalence / "verdict.md").read_text(encoding="utf-8").splitlines()
        if line.startswith("| bf16 against fp32")
    )
    bf16, fp32, n, difference, interval, _ = row.strip("| ").split(" | ")[1:]
    # The same by path, by name, and from within the suite's folder.
    for names in ([str(equivalence / name) for name in ("fp32", "bf16")], ["fp32", "bf16"]):
        code, text, _ = harness("compare", *names, "--margin-points", "0.3", "--results", str(equivalence))
        _, _, a, b, pairs, points, verdict = rows_of(text)[0]
        assert (code, a, b, pairs) == (0, fp32, bf16, f"{n} pairs")
        assert points.startswith(f"{difference} points ")
        assert verdict == f"EQUIVALENT ({interval})"


def test_it_names_the_epochs_that_count(harness: Harness) -> None:
    best = FIVE.replace("resize: 32", "resize: 32, validation: {fraction: 0.1}").replace(
        "epochs: 2", "epochs: 2\n    epoch: best_on_validation"
    )
    for where, text in (("a", FIVE), ("b", best), ("c", best)):
        made(where, text, with_accuracies(ACCURACIES))
    assert "Figures are the best epoch's on validation, mean" in harness("compare", "b/small", "c/small")[1]
    both = "Figures are the last epoch's or the best epoch's on validation, mean"
    assert both in harness("compare", "a/small", "b/small")[1]


def test_only_seeds_that_the_results_call_for_count(harness: Harness) -> None:
    made(
        "a",
        ONE.replace("seeds: 3", "seeds: {half_width_points: 50, at_least: 2}"),
        with_accuracies(ACCURACIES * 10),
    )
    made("b", ONE, with_accuracies(SLIGHTLY_WORSE))
    text = harness("compare", "a/small/one", "b/small/one")[1]
    assert rows_of(text)[0][4] == "2 pairs"
    assert "done in B only, left out: seed 3" in text


def test_seeds_that_decided_their_number_give_the_spread_of_unpaired_ones(harness: Harness) -> None:
    """Take the spread of the first three, 2 points, with two degrees of freedom; not that of all six."""
    wanted = ONE.replace("seeds: 3", "seeds: {half_width_points: 3.6, at_least: 3, at_most: 6}")
    made("a", wanted, with_accuracies([0.80, 0.82, 0.84, 0.82, 0.82, 0.82]))
    shifted = ONE.replace("seeds: 3", "seeds: [101, 102, 103]")
    made("b", shifted, with_accuracies([0.70, 0.72, 0.74]))
    text = harness("compare", "a/small/one", "b/small/one")[1]
    # Welch: 2 √(1/6 + 1/3) = 1.4142, df = (1/6 + 1/3)² / ((1/36 + 1/9) / 2) = 3.6, t(0.975, 3.6) = 2.9024
    assert rows_of(text)[0][4:6] == ["6 and 3", "-10.000 points (-14.105 to -5.895)"]
    assert "Welch's t uses the spread of the first ones" in text


def test_stale_records_are_left_out(harness: Harness) -> None:
    names = same_bits()
    Store(Path("b")).save_suite(suite_of(Path("b"), ONE.replace("lr: 0.01", "lr: 0.05")))
    assert "missing in B: seeds 1, 2, 3" in harness("compare", *names)[1]


@pytest.mark.e2e
def test_the_same_bytes_without_torch_whatever_the_hash_seed(tracked: Path) -> None:
    code = (
        "import sys\nfrom harness.cli.main import main\n"
        "sys.argv[1:] = ['compare', 'equivalence/fp32', 'equivalence/bf16']\n"
        "try:\n    main()\n"
        "finally:\n    assert not {'torch', 'scipy.stats', 'matplotlib'} & sys.modules.keys()"
    )
    texts = set()
    for number in range(2):
        env = {"PYTHONHASHSEED": str(number), "LC_ALL": "C", "PATH": "", "PYTHONUTF8": "1"}
        env["PYTHONPATH"] = str(ROOT)
        run = subprocess.run(
            [sys.executable, "-c", code], env=env, cwd=tracked, capture_output=True, check=True
        )
        texts.add(run.stdout)
    assert len(texts) == 1
    assert re.match(rb"## `equivalence/bf16` beside `equivalence/fp32`\n", texts.pop())
