"""What TensorBoard, MLflow and users' own trackers are told, and that none of them harms a trial."""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import metadata

from harness.cli.main import main
from harness.config.suite import Trial
from harness.errors import UsageError
from harness.results.record import Epoch, Record
from harness.results.store import Store
from harness.tracking import Dispatcher, OpenTracker, default_root, opener
from harness.training.checkpoint_policy import CheckpointAction
from harness.training.distributed import ProcessGroup
from harness.training.trainer import Callbacks
from tests.support import ROOT, own_trackers
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
from tests.support.trials import course, places, resident, small_trial, train

REAL = ROOT / "results" / "fashion-patch_size"
OURS = "tests.support.own_trackers"
WORLD = ProcessGroup(0, 1, torch.device("cpu"))


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def _mlflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep_mlflow_here(tmp_path, monkeypatch)


@pytest.fixture
def harness(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Return a function that runs a command in this process and returns what it printed on both streams."""

    def run(*arguments: str, code: int = 0) -> str:
        monkeypatch.setattr(sys, "argv", ["harness", *arguments])
        with pytest.raises(SystemExit) as left:
            main()
        printed = capsys.readouterr()
        assert (left.value.code or 0) == code, printed
        return printed.out + printed.err

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


def test_a_running_tensorboard_follows_a_trial_that_begins_again(tmp_path: Path) -> None:
    trial, store = small_trial(), Store(Path("results"))
    epochs = record_of(trial).epochs
    folder = default_root(store, "tensorboard") / "suite/experiment" / name_of(trial)
    reader: EventAccumulator | None = None
    for loss in (3.0, 2.0, 1.0):
        found = [each.model_copy(update={"test_loss": loss}) for each in epochs]
        with Dispatcher(trial, store, ["tensorboard"], pytest.fail) as feed:
            feed.begin(found[:1], 90)
            reader = reader or EventAccumulator(str(folder))
            reader.Reload()
            assert [(each.step, each.value) for each in reader.Scalars("test_loss")] == [(1, loss)]
            feed.epoch(found[1])
            reader.Reload()
            assert [(each.step, each.value) for each in reader.Scalars("test_loss")] == [(1, loss), (2, loss)]
    assert scalars(folder)["test_loss"] == [(1, 1.0), (2, 1.0)]
    assert len(list(folder.iterdir())) == 2  # one of them is empty


def test_an_export_goes_where_it_is_told(harness: Callable[..., str]) -> None:
    _, records = real_records()
    harness("export", "tensorboard", "--to", "board")
    assert not Path("results/.logs").exists()
    for name, record in records.items():
        assert_scalars(Path("board") / name, record)


def test_tensorboard_knows_the_settings_and_the_end() -> None:
    trial = small_trial(model={"name": "mlp", "hidden": [8, 4], "dropout": 0.5})
    store = Store(Path("results"))
    with Dispatcher(trial, store, ["tensorboard"], pytest.fail) as feed:
        feed.begin([], 90)
        feed.status = "done"
    found = run_in(default_root(store, "tensorboard") / "suite/experiment" / name_of(trial))
    contents = found.PluginTagToContent("hparams")
    start = metadata.parse_session_start_info_plugin_data(contents[metadata.SESSION_START_INFO_TAG])
    assert start.hparams["model.dropout"].number_value == 0.5
    assert start.hparams["model.hidden"].string_value == "[8, 4]"
    assert start.hparams["training.optimizer.name"].string_value == "Adam"
    assert start.hparams["seed"].number_value == 3
    end = metadata.parse_session_end_info_plugin_data(contents[metadata.SESSION_END_INFO_TAG])
    assert end.status == 1
    (text,) = found.Tensors("settings")
    assert trial.digest.encode() in text.tensor_proto.string_val[0]


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


def test_without_tensorboard_it_is_said_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "harness.tracking.tensorboard", raising=False)
    monkeypatch.setitem(sys.modules, "tensorboard.compat.proto.event_pb2", None)
    with pytest.raises(UsageError, match=r"--log 'tensorboard': .*pip install tensorboard") as told:
        opener("--log", "tensorboard")
    assert told.value.exit_code == 2


def test_a_tracker_that_cannot_be_imported_is_a_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path.cwd()))
    Path("a_script.py").write_text("import sys\nsys.exit(0)\n", encoding="utf-8")
    with pytest.raises(UsageError, match="'a_script' cannot be imported: SystemExit: 0"):
        opener("--log", "a_script:opens")
    monkeypatch.delitem(sys.modules, "harness.tracking.tensorboard", raising=False)
    monkeypatch.setitem(sys.modules, "tensorboard.compat.proto.event_pb2", _Mismatched())
    with pytest.raises(UsageError, match="TensorBoard cannot be imported: Descriptors cannot be created"):
        opener("--log", "tensorboard")


class _Mismatched:
    """Stands for a module of TensorBoard's beside another protobuf than it needs."""

    def __getattr__(self, name: str) -> Any:
        raise TypeError("Descriptors cannot be created directly")


def lines(trial: Trial, name: str) -> list[str]:
    """Read what one of our trackers has kept of a trial."""
    folder = default_root(Store(Path("results")), f"{OURS}:{name}") / "suite/experiment" / name_of(trial)
    path = folder / "lines.txt"
    return path.read_text(encoding="utf-8").splitlines()


def test_trackers_that_fail_are_dropped_and_told_once() -> None:
    trial, store, notes = small_trial(epochs=3), Store(Path("results")), list[str]()
    names = [
        "Sheds",
        "Fails",
        "Cancels",
        "Unspeakable",
        "Keeps",
        "opens_nothing",
        "cannot_open",
        "Exits",
        "none",
    ]
    data = resident(trial, WORLD)
    with Dispatcher(trial, store, [f"{OURS}:{name}" for name in names], notes.append) as feed:
        watcher = Callbacks(on_begin=lambda history: feed.begin(history, 90), on_epoch=feed.epoch)
        outcome = course(trial, data, WORLD, places(Path("checkpoint")), watcher)
        feed.status = "done"
    assert outcome is not None
    losses = [f"{epoch.epoch} {epoch.train_loss!r}" for epoch in outcome.epochs]
    assert losses == [
        f"{each.epoch} {each.train_loss!r}" for each in train(trial, data, WORLD, Path("alone")).epochs
    ]
    assert lines(trial, "Keeps") == [*losses, "done"]
    assert lines(trial, "Fails") == losses[:2]
    assert [note.removeprefix(f"suite/experiment/seed-3: logging to {OURS}:") for note in notes] == [
        "cannot_open failed: KeyError: 'API_KEY'; the trial goes on without it",
        f"none failed: --log '{OURS}:none': {OURS} has no callable 'none'; "
        "known: Cancels, Exits, Fails, Hangs, Keeps, KeepsSome, Sheds, Stops, Unshowable, Unspeakable, "
        "cannot_open, opens_nothing; "
        "the trial goes on without it",
        "Cancels failed: CancelledError: task; the trial goes on without it",
        "Unspeakable failed: Unshowable; the trial goes on without it",
        "opens_nothing failed: AttributeError: 'NoneType' object has no attribute 'epoch'; "
        "the trial goes on without it",
        "Fails failed: ConnectionError: no answer; the trial goes on without it",
        "Exits failed: SystemExit: good bye; the trial goes on without it",
    ]


def test_a_tracker_that_hangs_is_left_and_the_trial_goes_on() -> None:
    trial, notes, names = small_trial(), list[str](), [f"{OURS}:Hangs"]
    with Dispatcher(trial, Store(Path("results")), names, notes.append, timeout_seconds=0.3) as feed:
        watcher = Callbacks(on_begin=lambda history: feed.begin(history, 90), on_epoch=feed.epoch)
        assert course(trial, resident(trial, WORLD), WORLD, places(Path("checkpoint")), watcher)
    assert notes == [
        f"suite/experiment/seed-3: logging to {OURS}:Hangs failed: TimeoutError: no answer for 0.1 s; "
        "the trial goes on without it"
    ]


def test_an_interrupted_trial_tells_each_epoch_once() -> None:
    """It ends between saving an epoch and telling it; the epoch is told when the trial goes on."""
    trial, store = small_trial(epochs=4), Store(Path("results"))
    data = resident(trial, WORLD)

    def part(
        on_epoch: Callable[[Dispatcher, Epoch], None], after_epoch: CheckpointAction = CheckpointAction.GO_ON
    ) -> Any:
        with Dispatcher(trial, store, [f"{OURS}:Keeps", "tensorboard"], pytest.fail) as feed:
            watcher = Callbacks(
                on_begin=lambda history: feed.begin(history, 90),
                on_epoch=lambda epoch: on_epoch(feed, epoch),
                wish=lambda saving: after_epoch if saving else CheckpointAction.GO_ON,
            )
            outcome = course(trial, data, WORLD, places(Path("checkpoint")), watcher)
            feed.status = outcome.status if outcome else "left"
        return outcome

    def fall(feed: Dispatcher, epoch: Epoch) -> None:
        raise OSError("a made-up end")

    assert part(Dispatcher.epoch, CheckpointAction.STOP) is None
    first, *rest = lines(trial, "Keeps")
    assert rest == ["left"]
    with pytest.raises(OSError, match="a made-up end"):
        part(fall)
    assert lines(trial, "Keeps") == [first, "failed"]
    outcome = part(Dispatcher.epoch)
    assert lines(trial, "Keeps") == [
        *(f"{epoch.epoch} {epoch.train_loss!r}" for epoch in outcome.epochs),
        "done",
    ]
    found = scalars(default_root(store, "tensorboard") / "suite/experiment" / name_of(trial))
    assert [step for step, _ in found["test_loss"]] == [1, 2, 3, 4]


TRACKERS: list[OpenTracker] = [own_trackers.Keeps, own_trackers.cannot_open]  # as mypy sees it
