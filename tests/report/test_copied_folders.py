"""A folder of results that was copied or renamed: its content counts, and no other folder is written."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from harness.results.store import Store
from tests.support.comparison_cases import Harness
from tests.support.filled_stores import full, mixed
from tests.support.records import PUBLISHED, SUITE, suite_of

NAMES = ["backup", "small@12345678", "my results", "50 % [a] {b} $x_1$", "small.yml.d"]


@pytest.fixture(params=NAMES)
def copied(request: pytest.FixtureRequest, harness: Harness) -> str:
    """Lay out a suite's results and a copy of them with one record less; return its name."""
    store = Store(Path("results"))
    # Figures take most of the time, and of these names only one means something to what draws them.
    drawn = "" if "$" in request.param else "table: {figures: false}\n"
    suite = suite_of(Path(), SUITE + PUBLISHED + drawn)
    store.save_suite(suite)
    mixed(store, suite)
    shutil.copytree("results/small", f"results/{request.param}")
    next(Path("results", request.param, "two").glob("seed-3-*.json")).unlink()
    return str(request.param)


def contents(folder: str) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in Path("results", folder).rglob("*") if path.is_file()}


def test_report_reads_and_writes_the_copy(copied: str, harness: Harness) -> None:
    before = contents("small")
    code, out, _ = harness("report", copied)
    assert code == 0
    assert contents("small") == before
    assert "missing: seed 3" in Path("results", copied, "table.md").read_text(encoding="utf-8")
    assert f"results/{copied}/table.md" in out
    assert harness("report", "--check", copied)[0] == 0
    assert harness("report", copied + "/")[1] == harness("report", f"results/{copied}")[1]


def test_all_folders_have_their_own_tables(copied: str, harness: Harness) -> None:
    assert harness("report", "--html")[0] == 0
    assert "missing" not in Path("results/small/table.md").read_text(encoding="utf-8")
    assert "missing: seed 3" in Path("results", copied, "table.md").read_text(encoding="utf-8")
    assert harness("report", "--check")[0] == 0


def test_status_export_and_compare_look_into_the_copy(copied: str, harness: Harness) -> None:
    (row,) = [line for line in harness("status")[1].splitlines() if line.startswith(copied)]
    assert row.removeprefix(copied).split() == ["5", "0", "0", "1", "0", "0"]
    assert harness("export", "tests.support.own_trackers:Keeps", copied)[1].startswith(f"{copied}: 5 trials")
    assert "missing in B: seed 3" in harness("compare", "small", copied)[1]


def test_a_renamed_experiment_is_not_another(tmp_path: Path) -> None:
    store, suite = Store(tmp_path / "results"), suite_of(tmp_path)
    full(store, suite)
    (store.root / "small" / "one").rename(store.root / "small" / "uno")
    renamed = suite_of(tmp_path, SUITE.replace("  one:", "  uno:"))
    found = store.find(next(renamed.trials()))
    assert (found.state, "found the experiment 'one', expected 'uno'" in (found.error or "")) == (
        "unreadable",
        True,
    )
