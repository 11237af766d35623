"""Checkpoint policy: about once a second all ranks decide, at the same step, whether to save or stop."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum

from harness.training.distributed import ProcessGroup

_SECONDS = 1.0
_LEAST_SECONDS = 1.0  # of training, to be worth a checkpoint where the record follows at once


class CheckpointAction(IntEnum):
    """What rank 0 of a trial asks for at a boundary: go on, save, save and stop, or stop without saving."""

    GO_ON = 0
    SAVE = 1
    STOP = 2
    DROP = 3


@dataclass
class CheckpointPolicy:
    """Saves a trial's state when that is due, and says when to stop training it.

    Only rank 0's `on_boundary` and `save` count; `on_boundary` is told whether a state is going to be saved
    anyway. `update` brings the state up to date, on all ranks, before it is saved. `seconds` is the total
    time that saving took.
    """

    world: ProcessGroup
    every_seconds: float
    on_boundary: Callable[[bool], CheckpointAction]
    save: Callable[[], None]
    is_dropped: bool = False
    seconds: float = 0.0
    _left: int = 1
    _chunk: int = 1
    _decided_at: float = field(default_factory=time.monotonic)
    _saved_at: float = field(default_factory=time.monotonic)

    def leaves(self, update: Callable[[], None] = lambda: None) -> bool:
        """Count a step or batch; at a boundary do what rank 0 asks for. Return whether to stop the trial."""
        self._left -= 1
        if self._left:
            return False
        self.world.wait_for_stream()
        now = time.monotonic()
        pace = self._chunk * _SECONDS / max(now - self._decided_at, 1e-6)
        self._decided_at = now
        due = now - self._saved_at >= self.every_seconds
        action = max(self.on_boundary(due), CheckpointAction.SAVE if due else CheckpointAction.GO_ON)
        agreed, self._chunk = self.world.agree([action, max(1, min(int(pace), 2 * self._chunk))])
        self._left = self._chunk
        return self._follow(agreed, update)

    def leaves_after_epoch(self, *, is_last: bool) -> bool:
        """Save the state after an epoch, unless it is to be dropped. Return whether to stop the trial.

        After the last epoch the record follows: less than a second of training is not saved before.
        """
        saves = not is_last or time.monotonic() - self._saved_at >= _LEAST_SECONDS
        least = CheckpointAction.SAVE if saves else CheckpointAction.GO_ON
        (action,) = self.world.agree([max(least, self.on_boundary(saves))])
        return self._follow(action, lambda: None)

    def _follow(self, action: int, update: Callable[[], None]) -> bool:
        if action in (CheckpointAction.SAVE, CheckpointAction.STOP):
            update()
            before = time.monotonic()
            if self.world.is_rank_zero:
                self.save()
            self._saved_at = time.monotonic()
            self.seconds += self._saved_at - before
        self.is_dropped = action == CheckpointAction.DROP
        return action in (CheckpointAction.STOP, CheckpointAction.DROP)
