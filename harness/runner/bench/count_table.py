"""Counts of a suite's training steps, as JSON and as a Markdown table."""

from __future__ import annotations

import math

from harness.config.settings import PrecisionName
from harness.markdown import escaped, table
from harness.runner.bench.roofline import CARDS, Limit
from harness.strict import Strict
from harness.training.operations import RANKS, StepCount


class CountRow(Strict):
    """One experiment's step in one precision, and the limits of cards."""

    experiment: str
    precision: PrecisionName
    batch_size: int
    step: StepCount
    limits: list[Limit]


class Count(Strict):
    """Counts of a suite's steps under one version of torch."""

    suite: str
    torch: str
    rows: list[CountRow]


_KEYS = ("Experiment", "Precision")
COUNTED = ("Operations", "Hashes", "Casts", "MB", "GFLOPs", f"Collectives, {RANKS} ranks", "MB exchanged")
COLUMNS = (
    "Operations: torch's own (ATen) in one training step, from the gathering of a batch to the totals; what "
    "only makes a view or allocates is left out. Hashes: those of them that hash dropout masks and random "
    "draws. Casts: those that copy into another dtype. MB: what operations read and write, each tensor at "
    "each use. GFLOPs: of products, convolutions and attention; a multiplication and an addition are two. "
    f"Collectives: of the same step on {RANKS} ranks, DDP's buckets of gradients with them. MB exchanged: "
    "what one rank gives to them."
)
_LIMITS = (
    "Images/s of a card: by its published memory bandwidth for these bytes, and by its published dense rate "
    "of products in that precision for these FLOPs. The lower one, in bold, binds. A card's caches may allow "
    "more; launches usually allow less."
)


def markdown(found: Count) -> str:
    """Return both tables as Markdown, with a note that defines the columns."""
    counts = [[*_keys(each), f"{each.batch_size:,}", *cells(each.step)] for each in found.rows]
    limits = [[*_keys(each), *(cell for one in each.limits for cell in _of_card(one))] for each in found.rows]
    cards = [CARDS[each.card].title for each in found.rows[0].limits]
    header = [*_KEYS, *(f"{card}: {by}" for card in cards for by in ("memory", "matrix"))]
    made = f"Counted on a CPU with torch {found.torch}; nothing was trained."
    parts = [f"# A training step of {escaped(found.suite)}", table([*_KEYS, "Batch", *COUNTED], counts)]
    parts += ["Images/s that the limits of cards allow:", table(header, limits)]
    return "\n\n".join([*parts, escaped(f"{made} {COLUMNS} {_LIMITS}")]) + "\n"


def cells(step: StepCount) -> list[str]:
    """Return a step's counts as cells, in the order of `COUNTED`."""
    return [
        f"{step.operations:,}",
        f"{step.hashing:,}",
        f"{step.casting:,}",
        _significant(step.bytes / 1e6),
        _significant(step.flops / 1e9),
        f"{step.collectives:,}",
        _significant(step.exchanged_bytes / 1e6),
    ]


def _keys(row: CountRow) -> list[str]:
    return [escaped(row.experiment), row.precision]


def _of_card(found: Limit) -> list[str]:
    texts = []
    for each in (found.by_memory, found.by_matrix_rate):
        text = "–" if each is None else _significant(each, 3)
        texts.append(f"**{text}**" if each is not None and each == found.binding else text)
    return texts


def _significant(value: float, digits: int = 4) -> str:
    """Format a number from 0 on, rounded to so many significant digits."""
    decimals = digits - 1 - math.floor(math.log10(value)) if value else 0
    return f"{round(value, decimals):,.{max(decimals, 0)}f}"
