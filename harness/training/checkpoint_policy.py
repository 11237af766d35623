"""Where a trial may pause: all its ranks decide together, at the same step, about once a second."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum

from harness.training.checkpoint import Progress
from harness.training.distributed import ProcessGroup

_SECONDS = 1.0


class CheckpointAction(IntEnum):
    """What a trial's owner wants at a boundary: go on, save, stop with a state saved, or stop without."""

    GO_ON = 0
    SAVE = 1
    STOP = 2
    DROP = 3


@dataclass
class CheckpointPolicy:
    """Saves a trial's state when it is time, and says when to leave it.

    `wish` and `save` are the owner's; `wish` is told whether a state is going to be saved. `seconds` are what
    saving took.
    """

    world: ProcessGroup
    every_seconds: float
    wish: Callable[[bool], CheckpointAction]
    save: Callable[[Progress], None]
    is_dropped: bool = False
    seconds: float = 0.0
    _left: int = 1
    _chunk: int = 1
    _decided_at: float = field(default_factory=time.monotonic)
    _saved_at: float = field(default_factory=time.monotonic)

    def leaves(self, progress: Callable[[], Progress]) -> bool:
        """Count a step or batch; at a boundary do what the owner wants. Tell whether to leave."""
        self._left -= 1
        if self._left:
            return False
        self.world.wait_for_stream()
        now = time.monotonic()
        pace = self._chunk * _SECONDS / max(now - self._decided_at, 1e-6)
        self._decided_at = now
        due = now - self._saved_at >= self.every_seconds
        wish = max(self.wish(due), CheckpointAction.SAVE if due else CheckpointAction.GO_ON)
        agreed, self._chunk = self.world.agree([wish, max(1, min(int(pace), 2 * self._chunk))])
        self._left = self._chunk
        return self._follow(agreed, progress)

    def leaves_after(self, progress: Progress) -> bool:
        """Save the state after an epoch, if it is not to be dropped. Tell whether to leave."""
        (wish,) = self.world.agree([max(CheckpointAction.SAVE, self.wish(True))])
        return self._follow(wish, lambda: progress)

    def _follow(self, wish: int, progress: Callable[[], Progress]) -> bool:
        if wish in (CheckpointAction.SAVE, CheckpointAction.STOP):
            state = progress()
            before = time.monotonic()
            if self.world.is_rank_zero:
                self.save(state)
            self._saved_at = time.monotonic()
            self.seconds += self._saved_at - before
        self.is_dropped = wish == CheckpointAction.DROP
        return wish in (CheckpointAction.STOP, CheckpointAction.DROP)
