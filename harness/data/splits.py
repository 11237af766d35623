"""Stratified splits: each class in its proportion, by a seed and the labels alone."""

from __future__ import annotations

import hashlib

import numpy as np

from harness.data.raw import Array, Rows


def stratified(labels: Array, count: int, seed: int) -> tuple[Rows, Rows]:
    """Return the rows that stay and the `count` rows that are taken, both in ascending order.

    Every class gives its share, rounded so that the sum is right (largest remainder, the first class first).
    Which rows it gives is decided by a hash of seed and row: the same with every version of NumPy.
    """
    classes, numbers = np.unique(labels, return_counts=True)
    shares = [divmod(int(number) * count, len(labels)) for number in numbers]
    given = [whole for whole, _ in shares]
    by_remainder = sorted(range(len(classes)), key=lambda index: (-shares[index][1], index))
    for index in by_remainder[: count - sum(given)]:
        given[index] += 1
    taken = [
        row
        for name, number in zip(classes, given, strict=True)
        for row in sorted(map(int, np.flatnonzero(labels == name)), key=lambda row: _rank(seed, row))[:number]
    ]
    is_taken = np.zeros(len(labels), bool)
    is_taken[taken] = True
    return np.flatnonzero(~is_taken), np.flatnonzero(is_taken)


def _rank(seed: int, row: int) -> bytes:
    return hashlib.sha256(f"{seed} {row}".encode()).digest()
