"""Facts of a record as text."""

from __future__ import annotations

import pytest

from harness.report.facts import FACTS, devices, in_sentence, short
from tests.support.records import record_of
from tests.support.trials import small_trial


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (["A GPU"], "A GPU"),
        (["A GPU"] * 4, "A GPU"),  # the world size says how many
        (["A GPU", "A CPU", "A GPU"], "A CPU, 2 × A GPU"),
        ([], ""),
    ],
)
def test_devices_of_one_kind_are_named_once(names: list[str], text: str) -> None:
    assert devices(names) == text


def test_each_fact_is_text() -> None:
    record = record_of(small_trial())
    assert all(isinstance(fact(record), str) for fact in FACTS.values())
    assert FACTS["User code"](record) == ""


def test_titles_and_commits_are_short() -> None:
    assert [in_sentence(title) for title in ("World size", "torch")] == ["world size", "torch"]
    assert short("c" * 40 + "-dirty") == "cccccccc-dirty"
    assert short(None) == "unknown"
