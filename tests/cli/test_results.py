"""plan, status and report of a suite's file: as it is now, whatever ran before; they never disagree."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.config.loader import load_suite
from harness.results.store import Store
from tests.support.commands import call
from tests.support.filled_stores import full
from tests.support.records import PUBLISHED, SUITE, record_of

Harness = Callable[..., tuple[str, str]]


@pytest.fixture
def harness(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Harness:
    """Be in a folder with a suite; return a function that runs a command and returns what it printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    write(SUITE)

    def run(*arguments: str, code: int = 0) -> tuple[str, str]:
        found, out, err = call(arguments, monkeypatch, capsys)
        assert found == code, (out, err)
        return out, err

    return run


def write(text: str, path: str = "suite.yaml") -> None:
    Path(path).write_text(text, encoding="utf-8")


def ran() -> None:
    """Leave all records of the suite as it is, and its suite.json."""
    store, suite = Store(Path("results")), load_suite(Path("suite.yaml"))
    store.save_suite(suite)
    full(store, suite)


def left(plan: str) -> int:
    return int(re.findall(r"^(\d+) of \d+ trials left", plan, re.MULTILINE)[0])


def counted(status: str) -> dict[str, int]:
    names, counts = (line.split()[1:] for line in status.splitlines()[:2])
    return dict(zip(names, map(int, counts), strict=True))


EDITS = {
    "as it was": SUITE,
    "another rate": SUITE.replace("lr: 0.02", "lr: 0.5"),
    "more seeds": SUITE.replace("seeds: 3", "seeds: 5"),
    "fewer seeds": SUITE.replace("seeds: 3", "seeds: 1"),
    "one experiment more": SUITE + "  three: {model: {hidden: [24]}}\n",
    "one experiment less": SUITE.partition("  two:")[0],
}


@pytest.mark.parametrize("has_run", [True, False])
@pytest.mark.parametrize("edit", EDITS)
def test_plan_and_status_agree(edit: str, has_run: bool, harness: Harness) -> None:
    if has_run:
        ran()
    write(EDITS[edit])
    plan, _ = harness("plan", "suite.yaml")
    status, _ = harness("status", "suite.yaml")
    assert counted(status)["left"] == left(plan)
    stale = counted(status)["stale"]
    assert (f"{stale} record" in plan) is bool(stale)
    said = "the suite has changed since it was last run"
    assert (said in plan) is (said in status) is (has_run and edit != "as it was")


def test_a_report_takes_the_file_that_it_is_given_and_says_what_it_lacks(harness: Harness) -> None:
    ran()
    edited = SUITE.replace("A small suite", "Edited").replace("seeds: 3", "seeds: 4") + PUBLISHED
    write(edited)
    _, err = harness("report", "suite.yaml")
    assert "small: the suite has changed since it was last run" in err
    assert "small: 2 of 8 trials are not trained yet" in err
    table = Path("results/small/table.md").read_text(encoding="utf-8")
    assert "Edited" in table
    assert "A. Nother" in table
    assert "missing: seed 4" in table
    _, err = harness("report", "--check")  # suite.json says the same now
    assert not err
    harness("report", "--check", "suite.yaml")
    write(edited.replace("Edited", "Again"))
    out, _ = harness("report", "--check", "suite.yaml", code=1)
    assert '+ "title": "Again",' in out
    assert "Edited" in Path("results/small/suite.json").read_text(encoding="utf-8")


def test_a_report_says_what_was_never_trained(harness: Harness) -> None:
    store, suite = Store(Path("results")), load_suite(Path("suite.yaml"))
    store.save_suite(suite)
    first = next(suite.trials())
    store.save(first, record_of(first))
    assert harness("report", "suite.yaml")[1] == "small: 5 of 6 trials are not trained yet\n"
    assert harness("report", "small")[1] == ""


def test_a_suite_json_is_a_suite(harness: Harness) -> None:
    ran()
    harness("report")
    for command in ("plan", "status", "report"):
        assert harness(command, "results/small/suite.json") == harness(command, "suite.yaml")
    out, _ = harness("status", "results/small/suite.json", "--set", "training.epochs=9")
    assert counted(out)["left"] == 6
    assert harness("status", "small")[0] == harness("status", "suite.yaml")[0]


@pytest.mark.parametrize("command", ["plan", "status", "report", "submit", "run", "export"])
def test_another_file_of_the_name_is_refused(command: str, harness: Harness) -> None:
    ran()
    write(SUITE.replace("lr: 0.02", "lr: 0.5"), "other.yaml")
    more = ["tensorboard"] if command == "export" else []
    _, err = harness(command, *more, "other.yaml", code=2)
    assert err == (
        "error: results/small: found results of `suite: small` from suite.yaml, expected none or those of "
        "`suite: small` from other.yaml, which differs; rename one of the two, or choose another "
        "folder with --results\n"
    )
    harness("plan", "other.yaml", "--results", "elsewhere")


def test_of_two_files_that_start_at_once_one_is_first(harness: Harness) -> None:
    write(SUITE.replace("lr: 0.02", "lr: 0.5"), "other.yaml")
    first, second = (load_suite(Path(name)) for name in ("suite.yaml", "other.yaml"))
    store = Store(Path("results"))
    store.refuse_another(first)
    store.refuse_another(second)
    store.save_suite(first)
    with pytest.raises(Exception, match=r"from other\.yaml, which differs"):
        store.save_suite(second)
    assert store.load_suite("small") == first


def test_a_copied_project_is_no_other(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    ran()
    before = {path: path.read_bytes() for path in Path.cwd().rglob("*") if path.is_file()}
    copy = Path.cwd().parent / "copy"
    for path, content in before.items():
        target = copy / path.relative_to(Path.cwd())
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    monkeypatch.chdir(copy)
    write(SUITE.replace("lr: 0.02", "lr: 0.5"))
    assert left(harness("plan", "suite.yaml")[0]) == 3


def test_a_report_of_what_never_ran_is_refused(harness: Harness) -> None:
    _, err = harness("report", "suite.yaml", code=2)
    assert err == (
        "error: results/small: no results of the suite yet, there are: none; run it, or give --results\n"
    )
    assert not Path("results").exists()


@pytest.mark.parametrize("levels", [150, 10_000])
def test_a_suite_json_that_is_nested_too_deep_gets_a_message(levels: int, harness: Harness) -> None:
    ran()
    path = Path("results/small/suite.json")
    deep = "[" * levels + "]" * levels
    path.write_text(path.read_text(encoding="utf-8").replace('"title": ', f'"title": {deep}, "a": '), "utf-8")
    for command in ("status", "report"):
        _, err = harness(command, code=1)
        assert err.startswith("error: results/small/suite.json: unreadable: ")
    _, err = harness("plan", str(path), code=2)
    assert "nested more than 100 deep" in err
    assert left(harness("plan", "suite.yaml")[0]) == 0
