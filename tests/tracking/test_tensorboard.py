"""What TensorBoard is told while a trial trains: a new start, settings, the end."""

from __future__ import annotations

from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import metadata

from harness.results.store import Store
from harness.tracking import Dispatcher, default_root
from tests.support.records import record_of
from tests.support.tracker_readers import name_of, run_in, scalars
from tests.support.trials import small_trial

pytestmark = pytest.mark.usefixtures("_own_folder")


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


def test_event_files_of_others_keep_their_content(tmp_path: Path) -> None:
    trial, store = small_trial(), Store(Path("results"))
    folder = default_root(store, "tensorboard") / "suite/experiment" / name_of(trial)
    folder.mkdir(parents=True)
    linked = tmp_path / "elsewhere"
    linked.write_bytes(b"mine")
    (folder / "events.out.tfevents.1764000000000000000.host.17").symlink_to(linked)
    others = [folder / f"events.out.tfevents.1764000000.host.17.{number}" for number in ("0", "1.v2")]
    for path in others:
        path.write_bytes(b"mine")
    with Dispatcher(trial, store, ["tensorboard"], pytest.fail) as feed:
        feed.begin([], 90)
    assert {path.read_bytes() for path in [linked, *others]} == {b"mine"}
