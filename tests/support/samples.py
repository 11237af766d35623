"""What the tests of statistics and verdicts share: levels of confidence, made-up samples, a margin."""

from __future__ import annotations

import random

import pytest

LEVELS = (0.5, 0.9, 0.95, 0.99)
MARGIN = 0.005


def exactly(expected: float) -> object:
    return pytest.approx(expected, rel=1e-12, abs=1e-15)


def samples(n: int, seed: int) -> list[list[float]]:
    """Return accuracies of two sides of up to n values, at many spreads."""
    chance = random.Random(seed)
    return [
        [chance.gauss(0.9, chance.choice((1e-4, 2e-3, 0.05))) for _ in range(chance.randint(2, n))]
        for _ in range(2)
    ]
