"""Tables, whole, against golden texts: what is in a cell, what is missing, and the same bytes always."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from harness import report
from harness.config.suite import Suite
from harness.report.artifacts import TextFile
from harness.report.number_format import percent, signed
from harness.results.store import Store
from tests.support import ROOT
from tests.support.filled_stores import MATRIX, ONE, accuracy, full, mixed, nothing, troubled, validated
from tests.support.golden import assert_golden
from tests.support.records import PUBLISHED, RUNS, SUITE, record_of, suite_of, with_code


def mixed_commits(store: Store, suite: Suite) -> None:
    """Let the records differ in their commits alone."""
    for trial in suite.trials():
        record = record_of(trial, accuracy(trial))
        versions = record.versions.model_copy(update={"commit": f"{trial.seed}" * 40 + "-dirty"})
        store.save(trial, record.model_copy(update={"versions": versions}))


def fixed_weights(store: Store, suite: Suite) -> None:
    """Let the seeds of the second experiment begin with the same weights."""
    for trial in suite.trials():
        record = record_of(trial, accuracy(trial))
        store.save(trial, record.model_copy(update={"has_fixed_weights": trial.experiment == "two"}))


def of_library(store: Store, suite: Suite) -> None:
    """Let the records of each experiment's second seed be of a later torchvision."""
    for trial in suite.trials():
        version = f"torchvision==0.{26 + (trial.seed == 2)}.0"
        record = record_of(trial, accuracy(trial))
        store.save(trial, with_code(record, version[-3] * 64, model_library=version))


def first_seeds(count: int, step: float) -> Callable[[Store, Suite], None]:
    """Return what leaves so many seeds of each experiment done, their accuracies a step apart in turn."""

    def fill(store: Store, suite: Suite) -> None:
        for trial in suite.trials():
            if trial.seed <= count:
                store.save(trial, record_of(trial, 0.8 + step * (-1) ** trial.seed))

    return fill


def published(figures: str, more: str = "runs: 1") -> str:
    return PUBLISHED.replace("test_accuracy: 0.8125", f"test_accuracy: {figures}").replace(
        "  experiments:", f"  {more}\n  experiments:"
    )


LIBRARY = SUITE.replace("name: mlp, hidden: [8], dropout: 0.1", "name: 'torchvision:resnet18'").replace(
    "model: {hidden: [16]}", "model: {small_input: true}"
)
ADAPTIVE = SUITE.replace("seeds: 3", "seeds: {half_width_points: 0.5, at_least: 4, at_most: 10}")
CASES: dict[str, tuple[str, Callable[[Store, Suite], None]]] = {
    "experiments": (SUITE + PUBLISHED, full),
    "unpublished": (SUITE, full),
    "another-dataset": ((SUITE + PUBLISHED).replace("{name: kmnist,", "{name: fashion_mnist,"), full),
    "troubled": (SUITE + PUBLISHED, troubled),
    "mixed": (SUITE, mixed),
    "nothing": (SUITE + PUBLISHED, nothing),
    "runs": (ONE + RUNS, full),
    "runs-of-two": (SUITE + RUNS, full),
    "runs-troubled": (SUITE + RUNS, troubled),
    "one-seed": (SUITE.replace("seeds: 3", "seeds: [7]") + PUBLISHED, full),
    "sample": (SUITE.replace("{name: kmnist,", "{name: kmnist_sample,"), full),
    "rank-dependent": (SUITE.replace("epochs: 2", "epochs: 2\n    allow_rank_dependent: true"), full),
    "fixed-weights": (SUITE, fixed_weights),
    "mixed-commits": (SUITE, mixed_commits),
    "library": (LIBRARY, of_library),
    "validation": (SUITE, validated),
    "chosen": (SUITE + PUBLISHED + "choose: {by: validation_accuracy}\n", validated),
    "chosen-by-test": (SUITE + "choose: {by: test_accuracy}\n", full),
    "matrix": (MATRIX, full),
    "published-mean": (SUITE + published("0.8125", "runs: 3"), full),
    "published-values": (SUITE + published("[0.812, 0.8125, 0.8135]", "runs: 3"), first_seeds(3, 0.001)),
    "published-equal": (SUITE + published("[0.81, 0.81]", "runs: 2"), first_seeds(3, 0.0)),
    "reproduced": (SUITE + published("0.8003", "margin_points: 1"), first_seeds(3, 0.001)),
    "inconclusive": (SUITE + published("0.81", "runs: 30\n  rounding_points: 0.01"), first_seeds(3, 0.01)),
    "adaptive": (ADAPTIVE + published("0.81"), first_seeds(8, 0.004)),
    "adaptive-undecided": (ADAPTIVE + published("0.81"), first_seeds(3, 0.003)),
    "adaptive-capped": (ADAPTIVE, first_seeds(10, 0.02)),
    "hostile": (SUITE.replace("A small suite", "'a | b <b> \\ `c` *d*'"), full),
}


@pytest.mark.parametrize("case", CASES)
def test_table(case: str, tmp_path: Path) -> None:
    text, fill = CASES[case]
    suite, store = suite_of(tmp_path, text), Store(tmp_path / "results")
    store.save_suite(suite)
    fill(store, suite)
    outputs = list(report.outputs(store, [suite.folder]))
    texts = {each.path.name: each.text for each in outputs if isinstance(each, TextFile)}
    for kind in ("md", "tex", "csv"):
        assert_golden(f"tables/{case}.{kind}", texts[f"table.{kind}"])
    unreadable = [each for each in outputs if isinstance(each, str)]
    assert len(unreadable) == (1 if fill is troubled else 0)


def test_the_last_epoch_counts_not_the_best(tmp_path: Path) -> None:
    suite, store = suite_of(tmp_path), Store(tmp_path / "results")
    store.save_suite(suite)
    full(store, suite)
    text = report.write(store, "small").text
    best, last = [(0.8 + 0.81 + 0.83) / 3 + 0.05, (0.8 + 0.81 + 0.83) / 3]
    assert f"{100 * last:.2f} % ± 1.53 % (3)" in text
    assert f"{100 * best:.2f} %" not in text


@pytest.mark.e2e
def test_the_same_bytes_whatever_the_order_of_records_the_locale_the_zone_and_the_hash_seed(
    tmp_path: Path,
) -> None:
    environments = ({"LC_ALL": "C", "TZ": "UTC"}, {"LC_ALL": "de_DE.UTF-8", "TZ": "Pacific/Apia"})
    contents = []
    for number, (order, environment) in enumerate(zip((1, -1), environments, strict=True)):
        folder = tmp_path / str(number)
        folder.mkdir()
        suite, store = suite_of(folder, SUITE + PUBLISHED), Store(folder / "results")
        store.save_suite(suite)
        for trial in list(suite.trials())[::order]:
            store.save(trial, record_of(trial, accuracy(trial)))
        command = [sys.executable, "-m", "harness", "report", "--results", str(store.root)]
        env = {"PYTHONHASHSEED": str(number), "PATH": "", "HOME": str(folder), **environment}
        subprocess.run(command, check=True, env=env, cwd=ROOT, capture_output=True)
        files = (path for path in store.root.rglob("*") if path.is_file() and path.name != "suite.json")
        contents.append({path.relative_to(folder): path.read_bytes() for path in files})
    assert contents[0] == contents[1]
    assert len(contents[0]) == 6 + 4 + 2 * 3


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (0.94035, 2, "94.04 %"),
        (0.99998, 3, "99.998 %"),
        (1.0, 3, "100.000 %"),
        (0.8264, 2, "82.64 %"),
        (5e-324, 2, "0.00 %"),
    ],
)
def test_percentages_are_rounded_as_the_report_rounds(value: float, digits: int, text: str) -> None:
    assert percent(digits)(value) == text


@pytest.mark.parametrize(
    ("figure", "more", "step", "verdict"),
    [
        ("0.85", "runs: 1", 0.0003, "no number of our seeds can: published in steps of 1 points"),
        ("0.8501", "runs: 1", 0.01, "no number of our seeds can: one published run"),
        ("0.85", "rounding_points: 0", 0.0003, "REPRODUCED"),
    ],
)
def test_what_keeps_a_verdict_open_is_named(
    figure: str, more: str, step: float, verdict: str, tmp_path: Path
) -> None:
    suite, store = suite_of(tmp_path, SUITE + published(figure, more)), Store(tmp_path / "results")
    store.save_suite(suite)
    for trial in suite.trials():
        store.save(trial, record_of(trial, 0.85 + step * (-1) ** trial.seed))
    text = report.write(store, "small").text
    assert f"{verdict} |" in text
    assert ("every interval is wider" in text) == ("rounding_points" not in more)


@pytest.mark.parametrize(
    ("fraction", "text"), [(0.00123, "+0.12"), (-0.00123, "-0.12"), (-1e-9, "+0.00"), (0.0, "+0.00")]
)
def test_no_difference_has_no_sign_of_its_own(fraction: float, text: str) -> None:
    assert signed(fraction, 2) == text


def test_lines_of_a_source_break_no_table(tmp_path: Path) -> None:
    """A block of YAML ends with a line break, and a table may stand inside another file."""
    source = 'source: "A. Nother,\\n\\n<!-- /harness -->\\n# a report\\n"'
    suite = suite_of(tmp_path, (SUITE + PUBLISHED).replace('source: "A. Nother, a report"', source))
    assert suite.published
    assert "\n\n" in suite.published.source
    store = Store(tmp_path / "results")
    store.save_suite(suite)
    full(store, suite)
    notes = tmp_path / "notes.md"
    notes.write_text("<!-- harness:table small -->\n<!-- /harness -->\nAfter\n", encoding="utf-8")
    for _ in range(2):
        for each in report.outputs(store, ["small"], [notes]):
            assert not isinstance(each, str)
            each.write()
            assert not each.difference()
    text = notes.read_text(encoding="utf-8")
    assert "Published figures: A. Nother, \\<!-- /harness --> # a report.\\\n" in text
    assert (text.count("\n<!-- /harness -->\n"), text.count("Made from")) == (1, 1)


def test_an_unreadable_record_is_told_without_the_machines_paths(tmp_path: Path) -> None:
    suite, store = suite_of(tmp_path), Store(tmp_path / "results")
    store.record_path(trial := next(suite.trials())).mkdir(parents=True)
    path = store.record_path(trial)
    assert store.find(trial).error == f"{path}: unreadable record: Is a directory"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_check_is_told_whatever_the_terminal_can_show(encoding: str, tmp_path: Path) -> None:
    suite = suite_of(tmp_path, SUITE + "table: {figures: false}\n")
    store = Store(tmp_path / "results")
    store.save_suite(suite)
    full(store, suite)
    command = [sys.executable, "-m", "harness", "report", "--check", "--results", str(store.root)]
    report.write(store, "small").path.write_text("±\n", encoding="utf-8")
    env = {**os.environ, "PYTHONIOENCODING": encoding}
    done = subprocess.run(command, check=False, env=env, cwd=tmp_path, capture_output=True)
    assert (done.returncode, done.stderr) == (1, b"")
    assert b"+| two | ? | hidden" in done.stdout


def test_a_report_needs_no_suite_file(tmp_path: Path) -> None:
    suite, store = suite_of(tmp_path), Store(tmp_path / "results")
    store.save_suite(suite)
    full(store, suite)
    (tmp_path / "suite.yaml").unlink()
    assert report.write(store, "small").path.is_file()


def test_stale_records_are_kept_and_left_out(tmp_path: Path) -> None:
    suite, store = suite_of(tmp_path), Store(tmp_path / "results")
    full(store, suite)
    changed = suite_of(tmp_path, SUITE.replace("lr: 0.01", "lr: 0.05"))
    store.save_suite(changed)
    text = report.write(store, "small").path.read_text(encoding="utf-8")
    assert "missing: seeds 1, 2, 3" in text
    assert all(store.record_path(trial).is_file() for trial in suite.trials())
