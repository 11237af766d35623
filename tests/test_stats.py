"""Mean and sample standard deviation."""

from __future__ import annotations

import pytest

from harness.stats import summary


def test_the_standard_deviation_is_the_samples() -> None:
    found = summary([2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0])
    assert (found.n, found.mean) == (8, 5.0)
    assert found.std == pytest.approx((32 / 7) ** 0.5, rel=1e-15)  # ddof=0 would give 2.0


def test_one_value_has_no_spread() -> None:
    assert (summary([0.5]).mean, summary([0.5]).std) == (0.5, None)


def test_the_order_of_values_does_not_matter() -> None:
    values = [0.1, 0.7, 0.2, 1e-9, 123456.789]
    assert summary(values) == summary(values[::-1]) == summary(sorted(values))
