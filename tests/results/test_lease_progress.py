"""How far a trial is, as its claim says: written in one width, read back, and nothing where it is torn."""

from __future__ import annotations

import math

from harness.results.lease_progress import LeaseProgress
from harness.results.record import Epoch

EPOCH = Epoch(
    epoch=3,
    lr=0.01,
    train_loss=0.123456,
    train_accuracy=0.5,
    test_loss=1.5,
    test_accuracy=0.6789,
    train_seconds=2.0,
    eval_seconds=0.5,
)
HEADWAY = LeaseProgress(fraction=0.35, epochs=10, last=EPOCH, samples_per_second=12345.6)


def test_it_is_read_back() -> None:
    assert LeaseProgress.from_line(HEADWAY.line()) == HEADWAY
    assert (HEADWAY.epoch, HEADWAY.epoch_seconds) == (3, 2.5)
    begun = LeaseProgress(fraction=0.21, epochs=10)
    assert LeaseProgress.from_line(begun.line()) == begun
    assert (begun.epoch, begun.epoch_seconds) == (2, None)
    diverged = HEADWAY.model_copy(update={"last": EPOCH.model_copy(update={"train_loss": math.nan})})
    found = LeaseProgress.from_line(diverged.line())
    assert found is not None
    assert found.last is not None
    assert math.isnan(found.last.train_loss)


def test_lines_have_one_width() -> None:
    worst = -1.2345678901234567e-300
    longest = {key: 10**18 if key == "epoch" else worst for key in Epoch.model_fields if key != "others"}
    last = EPOCH.model_copy(update={**longest, "others": {"test_of_later": worst}})
    wide = LeaseProgress.model_construct(fraction=worst, epochs=10**18, last=last, samples_per_second=worst)
    assert len(wide.line()) == len(HEADWAY.line()) == len(LeaseProgress(fraction=0.0, epochs=1).line())


def test_torn_lines_and_other_lines_say_nothing() -> None:
    old, new = (HEADWAY.model_copy(update={"fraction": each}).line() for each in (0.351, 0.472))
    torn = {new[:cut] + old[cut:] for cut in range(len(new))} - {old, new}
    assert len(torn) > 1
    assert {LeaseProgress.from_line(line) for line in torn} == {None}
    for line in (b"", b"\n", b"00000000 ", b"00000000 {}", b"\xff", b"[" * 1000):
        assert LeaseProgress.from_line(line) is None
