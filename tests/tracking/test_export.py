"""`harness export`: TensorBoard and MLflow find each record once, whatever became of the trial."""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from harness.results.record import Record
from harness.results.store import Store
from harness.tracking import default_root
from tests.support import ROOT
from tests.support.commands import call
from tests.support.own_trackers import OURS
from tests.support.records import diverged_of, failed_of, record_of, suite_of
from tests.support.tracker_readers import (
    FIGURES,
    assert_scalars,
    keep_mlflow_here,
    metrics,
    name_of,
    run_in,
    scalars,
)

pytestmark = pytest.mark.usefixtures("_own_folder")
REAL = ROOT / "results" / "fashion-patch_size"


@pytest.fixture
def _mlflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep_mlflow_here(tmp_path, monkeypatch)


@pytest.fixture
def harness(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Return a function that runs a command in this process and returns what it printed on both streams."""

    def run(*arguments: str, code: int = 0) -> str:
        found, out, err = call(arguments, monkeypatch, capsys)
        assert (found or 0) == code, (out, err)
        return out + err

    return run


def real_records() -> tuple[Store, dict[str, Record]]:
    """Copy real records here; return them by the names that their runs have."""
    shutil.copytree(REAL, Path("results") / REAL.name)
    store = Store(Path("results"))
    suite = store.load_suite(REAL.name)
    records = {
        f"{trial.folder}/{trial.experiment}/{store.record_path(trial).stem}": store.find(trial).record
        for trial in suite.trials()
    }
    return store, {name: record for name, record in records.items() if record}


def test_tensorboard_shows_exported_records_once(harness: Callable[..., str]) -> None:
    store, records = real_records()
    before = {path: path.read_bytes() for path in Path("results").rglob("*") if path.is_file()}
    logs = Path("results/.logs/tensorboard")
    for _ in range(2):
        told = harness("export", "tensorboard")
        assert told == f"{REAL.name}: 9 trials exported\nthey are shown by: tensorboard --logdir {logs}\n"
    assert harness("export", "tensorboard", "--to", "my logs").endswith("--logdir 'my logs'\n")
    files = [path for path in logs.rglob("*.tfevents.*") if path.stat().st_size]
    assert sorted(path.parent.relative_to(logs).as_posix() for path in files) == sorted(records)
    for name, record in records.items():
        assert_scalars(logs / name, record)
    times = [each.wall_time for each in run_in(logs / next(iter(records))).Scalars("test_loss")]
    seconds = [each.train_seconds + each.eval_seconds for each in next(iter(records.values())).epochs]
    assert [later - earlier for earlier, later in pairwise(times)] == pytest.approx(seconds[1:])
    suite = store.load_suite(REAL.name)
    store.tidy(REAL.name)
    assert (store.folders(), store.stale(suite), len(store.files(REAL.name))) == ([REAL.name], [], 9)
    assert {path: path.read_bytes() for path in before} == before


def test_an_export_goes_where_it_is_told(harness: Callable[..., str]) -> None:
    _, records = real_records()
    harness("export", "tensorboard", "--to", "board")
    assert not Path("results/.logs").exists()
    for name, record in records.items():
        assert_scalars(Path("board") / name, record)


@pytest.mark.e2e
@pytest.mark.usefixtures("_mlflow")
@pytest.mark.filterwarnings("ignore")
def test_mlflow_finds_exported_records_once(harness: Callable[..., str]) -> None:
    from mlflow import MlflowClient

    _, records = real_records()
    for _ in range(2):
        assert f"{REAL.name}: 9 trials exported" in harness("export", "mlflow_tracker:open_tracker")
    for name, record in records.items():
        run, found = metrics(name)
        for figure in FIGURES:
            assert found[figure] == [(each.epoch, getattr(each, figure)) for each in record.epochs]
        assert run.info.status == "FINISHED"
        assert run.data.params["training.optimizer.lr"] == str(record.settings["training"]["optimizer"]["lr"])
        assert run.data.tags["digest"] == record.digest
    (record_file,) = MlflowClient().list_artifacts(run.info.run_id)
    assert record_file.path == f"{name.rpartition('/')[2]}.json"


@pytest.mark.usefixtures("_mlflow")
@pytest.mark.filterwarnings("ignore")
def test_what_diverged_or_is_no_number_is_exported_too(harness: Callable[..., str]) -> None:
    suite, store = suite_of(Path()), Store(Path("results"))
    store.save_suite(suite)
    one, two, three, *_ = suite.trials()
    bad = record_of(one).epochs[0].model_copy(update={"test_loss": float("nan")})
    store.save(one, diverged_of(one).model_copy(update={"epochs": [bad]}))
    store.save(two, failed_of(two))
    store.record_path(three).write_text("{", encoding="utf-8")
    for tracker in ("tensorboard", "mlflow_tracker:open_tracker"):
        told = harness("export", tracker, "small", code=1)
        assert "small: 1 trial exported\n" in told
        assert f"{store.record_path(three)}: unreadable record" in told
    folder = default_root(store, "tensorboard") / "small" / "one" / name_of(one)
    ((_, value),) = scalars(folder)["test_loss"]
    assert math.isnan(value)
    run, found = metrics(f"small/one/{name_of(one)}")
    assert run.info.status == "FAILED"
    assert math.isnan(found["test_loss"][0][1])


def test_a_record_that_a_tracker_refuses_is_named_and_the_others_go_on(harness: Callable[..., str]) -> None:
    suite, store = suite_of(Path()), Store(Path("results"))
    store.save_suite(suite)
    for trial in suite.trials():
        store.save(trial, record_of(trial))
    told = harness("export", f"{OURS}:KeepsSome", code=1)
    assert told.splitlines() == [
        "small: 4 trials exported",
        "small/one/seed-2: export failed: ValueError: not this one",
        "small/two/seed-2: export failed: ValueError: not this one",
    ]
    assert harness("export", f"{OURS}:Cancels", code=1).count("export failed: CancelledError: task") == 6


@pytest.mark.e2e
def test_export_loads_no_torch(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom harness.cli.main import main\n"
        f"sys.argv[1:] = ['export', 'tensorboard', '--results', {str(REAL.parent)!r}, '--to', 'board']\n"
        "try:\n    main()\nexcept SystemExit as left:\n    code = left.code\n"
        "assert 'torch' not in sys.modules and 'tensorflow' not in sys.modules, 'heavy'\n"
        "sys.exit(code)"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    run = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
