"""What is told of trials to trackers such as TensorBoard: after every epoch, or from their records.

A user's own tracker is a callable that takes a TrackedTrial and returns a Tracker. It is opened each time
that its trial begins, goes on or is exported, and is told all epochs of the trial, from the first: what it
kept of the same trial before is to be replaced.
"""

from harness.tracking.dispatch import Dispatcher
from harness.tracking.export import export
from harness.tracking.interface import End, OpenTracker, TrackedEpoch, TrackedTrial, Tracker
from harness.tracking.registry import check_name, default_root, opener

__all__ = [
    "Dispatcher",
    "End",
    "OpenTracker",
    "TrackedEpoch",
    "TrackedTrial",
    "Tracker",
    "check_name",
    "default_root",
    "export",
    "opener",
]
