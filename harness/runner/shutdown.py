"""Stop requests: signals and the stop file of a SLURM job."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from harness import environment
from harness.results.atomic_files import write_whole

ASKED = "asked by"
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)


def heeded() -> list[signal.Signals]:
    """List the signals that end a run, without those that are ignored, as under nohup."""
    return [number for number in SIGNALS if signal.getsignal(number) != signal.SIG_IGN]


@dataclass(frozen=True)
class JobFiles:
    """Files through which a job's script and the run in it communicate, for one start of the job."""

    prefix: str | None

    @classmethod
    def of(cls, env: Mapping[str, str]) -> JobFiles:
        """Return the files of the SLURM job that this process belongs to, without a prefix outside a job."""
        return cls(env.get(environment.JOB_FILES))

    @property
    def stop_file(self) -> Path | None:
        """Return the path of the file that requests a stop of the run."""
        return Path(f"{self.prefix}.stop") if self.prefix else None

    def tell_outcome(self, code: int, *, is_finished: bool) -> None:
        """Write the exit code for the script, or `unfinished` if the script should requeue the job."""
        if self.prefix:
            text = str(code) if is_finished else "unfinished"
            write_whole(Path(f"{self.prefix}.outcome"), f"{text}\n".encode())


@dataclass
class StopRequests:
    """Stop requests to this process, by a signal or by a file."""

    file: Path | None = None
    signal_name: str | None = None

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Record signals instead of being ended by them."""

        def note(number: int, _: FrameType | None) -> None:
            self.signal_name = signal.Signals(number).name

        before = {number: signal.signal(number, note) for number in heeded()}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def poll(self) -> str | None:
        """Return the reason to stop, or None."""
        if self.signal_name:
            return self.signal_name
        with contextlib.suppress(OSError):
            return f"{ASKED} {self.file}" if self.file and self.file.exists() else None
        return None
