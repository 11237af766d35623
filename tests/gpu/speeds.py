"""Parts `speed`, `lanes`, `compiled`: how long a step takes, its kernels, how several share a card."""

from __future__ import annotations

import time

from harness.config.settings import PrecisionName
from harness.results.record import EngineName
from tests.gpu import engines
from tests.gpu.card import EXP_2, EXP_3, FINAL, Card
from tests.gpu.exactness import broken_off
from tests.gpu.facts import Facts
from tests.gpu.training import train

_NETS = {"final": FINAL, "exp-2": EXP_2, "exp-3": EXP_3}
_BATCH = 128


def speed(card: Card, facts: Facts) -> None:
    """Time a step of each network, in each precision, by each engine; list the kernels of a graph."""
    precisions: tuple[PrecisionName, ...] = card.either(("fp32", "tf32", "bf16"), ("fp32",))
    both: tuple[EngineName, ...] = ("eager", "graph")
    for name in card.either(tuple(_NETS), ("exp-3",)):
        for precision in precisions:
            for engine in both:
                _speed(card, facts, name, precision, engine)


def compiled(card: Card, facts: Facts) -> None:
    """Train compiled trials twice and broken off, which have the same bits; time compiling and a step."""
    trial = card.trial(EXP_2, "bf16", epochs=3)
    data = card.data(trial)
    whole, again = (train(trial, data, card.alone, "compiled") for _ in range(2))
    off, is_left = broken_off(trial, data, card, "compiled")
    facts.equal("engine", whole.engine, "compiled")
    facts.equal("notes and warnings", [*whole.notes, *whole.warnings], [])
    facts.equal("was left each time", is_left, True)
    facts.equal("the same bits twice", again.is_bitwise(whole), True)
    facts.equal("the same bits broken off three times", off.is_bitwise(whole), True)
    eager = train(trial, data, card.alone, "eager")
    facts.note("compiled and eager differ by", f"{whole.difference(eager):.1e}")
    for name in card.either(tuple(_NETS), ("exp-3",)):
        _speed(card, facts, name, "bf16", "compiled")


def _speed(card: Card, facts: Facts, name: str, precision: PrecisionName, engine: EngineName) -> None:
    what = f"{name} {precision} {engine}"
    trial = card.trial(_NETS[name], precision)
    started = time.monotonic()
    with engines.lanes(trial, card.data(trial), card.alone, engine) as one:
        facts.note(f"{what}, seconds until warmed up", f"{time.monotonic() - started:.1f}")
        seconds = one.step_seconds(card.either(0.4, 0.01))
        facts.note(what, f"{1e6 * seconds:.0f} us a step, {_BATCH / seconds:,.0f} images/s")
        facts.equal(f"{what}, engines", one.engines, {engine})
        if engine != "eager":
            rows = one.kernels()
            launched, busy = sum(row[1] for row in rows), sum(row[2] for row in rows)
            facts.note(f"{what}, kernels", f"{launched:.0f} a step, busy {busy:.0f} us")
            for kernel, count, microseconds in rows[:12]:
                facts.note(f"{what}, {kernel[:90]}", f"{count:.0f} x, {microseconds:.1f} us")


def lanes(card: Card, facts: Facts) -> None:
    """Time 1 to 16 trials at once."""
    precisions: tuple[PrecisionName, ...] = card.either(("fp32", "bf16"), ("fp32",))
    for name in card.either(("exp-2", "exp-3"), ("exp-3",)):
        for precision in precisions:
            trial = card.trial(_NETS[name], precision)
            widths = card.either((1, 2, 3, 4, 8, 16), (1, 2))
            with engines.lanes(trial, card.data(trial), card.alone, "graph", widths[-1]) as several:
                facts.equal(f"{name} {precision}, engines", several.engines, {"graph"})
                for width in widths:
                    rate = _BATCH * width / several.step_seconds(card.either(0.3, 0.01), width)
                    facts.note(f"{name} {precision} {width} at once", f"{rate:,.0f} images/s")
