"""The parts of the check: each in a process of its own, for so many seconds at most."""

from __future__ import annotations

import importlib
import os
import signal
import traceback
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests import forks
from tests.gpu.facts import Fact, Facts, read


@dataclass(frozen=True)
class Part:
    """A function `module:name` of a card and facts, the seconds that it may take, and whether it is asked for by name only."""

    function: str
    seconds: float
    is_extra: bool = False


PARTS = {
    "where": Part("place:where", 30),
    "main": Part("runs:main", 90),
    "right": Part("exactness:right", 100),
    "same_bits": Part("exactness:same_bits", 70),
    "leak": Part("memory:leak", 40),
    "fallbacks": Part("captures:fallbacks", 40),
    "recordings": Part("captures:recordings", 30),
    "worlds": Part("worlds:worlds", 90),
    "killed": Part("runs:killed", 90),
    "wrong": Part("runs:wrong", 90),
    "narrow": Part("runs:narrow", 60),
    "speed": Part("speeds:speed", 80),
    "lanes": Part("speeds:lanes", 60),
    "bench": Part("runs:bench", 90),
    "drill": Part("runs:drill", 250, is_extra=True),
    "final": Part("runs:final", 400, is_extra=True),
}


def run(name: str, *, is_rehearsal: bool, seconds: float | None = None) -> list[Fact]:
    """Run a part; return its facts, and a wrong one where it did not come to its end."""
    part = PARTS[name]
    limit = min(part.seconds, seconds if seconds is not None else part.seconds)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "facts"
        process = forks.context().Process(target=_work, args=(part, path, is_rehearsal, dict(os.environ)))
        process.start()
        process.join(limit)
        is_late = process.is_alive()
        if is_late:
            assert process.pid is not None
            os.killpg(process.pid, signal.SIGTERM)  # what it started, too; it can be asked, a run ends well
            process.join(10)
            process.kill()
            process.join()
        found = read(path)
        if is_late:
            found.append(Fact("end", f"broken off after {limit:.0f} s", ok=False))
        elif process.exitcode:
            found.append(Fact("end", f"exit code {process.exitcode}", ok=False))
        for fact in found[-1:] if is_late or process.exitcode else []:
            print(fact, flush=True)
    return found


def _work(part: Part, path: Path, is_rehearsal: bool, env: dict[str, str]) -> None:
    os.setsid()
    os.environ.clear()
    os.environ.update(env)
    from tests.gpu.card import Card

    module, _, name = part.function.partition(":")
    try:
        card = Card.here(is_rehearsal=is_rehearsal)
        getattr(importlib.import_module(f"tests.gpu.{module}"), name)(card, Facts(path))
    except Exception:
        traceback.print_exc()
        raise SystemExit(1) from None
