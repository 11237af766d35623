"""No name in a suite or a command leads to a path elsewhere, and no link is followed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.config.suite import Suite
from harness.errors import SuiteError, UsageError
from harness.results.atomic_files import place, write_whole
from harness.results.store import Store
from tests.support.gated_runs import DRAWN
from tests.support.records import SUITE as RECORDED
from tests.support.records import suite_of

NAMES = ["../x", "..", ".", "/tmp/x", "a/b", "a\\b", "", "a\nb", "a\n", "a\0b", ".hidden", "-rf", "x" * 300]


@pytest.mark.parametrize("name", NAMES)
def test_no_name_leads_out_of_the_results(name: str, tmp_path: Path) -> None:
    quoted = '"' + name.replace("\\", "\\\\").replace("\n", "\\n").replace("\0", "\\0") + '"'
    for old, new in (("suite: small", f"suite: {quoted}"), ("  one:", f"  {quoted}:")):
        assert old in RECORDED
        with pytest.raises(SuiteError, match="expected text that matches"):
            suite_of(tmp_path, RECORDED.replace(old, new, 1))


@pytest.mark.parametrize("name", ["../other", "/", ".", "..", "small/../../other", "small/one"])
def test_results_are_named_by_their_folder_only(name: str, tmp_path: Path) -> None:
    suite: Suite = suite_of(tmp_path)
    for root in ("results", "other"):
        Store(tmp_path / root / "deep").save_suite(suite)
    with pytest.raises(UsageError, match="there are: small"):
        Store(tmp_path / "results" / "deep").load_suite(name)


def test_a_link_in_place_of_a_file_is_replaced_and_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    for name in ("table.md", "seed-1-00000000.json"):
        (tmp_path / name).symlink_to(victim)
    write_whole(tmp_path / "table.md", b"a table")
    assert (tmp_path / "table.md").read_bytes() == b"a table"
    assert not place(tmp_path / "seed-1-00000000.json", b"a record")
    assert victim.read_bytes() == b"precious"


MATRIX = DRAWN.replace("'}}", "'}, matrix: {model.shift: [1]}}")


@pytest.mark.parametrize(
    ("values", "names"),
    [
        (["../../x", "/tmp/x", ".."], ["gated-shift=..-..-x", "gated-shift=tmp-x", "gated-shift=.."]),
        (["a\nb", "a\0c", "ä"], ["gated-shift=a-b", "gated-shift=a-c", "gated-shift="]),
        ([-1, 1, -0.5], ["gated-shift=-1", "gated-shift=1", "gated-shift=-0.5"]),
    ],
)
def test_values_of_a_matrix_make_names_that_are_folders(
    values: list[Any], names: list[str], tmp_path: Path
) -> None:
    suite = suite_of(tmp_path, MATRIX.replace("[1]", json.dumps(values)))
    assert list(suite.experiments) == names
    for each in suite.trials():
        assert Store(tmp_path).record_path(each).resolve().parent.parent == tmp_path / "small"


@pytest.mark.parametrize(
    "text",
    [
        MATRIX.replace("[1]", json.dumps([list(range(60))])),
        MATRIX.replace("model.shift", "model.../../x"),
        MATRIX.replace("model.shift", "model.a b"),
        MATRIX.replace("[1]", '["a/b", "a-b"]'),
    ],
)
def test_a_matrix_whose_names_are_no_folders_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match=r"suite\.yaml:8: experiments\.gated\.matrix: found the row"):
        suite_of(tmp_path, text)


@pytest.mark.parametrize("name", ["suite.json", "table.md"])
def test_no_experiment_takes_the_name_of_a_file_of_results(name: str, tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match=r"suite\.yaml:8: experiments\..*: found"):
        suite_of(tmp_path, DRAWN.replace("gated:", f"{name}:"))


def test_a_row_of_a_matrix_takes_no_other_experiments_name(tmp_path: Path) -> None:
    other = "  gated-shift=1: {model: {name: 'tests.support.fault_models:slow'}}\n"
    with pytest.raises(SuiteError, match=r"suite\.yaml:\d: experiments\.gated.*: found .*'gated-shift=1'"):
        suite_of(tmp_path, MATRIX + other)


@pytest.mark.parametrize("name", NAMES)
def test_a_wrong_name_is_told_once(name: str, tmp_path: Path) -> None:
    with pytest.raises(SuiteError) as caught:
        suite_of(tmp_path, DRAWN.replace("gated:", f"{json.dumps(name)}:"))
    assert len(caught.value.mistakes) == 1


@pytest.mark.parametrize("base", ["a\0b", "x" * 5000, "/dev/zero", ".", "../../../../../etc/passwd", "~/x"])
def test_what_is_no_suite_is_not_extended(base: str, tmp_path: Path) -> None:
    with pytest.raises(SuiteError):
        suite_of(tmp_path, f"extends: {json.dumps(base)}\n{DRAWN}")


@pytest.mark.parametrize("name", ["a\0b", "x" * 5000, "/dev/zero", ".."])
def test_what_is_no_file_holds_no_published_curves(name: str, tmp_path: Path) -> None:
    published = f"published: {{dataset: kmnist, source: x, curves: {json.dumps(name)}, experiments: {{}}}}\n"
    with pytest.raises(SuiteError, match=r"suite\.yaml:9: published\.curves: found"):
        suite_of(tmp_path, DRAWN + published)
