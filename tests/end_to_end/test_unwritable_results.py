"""Runs that cannot write their results: what they say, and that they leave alone what is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness.config.loader import load_suite
from harness.results.store import Store
from tests.support import fault_models
from tests.support.disk import Disk
from tests.support.gated_runs import contents, errors_in, trial_of_suite
from tests.support.records import failed_of, record_of
from tests.support.report_files import is_of_report
from tests.support.runs import ONE_TRIAL, run

pytestmark = pytest.mark.usefixtures("gated_suite")


def test_a_disk_that_is_full_from_the_start_is_told_once(disk: Disk) -> None:
    trial, store = trial_of_suite(), Store(Path("results"))
    store.save(trial, failed_of(trial))
    disk.fill()
    before = contents()
    (error,) = errors_in(run("suite.yaml", code=1))
    assert error == (
        "error: results/small/suite.json: cannot be written: No space left on device; "
        "make room or choose --results"
    )
    assert contents() == before


MLP = "{name: mlp, hidden: [64], dropout: 0.1}"


def test_a_disk_without_room_for_a_checkpoint_ends_the_run_once(disk: Disk) -> None:
    shipped = ONE_TRIAL.replace("{name: patch_mixer, patch_size: 4, width: 12, hidden: [8]}", MLP)
    Path("suite.yaml").write_text(shipped, encoding="utf-8")  # without a user's code, of which a copy is kept
    disk.fill(left=3 * 4096)  # suite.json and the claim fit
    output = run("suite.yaml", "--nproc", "1", code=1)
    checkpoint, *others = errors_in(output)
    place = re.escape(str(Store(Path("results")).checkpoint_paths(trial_of_suite())[0]))
    assert re.fullmatch(f"error: {place}: cannot be written: No space left on device; make .*", checkpoint)
    assert all(is_of_report(error.split(":")[1]) for error in others)
    assert output.count("placement: ") == 1
    assert not [name for name in contents() if name.endswith((".tmp", "checkpoint-1"))]


def test_read_only_results_are_told_and_nothing_is_started(disk: Disk) -> None:
    Store(disk.root).save_suite(load_suite(Path("suite.yaml")))
    disk.make("ro")
    before = contents()
    output = run("suite.yaml", code=1)
    assert errors_in(output) == [
        "error: results/small/suite.json: cannot be written: Read-only file system; "
        "make room or choose --results"
    ]
    assert "placement" not in output
    assert contents() == before
    assert "1 of 1 trials left" in run("plan", "suite.yaml")
    assert run("status").splitlines()[1].split() == ["small", "0", "0", "0", "1", "0", "0"]


def test_read_only_results_that_lack_nothing_are_told_alike(disk: Disk) -> None:
    fault_models.OPEN.touch()
    run("suite.yaml", "--nproc", "1")
    trial, store = trial_of_suite(), Store(Path("results"))
    store.checkpoint_paths(trial)[0].write_bytes(b"of a killed run")
    disk.make("ro")
    assert run("report").endswith(", 0 changed\n")
    disk.make("rw")
    (Path("results") / "small" / "table.md").write_text("of another version", encoding="utf-8")
    disk.make("ro")
    for command in (["run", "suite.yaml"], ["report"]):
        (error,) = errors_in(run(*command, code=1))
        assert re.match("error: results/small/.*: cannot be .*: Read-only file system", error)
    assert store.find(trial).state == "done"


def test_what_cannot_be_tidied_up_is_left() -> None:
    trial, store = trial_of_suite(), Store(Path("results"))
    store.save(trial, record_of(trial, data_digest=""))
    store.checkpoint_paths(trial)[0].mkdir()  # as if it were another user's
    assert not errors_in(run("suite.yaml"))
    assert store.find(trial).state == "done"


@pytest.mark.parametrize("place", ["results", "results/small", "results/small/gated"])
def test_a_file_where_a_folder_should_be_is_told(place: str) -> None:
    Path(place).parent.mkdir(parents=True, exist_ok=True)
    Path(place).write_text("not a folder", encoding="utf-8")
    output = run("suite.yaml", "--nproc", "1", code=1)
    assert re.search(r"(?m)^(error: )?results/small/.*: .*(Not a directory|File exists)", output), output
    assert "Traceback" not in output
    assert "placement: " not in output
    assert Path(place).read_text(encoding="utf-8") == "not a folder"
