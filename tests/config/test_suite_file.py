"""Where suites are read from: files, what they extend, suite.json, standard input, pipes; whose they are."""

from __future__ import annotations

import hashlib
import io
import json
import os
import threading
from pathlib import Path

import pytest

from harness.config import resolved, suite_file
from harness.config.loader import load_suite
from harness.config.overrides import Assignment
from harness.config.suite import Suite
from harness.errors import SuiteError
from tests.support.records import PUBLISHED, SUITE

CURVES = "experiment,epoch,train_loss,train_accuracy,test_accuracy\none,1,0.5,0.9,0.8\none,2,0.4,0.9,0.8\n"
WITH_CURVES = SUITE + PUBLISHED.replace("  experiments:", "  curves: curves.csv\n  experiments:")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(path: str, text: str = SUITE) -> Path:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text, encoding="utf-8")
    return Path(path)


def loaded(text: str = SUITE, path: str = "suites/suite.yaml") -> Suite:
    return load_suite(write(path, text))


def test_a_suite_knows_its_file_and_the_hash_of_its_bytes() -> None:
    source = loaded().source
    assert source is not None
    assert source.path == str(Path("suites/suite.yaml").absolute())
    assert source.digest == hashlib.sha256(SUITE.encode()).hexdigest()


def test_an_edit_of_what_a_suite_extends_is_an_edit() -> None:
    write("base.yaml")
    suite = loaded("extends: ../base.yaml\ntitle: Another\n")
    assert not suite_file.is_edited(suite)
    write("base.yaml", SUITE + "# another\n")
    assert suite_file.is_edited(suite)
    os.remove("base.yaml")
    assert suite_file.is_edited(suite)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "crlf"])
def test_marks_of_editors_change_nothing(encoding: str) -> None:
    plain = loaded()
    text = SUITE.encode("utf-8-sig") if encoding == "utf-8-sig" else SUITE.replace("\n", "\r\n").encode()
    Path("suites/suite.yaml").write_bytes(text)
    assert load_suite(Path("suites/suite.yaml")).content == plain.content


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xff\xfes\x00u\x00", "not UTF-8 text at byte 0; save it as UTF-8"),
        (b"\x7fELF\x01\x00\x00", "not YAML: unacceptable character"),
        (b"PK\x03\x04\xe9", "not UTF-8 text"),
        (b'{"changed": {}, "a": ' + b"[" * 10_000 + b"]" * 10_000 + b"}", "nested more than 100 deep"),
        (b'{"changed": {}, "a": ' + b"[" * 300 + b"]" * 300 + b"}", "nested more than 100 deep"),
        (b'{"changed": {}, "seeds": NaN}', "found NaN, expected finite numbers"),
        (b'{"changed": {}, "seeds": 1e999}', "found 1e999, expected finite numbers"),
        (b'{"changed": {}, "seeds": [' + b"9" * 5000 + b"]}", "expected a number of fewer digits"),
        (b'{"changed": {}, "tittle": "a"}', "unknown key 'tittle'; did you mean 'title'?"),
    ],
)
def test_what_is_no_suite_gets_a_message(content: bytes, said: str) -> None:
    Path("suite.yaml").write_bytes(content)
    with pytest.raises(SuiteError) as caught:
        load_suite(Path("suite.yaml"))
    assert said in str(caught.value)
    assert str(caught.value).startswith("suite.yaml:")


@pytest.mark.parametrize("path", [".", "none.yaml", "x" * 5000, "a\0b"])
def test_what_is_no_file_gets_a_message(path: str) -> None:
    with pytest.raises(SuiteError, match="cannot be read"):
        load_suite(Path(path))


def test_standard_input_is_read_relative_to_the_current_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    write("base.yaml", WITH_CURVES)
    write("curves.csv", CURVES)
    text = "extends: base.yaml\nsuite: other\npublished: {curves: curves.csv}\n"
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    suite = load_suite(Path("-"))
    assert (suite.folder, [curve.run for curve in suite.curves["one"]]) == ("other", ["one"])
    assert suite.source is not None
    assert suite.source.path is None
    assert not suite_file.is_edited(suite)
    with pytest.raises(SuiteError, match=r"standard input:1: \(top\): found nothing"):
        load_suite(Path("-"))


def test_a_closed_standard_input_gets_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(SuiteError, match="standard input: cannot be read: it is closed"):
        load_suite(Path("/dev/stdin"))


def test_a_pipe_is_read_once_and_relative_to_the_current_folder() -> None:
    write("base.yaml")
    ours, theirs = os.pipe()
    os.write(theirs, b"extends: base.yaml\nsuite: other\n")
    os.close(theirs)
    assert load_suite(Path(f"/dev/fd/{ours}")).folder == "other"
    os.close(ours)
    os.mkfifo("inner")
    writer = threading.Thread(target=Path("inner").write_text, args=(SUITE,))
    writer.start()
    suite = load_suite(Path("inner"))
    writer.join()
    assert suite.source is not None
    assert suite.source.path is None


@pytest.mark.parametrize("text", [WITH_CURVES, SUITE.replace("seeds: 3", "seeds: {half_width_points: 0.5}")])
def test_a_suite_comes_back_from_its_suite_json(text: str) -> None:
    write("curves.csv", CURVES)
    changes = [Assignment.parse("training.epochs=7")]
    suite = load_suite(write("suite.yaml", text), changes)
    kept = write("results/small/suite.json", resolved.to_json(suite, Path.cwd()))
    assert json.loads(kept.read_text(encoding="utf-8"))["source"]["path"] == "suite.yaml"
    assert load_suite(kept) == suite
    again = load_suite(kept, [Assignment.parse("model.dropout=0.5")])
    assert again.changed == {"training.epochs": 7, "model.dropout": 0.5}
    assert {each.model["dropout"] for each in again.experiments.values()} == {0.5}
    assert {each.training.epochs for each in again.experiments.values()} == {7}


def test_a_suite_json_is_checked_like_any_suite() -> None:
    text = resolved.to_json(loaded()).replace('"dropout": 0.1', '"dropuot": 0.1')
    with pytest.raises(SuiteError, match=r"suite\.json: experiments\.one\.model\.dropuot: unknown key"):
        load_suite(write("results/small/suite.json", text))


def test_an_old_suite_json_without_what_came_later_is_read() -> None:
    data = json.loads(resolved.to_json(loaded()))
    for key in ("source", "curves", "seed_rule"):
        del data[key]
    suite = load_suite(write("results/small/suite.json", json.dumps(data)))
    assert (suite.content, suite.source) == (loaded().content, None)


EDITED = SUITE.replace("lr: 0.01", "lr: 0.5")


def test_an_edit_is_not_another_suite() -> None:
    before = loaded()
    assert not suite_file.is_another(before, loaded(EDITED))
    os.symlink("suites", "linked")
    assert not suite_file.is_another(before, load_suite(Path("linked/suite.yaml")))


def test_another_file_of_the_name_is_another_suite() -> None:
    before = loaded()
    assert suite_file.is_another(before, loaded(EDITED, "copy.yaml"))


def test_a_copy_a_moved_file_and_a_renamed_suite_are_not() -> None:
    before = loaded()
    assert not suite_file.is_another(before, loaded(path="copy.yaml"))
    assert not suite_file.is_another(before, loaded(f"# a note\n{SUITE}", "copy.yaml"))
    write("suites/suite.yaml", SUITE.replace("suite: small", "suite: former"))
    assert not suite_file.is_another(before, loaded(EDITED, "copy.yaml"))
    os.remove("suites/suite.yaml")
    assert not suite_file.is_another(before, loaded(EDITED, "copy.yaml"))


def test_what_a_pipe_says_is_another_suite_unless_it_is_the_same_or_from_a_pipe_before() -> None:
    before = loaded()
    nameless = {"source": before.source and before.source.model_copy(update={"path": None, "digest": "0"})}
    piped = before.model_copy(update=nameless)
    assert not suite_file.is_another(before, piped)
    edited = loaded(EDITED, "other.yaml").model_copy(update=nameless)
    assert suite_file.is_another(before, edited)
    assert not suite_file.is_another(piped, edited)
    assert not suite_file.is_another(before.model_copy(update={"source": None}), edited)
