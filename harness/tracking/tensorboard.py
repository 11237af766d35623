"""TensorBoard tracker: event files, one run per trial. Loads neither torch nor TensorFlow."""

from __future__ import annotations

import json
import os
import re
import socket
import stat
import time
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams import api_pb2, metadata
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionEndInfo
from tensorboard.plugins.hparams.summary_v2 import hparams_pb
from tensorboard.plugins.text.summary_v2 import text_pb
from tensorboard.summary.writer.record_writer import RecordWriter

from harness.tracking.interface import End, TrackedEpoch, TrackedTrial

_NAME = re.compile(r"events\.out\.tfevents\.\d{19}\..+\.\d+")  # the time in nanoseconds, host, process
_STATUSES = {
    "done": api_pb2.STATUS_SUCCESS,
    "diverged": api_pb2.STATUS_FAILURE,
    "failed": api_pb2.STATUS_FAILURE,
    "left": api_pb2.STATUS_UNKNOWN,
}


class EventFile:
    """Tracker that writes a new event file, in place of those that the trial had."""

    def __init__(self, trial: TrackedTrial) -> None:
        trial.folder.mkdir(parents=True, exist_ok=True)
        earlier = [path for path in trial.folder.glob("events.out.tfevents.*") if _is_own(path)]
        name = f"events.out.tfevents.{time.time_ns()}.{socket.gethostname()}.{os.getpid()}"
        # written in the calling thread: TensorBoard's own writer has a thread that reports errors late
        self._records = RecordWriter((trial.folder / name).open("ab"))
        for path in earlier:  # a running TensorBoard reaches the new file by way of the last one
            if path.stat().st_size:
                os.truncate(path, 0)
            else:
                path.unlink(missing_ok=True)
        self._begin(trial)

    def epoch(self, epoch: TrackedEpoch) -> None:
        """Write the epoch's metrics; they are visible at once."""
        values = [Summary.Value(tag=key, simple_value=value) for key, value in epoch.figures.items()]
        self._write(Event(wall_time=epoch.ended_at, step=epoch.number, summary=Summary(value=values)))

    def end(self, status: End) -> None:
        """Write how the trial ended, and close the file."""
        ended = SessionEndInfo(status=_STATUSES[status], end_time_secs=time.time())
        value = Summary.Value(
            tag=metadata.SESSION_END_INFO_TAG,
            metadata=metadata.create_summary_metadata(HParamsPluginData(session_end_info=ended)),
            tensor=metadata.NULL_TENSOR,
        )
        self._write(Event(wall_time=time.time(), summary=Summary(value=[value])))
        self._records.close()

    def _begin(self, trial: TrackedTrial) -> None:
        now = time.time()
        self._write(Event(wall_time=now, file_version="brain.Event:2"))
        # makes a running TensorBoard discard what it read before
        self._write(Event(wall_time=now, session_log=SessionLog(status=SessionLog.START)))
        settings = {key: _plain(value) for key, value in trial.flat_settings().items()}
        self._write(Event(wall_time=now, summary=hparams_pb(settings, trial_id=trial.name)))
        text = json.dumps({"seed": trial.seed, "digest": trial.digest, **trial.settings}, indent=1)
        block = "\n".join(f"    {line}" for line in text.splitlines())
        self._write(Event(wall_time=now, summary=text_pb("settings", block)))

    def _write(self, event: Event) -> None:
        self._records.write(event.SerializeToString())
        self._records.flush()


def _is_own(path: Path) -> bool:
    """Return whether this class has written the file; others' names have seconds and a number at the end."""
    return _NAME.fullmatch(path.name) is not None and stat.S_ISREG(path.lstat().st_mode)


def _plain(value: object) -> str | float | bool:
    """Return the value in a type that the HParams dashboard accepts."""
    return value if isinstance(value, str | int | float | bool) else json.dumps(value)
