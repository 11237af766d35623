"""Published curves from CSV: what is taken, and each mistake with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.config import published_curves

HEADER = "experiment,epoch,train_loss,train_accuracy,test_accuracy\n"
LINE = "one,1,1.5,0.5,0.6\n"


def read(folder: Path, text: str) -> dict[str, list[int]]:
    path = folder / "curves.csv"
    path.write_bytes(text.encode())
    return {
        name: [epoch for each in curves for epoch in each.epoch]
        for name, curves in published_curves.read(path, ["one", "two"]).items()
    }


@pytest.mark.parametrize(
    ("text", "epochs"),
    [
        (HEADER + LINE, {"one": [1]}),
        ("\ufeff" + HEADER + LINE, {"one": [1]}),  # as spreadsheets write it
        ((HEADER + LINE).replace("\n", "\r\n"), {"one": [1]}),
        (HEADER + LINE.replace("1", "2", 1) + LINE, {"one": [1, 2]}),
        (HEADER + LINE + LINE.replace("one", "one-run-2"), {"one": [1, 1]}),
        (HEADER + LINE + LINE.replace("one", "of-another-suite"), {"one": [1]}),
    ],
)
def test_curves_are_read(tmp_path: Path, text: str, epochs: dict[str, list[int]]) -> None:
    assert read(tmp_path, text) == epochs


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: found '', expected 'experiment,epoch,"),
        (HEADER.replace(",", ";"), "line 1: found 'experiment;epoch;"),
        (HEADER + LINE + "one,x,1,0.5,0.5\n", "line 3: found 'one,x,1,0.5,0.5', expected a name, an epoch"),
        (HEADER + "one,1,1,50,60\n", "line 2: found 'one,1,1,50,60', expected"),
        (HEADER + LINE + LINE, "line 3: found epoch 1 of 'one' twice"),
        (HEADER, "found curves of nothing, expected some of one, two"),
        (HEADER + LINE.replace("one", "base"), "found curves of base, expected some of one, two"),
    ],
)
def test_a_mistake_is_told_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read(tmp_path, text)
