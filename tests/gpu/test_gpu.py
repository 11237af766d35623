"""The check's parts on a card: `python -m pytest -o addopts= -m gpu tests/gpu`."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.gpu.parts import PARTS, run

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU that torch can use here"),
]


@pytest.mark.parametrize("part", [name for name, each in PARTS.items() if not each.is_extra])
def test_a_card_is_right(part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUT", str(tmp_path))
    facts = run(part, is_rehearsal=False)
    assert facts
    assert [str(fact) for fact in facts if fact.ok is False] == []
