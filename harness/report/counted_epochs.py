"""Names of the epochs whose figures count: the last one, or the best one on validation."""

from __future__ import annotations

from collections.abc import Iterable

from harness.config.settings import Training

LAST = "last epoch"
_NAMES = {"last": LAST, "best_on_validation": "best epoch on validation"}


def counted_epochs(trainings: Iterable[Training]) -> str:
    """Return the names, as `last epoch` or `last epoch or the best epoch on validation`."""
    asked = {each.epoch for each in trainings}
    return " or the ".join(name for key, name in _NAMES.items() if key in asked)


def figures_are(trainings: Iterable[Training]) -> str:
    """Return the beginning of a sentence, as `Figures are the last epoch's`."""
    return f"Figures are the {counted_epochs(trainings)}".replace("epoch", "epoch's")
