"""The packaged suite: `quickstart` where a command takes a suite's file, unless a file has that name."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.cli.suites import load
from harness.config import packaged_suite, resolved, suite_file
from harness.report.aggregate import SuiteResults
from harness.report.html.rerun_command import again
from harness.results import provenance
from harness.results.store import Store
from harness.results.user_code_hash import UserCodes
from harness.runner.launch import launcher
from harness.runner.request import Request
from harness.runner.run_code import RunCode
from tests.support.records import SUITE

Harness = Callable[..., str]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))


def quickstart(text: str, name: str = "quickstart") -> None:
    Path(name).write_text(text.replace("suite: small", "suite: quickstart"), encoding="utf-8")


def packaged() -> str:
    return packaged_suite.PATH.read_text(encoding="utf-8")


def test_commands_know_it_by_name(harness: Harness) -> None:
    assert harness("plan", "quickstart").startswith("quickstart: ")
    assert "--job-name=harness:quickstart " in harness("submit", "quickstart", "--dry-run")


def test_a_file_of_that_name_wins(harness: Harness) -> None:
    quickstart(SUITE)
    assert harness("plan", "quickstart").startswith("quickstart: A small suite")


def test_a_folder_of_that_name_is_no_suite(harness: Harness) -> None:
    Path("quickstart").mkdir()
    assert harness("plan", "quickstart").startswith("quickstart: ")


def test_status_and_report_take_the_name_for_a_folder_of_results(harness: Harness) -> None:
    said = harness("status", "quickstart", code=2)
    assert (
        said == "error: results: there is no such folder of results; run a suite first, or give --results\n"
    )
    Store(Path("results")).save_suite(load(Path("quickstart"), None))
    assert "quickstart" in harness("status", "quickstart")


def test_suite_json_does_not_say_where_the_package_is_installed() -> None:
    store, suite = Store(Path("results")), load(Path("quickstart"), None)
    store.save_suite(suite)
    text = Path("results/quickstart/suite.json").read_text(encoding="utf-8")
    assert json.loads(text)["source"]["path"] == "harness:quickstart"
    assert store.load_suite("quickstart").source == suite.source
    assert load(Path("results/quickstart/suite.json"), None).source == suite.source
    assert resolved.to_json(suite) == resolved.to_json(suite, Path.cwd())


def test_a_file_of_that_name_is_found_again_through_its_suite_json() -> None:
    quickstart(SUITE)
    store, suite = Store(Path("results")), load(Path("quickstart"), None)
    store.save_suite(suite)
    known = store.load_suite("quickstart")
    assert known.source == suite.source
    assert not suite_file.is_edited(known)
    quickstart(SUITE.replace("lr: 0.01", "lr: 0.5"))
    assert suite_file.is_edited(known)


def test_another_edition_of_the_package_is_an_edit(monkeypatch: pytest.MonkeyPatch) -> None:
    store, suite = Store(Path("results")), load(Path("quickstart"), None)
    store.save_suite(suite)
    assert not suite_file.is_edited(suite)
    edition = Path("edition.yaml").absolute()
    edition.write_text(packaged().replace("seeds: 3", "seeds: 4"), encoding="utf-8")
    monkeypatch.setattr(packaged_suite, "PATH", edition)
    assert suite_file.is_edited(store.load_suite("quickstart"))
    store.refuse_another(load(Path("quickstart"), None))


def test_a_copy_is_the_same_suite_until_it_says_something_else(harness: Harness) -> None:
    Store(Path("results")).save_suite(load(Path("quickstart"), None))
    shutil.copy(packaged_suite.PATH, "mine.yaml")
    harness("plan", "mine.yaml")
    quickstart(packaged().replace("seeds: 3", "seeds: 4"), "mine.yaml")
    said = harness("plan", "mine.yaml", code=2)
    assert "found results of `suite: quickstart` from the package's quickstart, expected none or" in said
    assert "or those of `suite: quickstart` from mine.yaml" in said


def test_its_commit_is_the_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package may be installed in somebody's repository, which does not hold the suite."""
    monkeypatch.setattr(provenance, "commit", lambda: "c" * 40)
    request = Request(suites=[load(Path("quickstart"), None)], results=Path("results"))
    assert RunCode.of(request, UserCodes()).user_commit == {"quickstart": "c" * 40}


def test_the_page_names_it_in_commands() -> None:
    store = Store(Path("results"))
    store.save_suite(load(Path("quickstart"), None))
    results = SuiteResults.of(store, "quickstart")
    assert again(results, results.rows[0]).startswith("harness run quickstart --only ")


def test_after_it_a_run_says_what_to_try_next(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launcher, "run", lambda *_: 0)
    next_lines = harness("quickstart").strip().splitlines()
    assert next_lines == [
        "next: harness compare quickstart/mlp quickstart/conv",
        "      harness report --html",
        "      harness init",
    ]
    assert {"mlp", "conv"} <= set(load(Path("quickstart"), None).experiments)
    assert not harness("run", "quickstart", "--only", "mlp")
