"""`harness report --check`: green where everything is as the records say, red after one digit has changed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.errors import UsageError
from harness.results.store import Store
from tests.support import ROOT, committed
from tests.support.records import PUBLISHED, SUITE, record_of, suite_of
from tests.support.report_files import changed, report

NOTES = "Our results.\n\n<!-- harness:table small -->\n<!-- /harness -->\n"
RECORD = "results/small/one/seed-1-*.json"


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with results and everything that a report of them consists of."""
    folder = tmp_path_factory.mktemp("reported")
    store = Store(folder / "results")
    suite = suite_of(folder, SUITE + PUBLISHED)
    store.save_suite(suite)
    for trial in suite.trials():
        store.save(trial, record_of(trial, 0.8 + trial.seed / 1000))
    (folder / "notes.md").write_text(NOTES, encoding="utf-8")
    assert report("--results", str(store.root), "--into", str(folder / "notes.md"))[0] == 0
    return folder


def check(folder: Path) -> tuple[int, str]:
    return report("--check", "--results", str(folder / "results"), "--into", str(folder / "notes.md"))


def test_what_was_reported_is_as_the_records_say_and_a_check_writes_nothing(reported: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in reported.rglob("*")}
    code, output = check(reported)
    assert (code, output) == (0, "8 tables and figures, 0 not as the records say\n")
    assert {path: path.stat().st_mtime_ns for path in reported.rglob("*")} == before


@pytest.mark.parametrize(
    ("pattern", "old", "new", "told"),
    [
        ("results/small/table.md", "80.20 %", "80.30 %", "+| one |"),
        ("results/small/table.tex", "80.20", "80.30", "table.tex"),
        ("results/small/table.csv", "0.802", "0.803", "table.csv"),
        ("results/small/epochs.csv", "one,1,done,2,0.01", "one,1,done,2,0.02", "-one,1,done,2,0.02"),
        ("notes.md", "80.20 %", "80.30 %", "notes.md"),
        ("results/small/comparison.svg", "harness-digest:", "harness-digest:0", "comparison.svg: shows"),
        ("results/small/one/curves.png", "harness-digest:", "harness-digest:0", "curves.png: shows"),
        (RECORD, '"test_accuracy": 0.801', '"test_accuracy": 0.802', "+| one |"),
        (RECORD, '"train_loss": 0.5', '"train_loss": 0.6', "curves.svg: shows something else"),
        (RECORD, '"train_loss": 0.5', '"train_loss": 0.5000000000000001', "epochs.csv"),
        (RECORD, '"torch": "2.11.0"', '"torch": "2.12.0"', "do not share torch"),
        ("results/small/suite.json", '"title": "A small', '"title": "A large', "+## A large suite"),
        ("results/small/suite.json", '"margin_points": 0.5', '"margin_points": 0.6', "±0.6 points"),
    ],
)
def test_one_digit_makes_it_red(reported: Path, pattern: str, old: str, new: str, told: str) -> None:
    (path,) = reported.glob(pattern)
    undo = changed(path, old, new)
    code, output = check(reported)
    undo()
    assert code == 1
    assert told in output
    assert check(reported)[0] == 0


def test_line_ends_of_a_checkout_make_no_difference(reported: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(reported, tmp_path / "checkout")
    report("--html", "--results", str(folder / "results"))
    for path in folder.rglob("*"):
        if path.suffix in {".md", ".tex", ".csv", ".svg", ".html", ".json", ".yaml"}:
            path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    code, output = check(folder)
    assert (code, output) == (0, "9 tables and figures, 0 not as the records say\n")
    changed(folder / "results/small/table.csv", "0.802", "0.803")  # a digit is still found
    assert check(folder)[0] == 1


@pytest.mark.parametrize("name", ["table.md", "one/curves.svg", "epochs.csv"])
def test_a_missing_file_makes_it_red(reported: Path, name: str) -> None:
    path = reported / "results" / "small" / name
    moved = path.rename(path.with_suffix(".moved"))
    code, output = check(reported)
    moved.rename(path)
    assert code == 1
    assert f"{name}: missing" in output


def test_a_check_of_nothing_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="found no results in it"):
        report("--check", "--results", str(tmp_path))


def test_a_page_is_kept_where_there_is_one(reported: Path) -> None:
    page = reported / "results" / "index.html"
    assert report("--results", str(reported / "results"), "--html")[0] == 0
    page.write_text(page.read_text(encoding="utf-8")[:-9], encoding="utf-8")
    assert check(reported)[0] == 1
    assert report("--results", str(reported / "results"))[1] == f"{page}\n8 tables and figures, 1 changed\n"
    assert check(reported)[0] == 0
    page.unlink()


def test_a_page_of_the_users_is_left_alone(reported: Path) -> None:
    page = reported / "results" / "index.html"
    page.write_text("<!doctype html>\n<title>My site</title>", encoding="utf-8")
    assert report("--results", str(reported / "results"))[0] == 0
    with pytest.raises(UsageError, match=r"index\.html: found a page that the harness did not write"):
        report("--results", str(reported / "results"), "--html")
    assert page.read_text(encoding="utf-8") == "<!doctype html>\n<title>My site</title>"
    page.unlink()


def test_a_block_of_unknown_results_is_a_mistake(reported: Path, tmp_path: Path) -> None:
    notes = tmp_path / "notes.md"
    notes.write_text(NOTES.replace("small", "other"), encoding="utf-8")
    with pytest.raises(UsageError, match=r"notes\.md:3: .*no such results; there are: small"):
        report("--results", str(reported / "results"), "--into", str(notes))


def test_one_wrong_file_leaves_all_as_they_were(reported: Path, tmp_path: Path) -> None:
    table = reported / "results" / "small" / "table.md"
    undo = changed(table, "80.20", "80.30")
    good = tmp_path / "good.md"
    good.write_text(NOTES, encoding="utf-8")
    (tmp_path / "open.md").write_text(NOTES.replace("<!-- /harness -->", ""), encoding="utf-8")
    os.mkfifo(tmp_path / "pipe")
    wrong = {
        "open.md": "found the block of 'small' open",
        "pipe": "found a pipe",
        "none.md": "No such file",
        ".": "found a folder",
    }
    files = [argument for name in ("good.md", *wrong) for argument in ("--into", str(tmp_path / name))]
    for mode in ([], ["--check"], ["--html"]):
        with pytest.raises(UsageError) as raised:
            report("--results", str(reported / "results"), *mode, *files)
        lines = str(raised.value).splitlines()
        assert [said in line for said, line in zip(wrong.values(), lines, strict=True)] == [True] * len(wrong)
    assert "80.30" in table.read_text(encoding="utf-8")
    assert good.read_text(encoding="utf-8") == NOTES
    assert not (reported / "results" / "index.html").exists()
    undo()


def test_a_file_that_cannot_be_replaced_is_told_first(
    reported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "notes.md").write_text(NOTES, encoding="utf-8")
    nowhere = SimpleNamespace(access=lambda *_: False, W_OK=os.W_OK, X_OK=os.X_OK)  # root may write anywhere
    monkeypatch.setattr("harness.report.artifacts.os", nowhere)
    arguments = ("--results", str(reported / "results"), "--into", str(tmp_path / "notes.md"))
    with pytest.raises(UsageError, match="cannot be written; expected a folder that you may write in"):
        report(*arguments)
    assert report("--check", *arguments)[0] == 1
    assert report("--results", str(reported / "results"), "--into", str(reported / "notes.md"))[0] == 0


def test_a_stale_number_below_inline_code_is_found(reported: Path, tmp_path: Path) -> None:
    notes = tmp_path / "notes.md"
    code = "`" * 3
    notes.write_text(f"{NOTES}\n{code}harness report{code} fills this in:\n\n{NOTES}", encoding="utf-8")
    arguments = ("--results", str(reported / "results"), "--into", str(notes))
    assert report(*arguments)[0] == 0
    text = notes.read_text(encoding="utf-8")
    assert text.count("80.20 %") == 4
    head, _, tail = text.rpartition("80.20 %")
    notes.write_text(f"{head}80.30 %{tail}", encoding="utf-8")
    assert report("--check", *arguments)[0] == 1


def test_a_link_to_a_file_stays_one(reported: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text(NOTES, encoding="utf-8")
    (tmp_path / "link.md").symlink_to("notes.md")
    assert report("--results", str(reported / "results"), "--into", str(tmp_path / "link.md"))[0] == 0
    assert (tmp_path / "link.md").is_symlink()
    assert "80.20 %" in (tmp_path / "notes.md").read_text(encoding="utf-8")


def test_a_page_that_is_old_is_told_in_lines_that_can_be_read(reported: Path) -> None:
    page = reported / "results" / "index.html"
    assert report("--results", str(reported / "results"), "--html")[0] == 0
    own = "\n".join(page.read_text(encoding="utf-8").splitlines()[:5])
    page.write_text(own + "old\n" * 100 + "x" * 9999, encoding="utf-8")
    code, output = check(reported)
    page.unlink()
    assert code == 1
    assert output.count("-old\n") < 60
    assert "more lines\n" in output
    assert output.endswith(
        "9 tables and figures, 1 not as the records say; without --check they are written\n"
    )


def test_an_edited_record_is_named(reported: Path) -> None:
    (path,) = reported.glob(RECORD)
    undo = changed(path, '"epoch": 2', '"epoch": 3')
    code, output = check(reported)
    undo()
    assert code == 1
    assert f"{path}: unreadable record: found epochs numbered [1, 3], expected 1 to 2" in output


def test_a_digit_that_was_edited_in_a_record_is_told(reported: Path) -> None:
    (path,) = reported.glob(RECORD)
    before = path.read_bytes()
    path.write_bytes(before.replace(b'"test_accuracy": 0.801', b'"test_accuracy": 0.802'))
    code, output = check(reported)
    path.write_bytes(before)
    assert code == 1
    assert f"{path}: unreadable record: its content is not what was recorded: found the sha256" in output


def test_nothing_is_drawn_again_that_is_as_the_records_say(reported: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in reported.rglob("*.*")}
    code, output = report("--results", str(reported / "results"))
    assert (code, output) == (0, "7 tables and figures, 0 changed\n")
    assert {path: path.stat().st_mtime_ns for path in reported.rglob("*.*")} == before


def test_what_is_committed_is_as_the_records_say(monkeypatch: pytest.MonkeyPatch) -> None:
    with committed.laid_out() as folder:
        monkeypatch.chdir(folder)
        found = [report(*arguments[1:]) for arguments in committed.checks(folder)]
        monkeypatch.chdir(ROOT)
    assert [code for code, _ in found] == [0] * len(found), found
    assert len(found) >= 2


@pytest.mark.parametrize("path", [os.environ["PATH"], ""], ids=["no clone", "no git"])
def test_without_git_all_that_is_there_is_checked(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", path)
    (tmp_path / "results/small/one").mkdir(parents=True)
    for name in ("README.md", "results/small/suite.json", "results/small/one/seed-1.json"):
        (tmp_path / name).touch()
    with committed.laid_out(tmp_path) as folder:
        assert (folder / "results/small/one/seed-1.json").exists()
        assert list(committed.checks(folder)) == [
            ["report", "--check", "--html", "--into", "README.md", "--results", "results"]
        ]
