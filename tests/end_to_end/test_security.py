"""What comes from outside never becomes code or a path elsewhere, and files follow the umask: whole runs."""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import stat
from functools import partial
from pathlib import Path

import pytest
import torch

from harness.config.loader import load_suite
from harness.config.suite import Trial
from harness.results.atomic_files import write_whole
from harness.results.lease import Leases
from harness.results.lease_owner import this_process
from harness.results.store import Store
from harness.training import checkpoint_file
from tests.support import ROOT, fault_models
from tests.support.forks import Started
from tests.support.gated_runs import DRAWN, GATED, contents, errors_in, wait_until
from tests.support.hostile import Hostile
from tests.support.runs import HARNESS, ONE_TRIAL, SUITE, figures, run


@pytest.fixture
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    Path("suite.yaml").write_text(SUITE, encoding="utf-8")


@pytest.mark.usefixtures("_folder")
def test_a_run_refuses_a_hostile_checkpoint_and_says_so() -> None:
    Path("suite.yaml").write_text(ONE_TRIAL, encoding="utf-8")
    run("suite.yaml", "--results", "whole")
    trial = next(load_suite(Path("suite.yaml")).trials())
    path = Store(Path("results")).checkpoint_paths(trial)[0]
    buffer = io.BytesIO()
    torch.save({"digest": trial.digest, "model": Hostile()}, buffer)
    checkpoint_file.write(path, buffer.getvalue())
    output = run("suite.yaml")
    assert f"{path}: refused, it holds more than numbers" in output
    assert not Path("executed").exists()
    assert figures() == figures("whole")


@pytest.fixture
def trial(_folder: None) -> Trial:
    """Return the only trial of a suite in this folder, whose gate is open."""
    Path("suite.yaml").write_text(GATED, encoding="utf-8")
    fault_models.OPEN.touch()
    (trial,) = load_suite(Path("suite.yaml")).trials()
    return trial


def test_pickled_records_claims_and_suites_are_no_such_things(trial: Trial) -> None:
    store = Store(Path("results"))
    for path in (store.record_path(trial), store.lease_path(trial, 1), Path("results/small/suite.json")):
        write_whole(path, pickle.dumps(Hostile()))
    assert store.find(trial).state == "unreadable"
    leases = Leases(store, this_process("one", [0, 0], {}))
    assert leases.take(trial) is None
    leases.stop()
    for command in ("status", "report"):
        assert "results/small/suite.json: unreadable" in run(command, code=1)
    assert not Path("executed").exists()


def test_an_experiments_folder_may_be_a_link_and_gets_its_own_files(trial: Trial, tmp_path: Path) -> None:
    outside = tmp_path.with_name(f"{tmp_path.name}-outside")
    outside.mkdir()
    Path("suite.yaml").write_text(DRAWN, encoding="utf-8")
    Path("results/small").mkdir(parents=True)
    Path("results/small/gated").symlink_to(outside)
    run("suite.yaml", "--nproc", "1")
    record = Store(Path("results")).record_path(trial).name
    assert sorted(contents(outside)) == ["curves.png", "curves.svg", record]
    tables = {"table.md", "table.tex", "table.csv", "epochs.csv", "comparison.png", "comparison.svg"}
    assert {path.name for path in Path("results/small").iterdir()} == {"gated", "suite.json", *tables}


@pytest.mark.usefixtures("trial")
def test_files_are_made_with_the_users_umask() -> None:
    umask = 0o027  # neither that of most users nor what temporary files have
    fault_models.OPEN.unlink()
    command = [*HARNESS, "suite.yaml", "--nproc", "2", "--save-model"]
    process = Started(command, before=partial(os.umask, umask))
    wait_until(fault_models.REACHED.exists, process)
    found = modes()
    fault_models.OPEN.touch()
    output, _ = process.communicate(timeout=200)
    assert process.returncode == 0, output
    found |= modes()
    kinds = {path.name.partition(".")[2] for path in found if stat.S_ISREG(found[path])}
    assert kinds >= {"claim-1", "checkpoint-1", "weights.pt", "json", "md", "npy", "lock"}
    assert Path("cache/harness/paces") in found
    for path, mode in found.items():
        assert stat.S_IMODE(mode) == (0o777 if stat.S_ISDIR(mode) else 0o666) & ~umask, path


def modes() -> dict[Path, int]:
    """Return the modes of all results and of what is cached, but of what goes meanwhile."""
    found = {}
    for path in [each for folder in ("results", "cache/harness") for each in Path(folder).rglob("*")]:
        with contextlib.suppress(FileNotFoundError):
            found[path] = path.lstat().st_mode
    return found


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "suite.yaml", "--only", "../../x"),
        ("run", "suite.yaml", "--seeds", "../../x"),
        ("run", "suite.yaml", "--set", "model.name=../../x"),
        ("run", "suite.yaml", "--set", "dataset.name=../../x"),
        ("data", "../../x"),
        ("report", "../../x"),
        ("status", "../../x"),
    ],
)
@pytest.mark.usefixtures("trial")
def test_arguments_that_lead_elsewhere_are_refused(arguments: tuple[str, ...], tmp_path: Path) -> None:
    suite = load_suite(Path("suite.yaml")).model_copy(update={"suite": "x"})
    for root in (Path("results/deep"), tmp_path):  # from the one, ../../x is in the other
        Store(root).save_suite(suite)
    place = [] if arguments[0] == "data" else ["--results", "results/deep"]
    before = contents(tmp_path)
    (error,) = errors_in(run(*arguments, *place, code=2))
    assert "../../x" in error
    assert contents(tmp_path) == before


@pytest.mark.usefixtures("trial")
def test_a_seed_of_thousands_of_digits_is_refused() -> None:
    assert "expected some of [1]" in run("run", "suite.yaml", "--seeds", "9" * 5000, code=2)
