"""Parts that run the program as users do, each in a folder of its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from harness.results.procfs import children
from harness.results.record import Record
from tests.gpu.card import Card
from tests.gpu.commands import IN_REHEARSAL, ON_CARD
from tests.gpu.facts import Facts
from tests.gpu.models import LOADED

ROOT = Path(__file__).parent.parent.parent
_LIMIT_SECONDS = 450


@dataclass
class Run:
    """A command of the harness and what it prints, with the seconds since its start."""

    arguments: Sequence[str]
    env: dict[str, str] = field(default_factory=dict)
    lines: list[tuple[float, str]] = field(default_factory=list)
    seconds: float = 0.0
    process: subprocess.Popen[str] = field(init=False)

    def start(self) -> Run:
        """Start it."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "harness", *self.arguments],
            cwd=ROOT,
            env={**os.environ, "PYTHONUNBUFFERED": "1", "COLUMNS": "200", **self.env},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return self

    def finish(self, *, is_shown: bool = True) -> int:
        """Follow it to its end; return its exit code."""
        started = time.monotonic()
        timer = threading.Timer(_LIMIT_SECONDS, self.process.terminate)
        timer.start()
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append((time.monotonic() - started, line.rstrip()))
            if is_shown:
                print(f"  {self.lines[-1][0]:5.1f} | {self.lines[-1][1][:200]}", flush=True)
        code = self.process.wait()
        timer.cancel()
        self.seconds = time.monotonic() - started
        return code

    def seconds_until(self, text: str) -> float | None:
        """Return when the first line with the text was printed."""
        return next((seconds for seconds, line in self.lines if text in line), None)


def records(results: Path) -> dict[str, Record]:
    """Return the records of trials that are done, by experiment and seed."""
    found = {}
    for path in sorted(results.glob("*/*/seed-*.json")):
        if ".attempt-" not in path.name:
            record = Record.from_json(path.read_text(encoding="utf-8"))
            found[f"{record.experiment}/seed-{record.seed}"] = record
    return found


def _run(
    card: Card, facts: Facts, name: str, results: Path, env: dict[str, str] | None = None, expected: int = 0
) -> Run:
    """Run a part's command to its end."""
    command = card.either(ON_CARD, IN_REHEARSAL)[name]
    run = Run([*command, "--results", str(results)], env or {}).start()
    facts.equal("exit code", run.finish(), expected)
    facts.note("wall seconds", f"{run.seconds:.1f}")
    return run


def main(card: Card, facts: Facts) -> None:
    """Run two epochs of the final model, from three seeds, and check the report on them."""
    with TemporaryDirectory() as folder:
        run = _run(card, facts, "main", Path(folder))
        for text in ("placement:", "epoch 1/", "epoch 2/"):
            facts.note(f"seconds until {text!r}", run.seconds_until(text))
        facts.note("placement", next((line for _, line in run.lines if "placement:" in line), "none"))
        _describe(card, facts, Path(folder))
        check = Run(["report", "--check", "--results", folder]).start()
        facts.equal("report --check, exit code", check.finish(), 0)


def final(card: Card, facts: Facts) -> None:
    """Train the report's whole final table, 3 x 50 epochs in bf16; its records come back as final.tgz."""
    with TemporaryDirectory() as folder:
        results = Path(folder) / "final"
        _run(card, facts, "final", results)
        _describe(card, facts, results)
        with tarfile.open(_out() / "final.tgz", "w:gz") as tar:
            tar.add(results, "final")


def _describe(card: Card, facts: Facts, results: Path) -> None:
    """Take down what records say of speed, memory and engine."""
    found = records(results)
    facts.equal("trials done", len(found), card.either(3, 1))
    for name, record in found.items():
        last, rate = record.epochs[-1], record.samples_per_second or 0
        hardware = record.hardware
        facts.note(
            name,
            f"{rate:,.0f} images/s, {hardware.trials_per_device} at once, {hardware.placement}, "
            f"test {100 * last.test_accuracy:.2f} %, train {100 * last.train_accuracy:.2f} %",
        )
        facts.equal(f"{name}, engine", hardware.engine, card.either("graph", "eager"))
        gib, held = record.peak_memory_gib or 0.0, card.either(70_000 * 32 * 32 / 2**30, 0.0)
        most = (
            1e3 if card.is_rehearsal else torch.cuda.get_device_properties(card.device).total_memory / 2**30
        )
        facts.check(
            f"{name}, peak_memory_gib is more than its data and less than the card",
            f"{gib:.2f}",
            held < gib < most,
        )


def killed(card: Card, facts: Facts) -> None:
    """Kill a rank in the midst of a trial: the trial goes on, and ends with the same bits."""
    with TemporaryDirectory() as folder:
        whole, broken = Path(folder) / "whole", Path(folder) / "broken"
        _run(card, facts, "killed", whole)
        command = card.either(ON_CARD, IN_REHEARSAL)["killed"]
        run = Run([*command, "--results", str(broken)]).start()
        killer = threading.Thread(target=_kill_a_rank, args=(run.process, broken))
        killer.start()
        facts.equal("exit code after the kill", run.finish(), 0)
        killer.join()
        (one,), (other,) = records(whole).values(), records(broken).values()
        facts.equal("attempts", [each.status for each in other.attempts], ["killed"])
        facts.equal("engine", other.hardware.engine, card.either("graph", "eager"))
        facts.equal("the same bits", _figures(other) == _figures(one), True)


def _kill_a_rank(process: subprocess.Popen[str], results: Path) -> None:
    """Kill one as soon as its trial has left a checkpoint."""
    while process.poll() is None:
        if any(results.glob("*/*/*.checkpoint-*")):
            os.kill(children(process.pid)[-1], signal.SIGKILL)
            return
        time.sleep(0.01)


def _figures(record: Record) -> list[tuple[float, ...]]:
    return [tuple(each.reproducible.values()) for each in record.epochs]


def wrong(card: Card, facts: Facts) -> None:
    """Train good trials beside some that run out of memory, break a capture, or lose the GPU's context."""
    with TemporaryDirectory() as folder:
        results, loaded = Path(folder) / "results", Path(folder) / "loaded"
        _run(card, facts, "wrong", results, {LOADED: str(loaded)}, expected=card.either(1, 0))
        found = {name: each.hardware.engine for name, each in records(results).items()}
        seeds = card.either((1, 2), (1,))
        good = {f"good/seed-{seed}": card.either("graph", "eager") for seed in seeds}
        good |= {f"synchronizes/seed-{seed}": "eager" for seed in seeds}
        others = ("hungry", "poisons") if card.is_rehearsal else ()
        good |= {f"{name}/seed-1": "eager" for name in others}
        facts.equal("done, by engine", found, good)
        failed = sorted({path.parent.name for path in results.glob("*/*/*.attempt-*.json")})
        facts.equal("failed", failed, card.either(["hungry", "poisons"], []))
        told = loaded.read_text(encoding="utf-8").split() if loaded.exists() else []
        facts.check("ranks have loaded torch's compiler", told, set(told) == {"False"})


def narrow(card: Card, facts: Facts) -> None:
    """Ask for two trials at once of which one fits: both are done, one after the other."""
    with TemporaryDirectory() as folder:
        _run(card, facts, "narrow", Path(folder))
        at_once = {name: each.hardware.trials_per_device for name, each in records(Path(folder)).items()}
        facts.check("done, by trials at once", at_once, len(at_once) == 2 and 1 in at_once.values())


def bench(card: Card, facts: Facts) -> None:
    """Measure every way to execute the final model; its table comes back."""
    with TemporaryDirectory() as folder:
        _run(card, facts, "bench", Path(folder))
        tables = sorted((Path(folder) / "bench").rglob("*.*"))
        facts.equal("files", [each.suffix for each in tables], [".json", ".md"])
        for table in tables:
            shutil.copy(table, _out() / f"bench-{table.name}")


def drill(card: Card, facts: Facts) -> None:
    """Break a trial off in every way that there is: its record is always the same."""
    run = Run(card.either(ON_CARD, IN_REHEARSAL)["drill"]).start()
    facts.equal("exit code", run.finish(), 0)
    facts.note("wall seconds", f"{run.seconds:.1f}")


def _out() -> Path:
    return Path(os.environ["OUT"])
