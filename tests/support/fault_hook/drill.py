"""What the driver of a drill and the hook in its processes tell each other: files in one folder."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

ENV = "HARNESS_DRILL"
MEETING_SECONDS = 60.0

Place = Literal["record", "attempt", "checkpoint", "claim", "evaluate", "any"]
Moment = Literal["before", "middle", "whole", "named", "after"]
Victim = Literal["a rank", "another rank", "all ranks", "launcher", "launcher and ranks"]


@dataclass(frozen=True)
class Order:
    """Say where a process is to kill, at which moment of what it does there, and whom.

    `middle` means half of a file, `whole` a file that has not got its name yet, `named` one that has.
    """

    number: int
    place: Place
    moment: Moment
    victim: Victim


@dataclass(frozen=True)
class Hit:
    """Say how an order was carried out: by which process, on which file, and who was killed."""

    order: Order
    process: int
    file: str
    killed: list[int]

    @property
    def is_inside(self) -> bool:
        """Tell whether the process that was in the place was killed there."""
        return self.process in self.killed


@dataclass(frozen=True)
class Drill:
    """The folder of one drill: what is ordered, what was done, and a log that survives every kill."""

    root: Path

    def arm(self, order: Order) -> None:
        """Have the first process that comes to the place carry the order out."""
        self._appear(self._armed(order), asdict(order))

    def disarm(self, order: Order) -> bool:
        """Take the order back; False where a process has taken it already."""
        try:
            self._armed(order).unlink()
        except FileNotFoundError:
            return False
        return True

    def take(self, place: Place) -> Order | None:
        """Return the order for this place, if there is one; exactly one process gets it."""
        for path in (self.root / "armed").glob(f"{place}-*"):
            try:
                path.rename(self.root / f"taken-{path.name}")
            except FileNotFoundError:
                continue
            return Order(**json.loads((self.root / f"taken-{path.name}").read_text(encoding="utf-8")))
        return None

    def report(self, hit: Hit) -> None:
        """Write down who is killed now."""
        self._appear(self._hit(hit.order), asdict(hit))

    def hit(self, order: Order) -> Hit | None:
        """Return how the order was carried out, if it was."""
        try:
            found = json.loads(self._hit(order).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        return Hit(**{**found, "order": Order(**found["order"])})

    def log(self, **event: Any) -> None:
        """Add a line to the log, in one go."""
        line = json.dumps({**event, "process": os.getpid()}) + "\n"
        descriptor = os.open(self.root / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            os.write(descriptor, line.encode())
        finally:
            os.close(descriptor)

    def events(self) -> list[dict[str, Any]]:
        """Return the log."""
        path = self.root / "log"
        return (
            [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
            if path.exists()
            else []
        )

    def have_claims_meet(self) -> None:
        """Have two processes wait for each other before they write their first claims."""
        (self.root / "meeting").mkdir()

    def has_met(self) -> bool:
        """Tell whether two processes have met."""
        return len(list((self.root / "meeting").glob("*"))) == 2

    def meet(self) -> None:
        """Wait for the other process, if they are to meet and did not yet."""
        if not (self.root / "meeting").exists() or self.has_met():
            return
        (self.root / "meeting" / str(os.getpid())).touch()
        until = time.monotonic() + MEETING_SECONDS
        while not self.has_met() and time.monotonic() < until:
            time.sleep(0.0005)

    def processes(self) -> list[int]:
        """List the living processes of the drill: launchers and ranks."""
        return [pid for pid in _all_processes() if self.has(pid)]

    def ranks(self, launcher: int) -> list[int]:
        """List the living ranks that a launcher has started."""
        return [pid for pid in self.processes() if _leads_session(pid) and self.launcher(pid) == launcher]

    def launcher(self, rank: int) -> int:
        """Return the process that has started a rank: the last of its ancestors that is of the drill."""
        ancestor = _parent(rank)
        while self.has(above := _parent(ancestor)):
            ancestor = above
        return ancestor

    def still_training(self, trial: str) -> list[int]:
        """List the living processes of other launchers that have gone on with the trial."""
        events = (each for each in self.events() if each["kind"] == "resumed" and each["trial"] == trial)
        pids = {int(event["process"]) for event in events}
        ours = self.launcher(os.getpid())
        return [pid for pid in pids if self.has(pid) and self.launcher(pid) != ours]

    def has(self, pid: int) -> bool:
        """Tell whether the process lives and belongs to the drill: no other works in its folder."""
        return _folder(pid) == self.root.resolve() and not _has_ended(pid)

    def kill(self, pids: Sequence[int]) -> None:
        """Send SIGKILL to those of the processes that belong to the drill."""
        for pid in pids:
            if self.has(pid):
                os.kill(pid, signal.SIGKILL)

    def targets(self, victim: Victim, launcher: int, choose: Callable[[list[int]], int]) -> list[int]:
        """Return whom to kill of a launcher and its ranks; `choose` picks one rank where it is one."""
        ranks = self.ranks(launcher)
        if victim in {"a rank", "another rank"}:
            return [choose(ranks)] if ranks else []
        return [*([launcher] if "launcher" in victim else []), *(ranks if "ranks" in victim else [])]

    def _armed(self, order: Order) -> Path:
        return self.root / "armed" / f"{order.place}-{order.number}"

    def _hit(self, order: Order) -> Path:
        return self.root / f"hit-{order.number}"

    def _appear(self, path: Path, content: dict[str, Any]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.root / f"new-{os.getpid()}"
        temporary.write_text(json.dumps(content), encoding="utf-8")
        temporary.replace(path)


def _all_processes() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()]


def _folder(pid: int) -> Path | None:
    try:
        return Path(f"/proc/{pid}/cwd").readlink()
    except OSError:
        return None


def _leads_session(pid: int) -> bool:
    return _state(pid)[3] == str(pid)  # each of torchrun's workers, and no other process of a run


def _parent(pid: int) -> int:
    return int(_state(pid)[1])


def _has_ended(pid: int) -> bool:
    return _state(pid)[0] in {"Z", "X"}


def _state(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return ["X", "0", "0", "0"]
