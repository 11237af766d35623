"""Comparisons, whole, against golden texts; what the guard of a CI leaves with; wrong arguments."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.cli.main import main
from harness.config.suite import Trial
from harness.results.record import Record
from harness.results.store import Store
from tests.support import ROOT, committed
from tests.support.golden import assert_golden
from tests.support.records import SUITE, diverged_of, failed_of, record_of, suite_of

ONE = SUITE.partition("  two:")[0]
FIVE = ONE.replace("seeds: 3", "seeds: 5")
ACCURACIES = [0.80, 0.82, 0.84, 0.86, 0.88]
SLIGHTLY_WORSE = [0.7901, 0.8098, 0.8302, 0.8499, 0.8697]

Fill = Callable[[Trial], Record | None]
Harness = Callable[..., tuple[int, str, str]]


def done(trial: Trial, accuracy: float, loss: float = 1.5, speed: float = 1000.0, **changes: Any) -> Record:
    """Return a done record whose figures differ from each other, and by seed."""
    number = trial.seed % 100
    first, last = record_of(trial, accuracy).epochs
    figures = {
        "test_loss": loss + 0.01 * number,
        "train_accuracy": accuracy + 0.02 + 0.001 * number**2,
        "train_loss": loss / 2 - 0.02 * number * accuracy,
    }
    speeds = {"samples_per_second": speed + number}
    return record_of(
        trial, accuracy, epochs=[first, last.model_copy(update=figures)], **{**speeds, **changes}
    )


def with_accuracies(values: list[float], **changes: Any) -> Fill:
    return lambda trial: done(trial, values[trial.seed % 100 - 1], **changes)


def on(trial: Trial, **hardware: Any) -> Any:
    return record_of(trial).hardware.model_copy(update=hardware)


def made(where: str, text: str, fill: Fill) -> None:
    """Leave the results of a suite under a folder, as `fill` says for each trial."""
    root = Path(where)
    root.mkdir(exist_ok=True)
    suite, store = suite_of(root, text), Store(root)
    (root / "suite.yaml").unlink()
    store.save_suite(suite)
    for trial in suite.trials():
        if (record := fill(trial)) is not None:
            store.save(trial, record)


@pytest.fixture
def harness(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Harness:
    """Return a function that runs a command in an empty folder; its exit code, output and errors."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["harness", *arguments])
        with pytest.raises(SystemExit) as left:
            main()
        return int(left.value.code or 0), *capsys.readouterr()

    return run


def paired() -> list[str]:
    """Vary much from seed to seed, and little within a pair."""
    made("a", FIVE, with_accuracies(ACCURACIES))
    made("b", FIVE, with_accuracies(SLIGHTLY_WORSE, loss=1.5, speed=1100.0))
    return ["a/small/one", "b/small/one"]


def unpaired() -> list[str]:
    """Give each side seeds of its own, and B a smaller test loss with a rate of its own."""
    made("a", ONE, with_accuracies(ACCURACIES))
    text = ONE.replace("seeds: 3", "seeds: [101, 102, 103, 104]").replace("lr: 0.01", "lr: 0.02")
    made("b", text, with_accuracies([0.9, 0.91, 0.9, 0.92], loss=0.2))
    return ["a/small/one", "b/small/one"]


def few_pairs() -> list[str]:
    """Share two of five seeds: too few to leave the others out."""
    made("a", FIVE, with_accuracies(ACCURACIES))
    made("b", FIVE.replace("seeds: 5", "seeds: [4, 5, 101, 102, 103]"), with_accuracies(ACCURACIES))
    return ["a/small/one", "b/small/one"]


def one_seed() -> list[str]:
    made("a", ONE.replace("seeds: 3", "seeds: [2]"), with_accuracies(ACCURACIES))
    made("b", ONE, with_accuracies(SLIGHTLY_WORSE))
    return ["a/small/one", "b/small/one"]


def troubled() -> list[str]:
    """Leave a missing, a failed, a diverged trial and one whose speed was not measured."""

    def fill(trial: Trial) -> Record | None:
        broken = {2: failed_of(trial), 3: diverged_of(trial), 4: None}
        speed = None if trial.seed == 5 else 1000.0
        return broken.get(trial.seed, done(trial, 0.8 + trial.seed / 100, samples_per_second=speed))

    made("a", FIVE.replace("seeds: 5", "seeds: 7"), with_accuracies([*ACCURACIES, 0.9, 0.92]))
    made("b", FIVE.replace("seeds: 5", "seeds: 6"), fill)
    return ["a/small/one", "b/small/one"]


def other_hardware() -> list[str]:
    """Train on another device, with other code, and one of the trials with another torch."""

    def fill(trial: Trial) -> Record:
        record = done(trial, ACCURACIES[trial.seed - 1], speed=4000.0)
        torch = "2.15.0" if trial.seed == 3 else "2.11.0"
        versions = record.versions.model_copy(update={"torch": torch, "code": "f" * 64})
        hardware = on(trial, devices=["A GPU", "A GPU"], world_size=2, engine="graph")
        return record.model_copy(update={"versions": versions, "hardware": hardware})

    made("a", ONE, with_accuracies(ACCURACIES))
    made("b", ONE, fill)
    return ["a/small/one", "b/small/one"]


def same_bits() -> list[str]:
    for where in "ab":
        made(where, ONE, with_accuracies(ACCURACIES))
    return ["a/small/one", "b/small/one"]


def other_dataset() -> list[str]:
    made("a", ONE, with_accuracies(ACCURACIES))
    text = ONE.replace("{name: kmnist, resize: 32}", "{name: mnist, resize: 16}")
    made("b", text, with_accuracies(ACCURACIES, data_digest="f" * 64))
    return ["a/small", "b/small"]


def suites() -> list[str]:
    """Compare suites of other names, that share one experiment."""
    made("a", SUITE, with_accuracies(ACCURACIES))
    text = SUITE.replace("suite: small", "suite: other").replace("  two:", "  three:")
    made("a", text, with_accuracies(SLIGHTLY_WORSE))
    return ["a/small", "a/other"]


def roots() -> list[str]:
    for where, names in (("a", ("small", "large")), ("b", ("small", "new"))):
        for name in names:
            made(where, SUITE.replace("suite: small", f"suite: {name}"), with_accuracies(ACCURACIES))
    shutil.rmtree("b/small/one")
    return ["a", "b"]


def experiments() -> list[str]:
    made(
        "a", SUITE, lambda trial: done(trial, ACCURACIES[trial.seed - 1] - 0.2 * (trial.experiment == "two"))
    )
    return ["a/small/one", "a/small/two"]


def nothing_in_common() -> list[str]:
    made("a", ONE, with_accuracies(ACCURACIES))
    made("b", ONE.replace("  one:", "  three:"), with_accuracies(ACCURACIES))
    return ["a/small", "b/small"]


CASES = [
    paired,
    unpaired,
    few_pairs,
    one_seed,
    troubled,
    other_hardware,
    same_bits,
    other_dataset,
    suites,
    roots,
    experiments,
    nothing_in_common,
]


@pytest.mark.parametrize("case", CASES)
def test_comparison(case: Callable[[], list[str]], harness: Harness) -> None:
    code, text, said = harness("compare", *case())
    assert_golden(f"compare/{case.__name__}.md", text)
    assert (code, said) == (0, "")


def rows_of(text: str) -> list[list[str]]:
    return [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")][2:]


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


def test_differences_without_spread_prove_nothing(harness: Harness) -> None:
    """Steps that are equal but for rounding are no spread either."""
    made("a", FIVE, with_accuracies([0.8, 0.81, 0.82, 0.83, 0.84]))
    made("b", FIVE, with_accuracies([0.79, 0.80, 0.81, 0.82, 0.83]))
    code, text, said = harness("compare", "a/small/one", "b/small/one", "--fail-if", worse("0"))
    assert rows_of(text)[0][5:] == ["-1.000 points", "INCONCLUSIVE: no spread"]
    assert (code, "cannot be judged: no spread" in said) == (2, True)
    assert harness("compare", "b/small/one", "a/small/one", "--fail-if", worse("0"))[0] == 0


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
    assert text.startswith("## `b'\\| ## c` beside `a`\n\nA: `a`. B: `b'\\| ## c`.\n\n| Experiment |")


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
    assert "it takes the spread of those first" in text


def test_stale_records_are_left_out(harness: Harness) -> None:
    names = same_bits()
    Store(Path("b")).save_suite(suite_of(Path("b"), ONE.replace("lr: 0.01", "lr: 0.05")))
    assert "missing in B: seeds 1, 2, 3" in harness("compare", *names)[1]


def test_an_unreadable_record_is_told_and_the_code_says_so(harness: Harness) -> None:
    names = same_bits()
    path = next(Path("b").glob("small/one/seed-1-*.json"))
    path.write_text("{", encoding="utf-8")
    code, text, said = harness("compare", *names)
    assert (code, "unreadable in B: seed 1" in text) == (1, True)
    assert said.startswith(f"{Path('b/small/one').absolute() / path.name}: unreadable record: ")


def worse(amount: str, metric: str = "test_accuracy_points") -> str:
    return f"worse:{metric}:{amount}"


@pytest.mark.parametrize(
    ("case", "guard", "code", "said"),
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
def test_fail_if(case: Callable[[], list[str]], guard: str, code: int, said: str, harness: Harness) -> None:
    left, text, errors = harness("compare", *case(), "--fail-if", guard)
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
        "--fail-if passes over what is in A only: two",
        "--fail-if passes over what is in B only: three",
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
        (["a", "b", "--margin-points", "nan"], "--margin-points: found nan"),
        (["a", "b", "--margin-points", "0"], "--margin-points: found 0.0"),
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
