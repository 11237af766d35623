"""The trials of a simulated run that nobody holds."""

from __future__ import annotations

from bisect import insort


class FreeTrials:
    """The trials that nobody holds, by their places; most are taken in order and never come back."""

    def __init__(self, trials: int) -> None:
        self.count = trials
        self._untaken_after = list(range(trials + 1))
        self._taken_at = [0.0] * trials
        self._back: list[tuple[int, float]] = []  # and when it came back

    def first(self, place: int, since: float) -> int | None:
        """Return the first trial from `place` on that was free at `since` and is, or None."""
        untaken = self._untaken(place)
        for trial, back_at in self._back:
            if place <= trial < untaken and not self._taken_at[trial] < since < back_at:
                return trial
        return untaken if untaken < len(self._taken_at) else None

    def take(self, trial: int, now: float) -> None:
        """Note that somebody holds the trial."""
        self.count -= 1
        if self._back:
            self._back = [each for each in self._back if each[0] != trial]
        self._untaken_after[trial] = trial + 1
        self._taken_at[trial] = now

    def put_back(self, trial: int, now: float) -> None:
        """Note that nobody holds the trial any more."""
        self.count += 1
        insort(self._back, (trial, now))

    def _untaken(self, trial: int) -> int:
        after = self._untaken_after
        while after[trial] != trial:
            after[trial] = trial = after[after[trial]]
        return trial
