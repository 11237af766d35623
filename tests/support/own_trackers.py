"""Trackers as a user would write them, good and bad ones."""

from __future__ import annotations

import asyncio
import os
import signal
import threading

import torch

from harness.tracking import End, TrackedEpoch, TrackedTrial

OURS = "tests.support.own_trackers"  # the module, as `--log` names it


class Keeps:
    """Writes a line for all that it is told."""

    def __init__(self, trial: TrackedTrial) -> None:
        trial.folder.mkdir(parents=True, exist_ok=True)
        self.path = trial.folder / "lines.txt"
        self.path.write_text("", encoding="utf-8")

    def _add(self, line: str) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")

    def epoch(self, epoch: TrackedEpoch) -> None:
        self._add(f"{epoch.number} {epoch.figures['train_loss']!r}")

    def end(self, status: End) -> None:
        self._add(status)


class Fails(Keeps):
    """Cannot take a second epoch."""

    def epoch(self, epoch: TrackedEpoch) -> None:
        super().epoch(epoch)
        if epoch.number == 2:
            raise ConnectionError("no answer\nfrom a made-up server")


class Exits(Keeps):
    """Would end the process when a trial ends."""

    def end(self, status: End) -> None:
        raise SystemExit("good bye")


class Hangs(Keeps):
    """Waits for a server that never answers."""

    def __init__(self, trial: TrackedTrial) -> None:
        threading.Event().wait()


class Cancels(Keeps):
    """Has its task cancelled, which is no Exception."""

    def epoch(self, epoch: TrackedEpoch) -> None:
        raise asyncio.CancelledError("task")


class Unspeakable(Keeps):
    """Raises what cannot be shown."""

    def epoch(self, epoch: TrackedEpoch) -> None:
        raise Unshowable


class Unshowable(Exception):  # noqa: N818
    """Fails to say what it is."""

    def __str__(self) -> str:
        raise ValueError("no text")


class Sheds(Keeps):
    """Takes things from what it is told, and leaves torch without gradients."""

    def epoch(self, epoch: TrackedEpoch) -> None:
        epoch.figures.clear()
        torch.set_grad_enabled(False)


class KeepsSome(Keeps):
    """Refuses seed 2."""

    def epoch(self, epoch: TrackedEpoch) -> None:
        if "seed-2" in str(self.path):
            raise ValueError("not this one")
        super().epoch(epoch)


class Stops(Keeps):
    """Has its rank told to end after the third epoch."""

    def epoch(self, epoch: TrackedEpoch) -> None:
        if epoch.number == 3:
            os.kill(os.getpid(), signal.SIGTERM)


def opens_nothing(trial: TrackedTrial) -> None:
    """Forget to return a tracker."""


def cannot_open(trial: TrackedTrial) -> Keeps:
    """Fail at once."""
    raise KeyError("API_KEY")
