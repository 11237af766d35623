"""Trackers that cannot be opened by their name are the user's mistake."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, get_args

import pytest

from harness.errors import UsageError
from harness.results.store import Store
from harness.tracking import TRACKERS, Dispatcher, End, default_root, opener
from harness.tracking.registry import BuiltIn
from tests.support import ROOT
from tests.support.records import record_of
from tests.support.trials import small_trial

pytestmark = pytest.mark.usefixtures("_own_folder")


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


@pytest.mark.parametrize("tracker", TRACKERS, ids=lambda each: each.name)
@pytest.mark.parametrize("status", get_args(End))
def test_each_built_in_tracker_takes_a_trial_however_it_ends(tracker: BuiltIn, status: End) -> None:
    trial, store = small_trial(), Store(Path("results"))
    epochs = record_of(trial).epochs
    with Dispatcher(trial, store, [tracker.name], pytest.fail) as dispatcher:
        dispatcher.begin(epochs[:1], 90)
        dispatcher.epoch(epochs[1])
        dispatcher.status = status
    assert any(default_root(store, tracker.name).rglob("*"))
    assert tracker.name in (ROOT / "docs" / "trackers.md").read_text(encoding="utf-8")


class _Mismatched:
    """Stands for a module of TensorBoard's beside another protobuf than it needs."""

    def __getattr__(self, name: str) -> Any:
        raise TypeError("Descriptors cannot be created directly")
