"""The parts of the check: each in a process of its own, for so many seconds at most."""

from __future__ import annotations

import importlib
import math
import os
import signal
import traceback
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.gpu.facts import Fact, Facts, read
from tests.support import forks


@dataclass(frozen=True)
class Part:
    """A function `module:name` of a card and facts, and the seconds it may take; extra ones run by name."""

    function: str
    seconds: float
    is_extra: bool = False


PARTS = {
    "where": Part("tests.gpu.place:where", 30),
    "main": Part("tests.gpu.runs:main", 90),
    "right": Part("tests.gpu.exactness:right", 180),
    "same_bits": Part("tests.gpu.exactness:same_bits", 90),
    "settings": Part("tests.gpu.settings:settings", 90),
    "speed": Part("tests.gpu.speeds:speed", 80),
    "lanes": Part("tests.gpu.speeds:lanes", 60),
    "worlds": Part("tests.gpu.worlds:worlds", 90),
    "leak": Part("tests.gpu.memory:leak", 40),
    "fallbacks": Part("tests.gpu.captures:fallbacks", 40),
    "recordings": Part("tests.gpu.captures:recordings", 30),
    "killed": Part("tests.gpu.runs:killed", 120),
    "wrong": Part("tests.gpu.runs:wrong", 150),
    "narrow": Part("tests.gpu.runs:narrow", 60),
    "bench": Part("tests.gpu.runs:bench", 200),
    "compiled": Part("tests.gpu.speeds:compiled", 250, is_extra=True),
    "drill": Part("tests.gpu.runs:drill", 250, is_extra=True),
    "final": Part("tests.gpu.runs:final", 400, is_extra=True),
}


_REHEARSAL_SECONDS = 600  # a CPU may have other work


def run(name: str, *, is_rehearsal: bool, seconds: float = math.inf) -> list[Fact]:
    """Run a part; return its facts, and a wrong one where it did not come to its end."""
    part = PARTS[name]
    limit = min(_REHEARSAL_SECONDS if is_rehearsal else part.seconds, seconds)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "facts"
        process = forks.context().Process(target=_work, args=(part, path, is_rehearsal, dict(os.environ)))
        process.start()
        is_late = True
        try:
            process.join(limit)
            is_late = process.is_alive()
        finally:
            if is_late:
                _end(process)
        found = read(path)
        if is_late:
            found.append(Fact("end", f"broken off after {limit:.0f} s", ok=False))
        elif process.exitcode:
            found.append(Fact("end", f"exit code {process.exitcode}", ok=False))
        for fact in found[-1:] if is_late or process.exitcode else []:
            print(fact, flush=True)
    return found


def _end(process: BaseProcess) -> None:
    """End a part and what it has started."""
    assert process.pid is not None
    os.killpg(process.pid, signal.SIGTERM)  # it can be asked: a run ends well
    process.join(10)
    process.kill()
    process.join()


def _work(part: Part, path: Path, is_rehearsal: bool, env: dict[str, str]) -> None:
    os.setpgid(0, 0)  # with what it starts
    os.environ.clear()
    os.environ.update(env)
    from tests.gpu.card import Card

    module, _, name = part.function.rpartition(":")
    try:
        card = Card.here(is_rehearsal=is_rehearsal)
        getattr(importlib.import_module(module), name)(card, Facts(path))
    except Exception:
        traceback.print_exc()
        raise SystemExit(1) from None
