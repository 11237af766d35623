"""The check on a card goes through its motions here, so that a rename breaks this and not the check."""

from __future__ import annotations

import pytest

from tests.gpu.parts import PARTS, run


@pytest.mark.parametrize(
    "part", [name for name, each in PARTS.items() if not each.function.startswith("tests.gpu.runs:")]
)
def test_a_part_is_rehearsed(part: str) -> None:
    facts = run(part, is_rehearsal=True)
    assert facts
    assert [str(fact) for fact in facts if fact.ok is False] == []
