"""Trackers such as TensorBoard: they receive each epoch's metrics, during training or from records.

A user's own tracker is a callable that takes a TrackedTrial and returns a Tracker. It is opened each time
that its trial starts, resumes or is exported, and receives all epochs of the trial, from the first: it has
to replace what it stored of the same trial before.
"""

from harness.tracking.dispatch import Dispatcher
from harness.tracking.export import export
from harness.tracking.interface import End, OpenTracker, TrackedEpoch, TrackedTrial, Tracker
from harness.tracking.registry import TRACKERS, built_in, check_name, default_root, opener

__all__ = [
    "TRACKERS",
    "Dispatcher",
    "End",
    "OpenTracker",
    "TrackedEpoch",
    "TrackedTrial",
    "Tracker",
    "built_in",
    "check_name",
    "default_root",
    "export",
    "opener",
]
