"""Starts of a run's ranks: why some ended before they trained, and whether another start can help.

Imported before anything else, so that it also sees imports that fail.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import threading
import time
import traceback
from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path

from harness import environment

_ALIKE, _SILENT = 2, 3  # how many in a row are enough: ended in the same way, or without a reason
_POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Starts:
    """All starts of a run, seen from start `number`, counted from 0."""

    folder: Path
    number: int

    @classmethod
    def of(cls, env: Mapping[str, str]) -> Starts | None:
        """Return the starts that a rank belongs to; None if no launcher of ours has started it."""
        if environment.STARTS not in env:
            return None
        return cls(Path(env[environment.STARTS]), int(env.get("TORCHELASTIC_RESTART_COUNT", "0")))

    @property
    def is_hopeless(self) -> bool:
        """Tell whether earlier starts ended in a way that this one would repeat; keep the reason."""
        ends = list(self._ends_before())
        alike = len(ends) >= _ALIKE and ends[0] != "" and ends[0] == ends[1]
        if alike or len(ends) >= _SILENT:
            reason = ends[0] or "without a message, perhaps by the system"
            self._path("given-up").write_text(reason, encoding="utf-8")
            return True
        return False

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Note how this process ends, if it ends before it has trained."""
        with contextlib.suppress(OSError):
            self._path(f"{self.number}.begun").touch()
            path = self._path(f"{self.number}.fault-{os.getpid()}")
            faulthandler.enable(
                os.open(path, os.O_WRONLY | os.O_CREAT)
            )  # open for as long as there may be one
        try:
            yield
        except SystemExit as left:
            if left.code == 1:  # the message is shown already, and another start may help
                self.has_trained()
            elif left.code:
                self._ended(f"exit code {left.code}")
            raise
        except Exception as error:
            self._ended(described(error))
            raise

    def has_trained(self) -> None:
        """Note that this start reached training; whatever ends it now, another start may go on."""
        faulthandler.disable()
        with contextlib.suppress(OSError):
            self._path(f"{self.number}.trained").touch()

    def _ended(self, reason: str) -> None:
        with contextlib.suppress(OSError), self._path(f"{self.number}.ended").open("x") as file:
            file.write(reason)

    def _ends_before(self) -> Iterator[str]:
        """Yield how the starts before this one ended, the latest first, back to one that trained."""
        for number in reversed(range(self.number)):
            if not self._path(f"{number}.begun").exists() or self._path(f"{number}.trained").exists():
                return
            faults = sorted(self.folder.glob(f"{number}.fault-*"))
            texts = [_text(path) for path in (self._path(f"{number}.ended"), *faults)]
            yield next((text for text in texts if text), "")

    def _path(self, name: str) -> Path:
        return self.folder / name


def note_training(env: Mapping[str, str]) -> None:
    """Note that this rank's start reached training, if a launcher of ours has started it."""
    if starts := Starts.of(env):
        starts.has_trained()


def given_up(folder: Path) -> str | None:
    """Return why the ranks were not started again; None if they were."""
    return _text(folder / "given-up") or None


def _text(path: Path) -> str:
    """Return what stands in the first line of a file; nothing if there is none."""
    with contextlib.suppress(OSError):
        return path.read_text(encoding="utf-8", errors="replace").partition("\n")[0].strip()
    return ""


def described(error: Exception) -> str:
    """Return an exception in one line, with the place where it was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {' '.join(str(error).split())}{place}"


def end_with_launcher(env: MutableMapping[str, str]) -> None:
    """End this rank when the process that started it ends: torchrun, or a user's command.

    A command that a rank starts inherits its environment and is no rank.
    """
    me = str(os.getpid())  # a restart in place keeps it
    if "TORCHELASTIC_RUN_ID" in env and env.setdefault(environment.RANK_PROCESS, me) == me:
        launcher = int(env.get(environment.LAUNCHED) or os.getppid())
        threading.Thread(target=_end_with, args=(launcher,), name="launcher", daemon=True).start()


def _end_with(launcher: int) -> None:
    while os.getppid() == launcher:
        time.sleep(_POLL_SECONDS)
    os._exit(1)
