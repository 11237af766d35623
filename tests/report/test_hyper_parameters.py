"""Settings of experiments as text: what differs from the defaults."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.report.hyper_parameters import hyper_parameters
from tests.support.records import SUITE, suite_of


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ("loss: {label_smoothing: 0.1}", "label smoothing = 0.1"),
        ("loss: {name: binary}", "loss = binary"),
        (
            "loss: {name: 'my.losses:focal', gamma: 2, class_weights: balanced}",
            "loss = my.losses:focal, class weights = balanced, gamma = 2",
        ),
        ("loss: {class_weights: [1, 2.5]}", "class weights = [1.0, 2.5]"),
        (
            "augment: [{name: pad_crop, padding: 4}, {name: flip}, {name: cutmix, p: 0.5}]",
            "augment = [pad_crop(padding = 4), flip, cutmix(p = 0.5)]",
        ),
        ("augment: []", ""),
    ],
)
def test_loss_and_augmentations_are_named(settings: Any, expected: str, tmp_path: Path) -> None:
    suite = suite_of(tmp_path, SUITE.replace("epochs: 2", f"epochs: 2\n    {settings}"))
    shared, _ = hyper_parameters(suite)
    assert shared.partition("epochs = 2")[2].removeprefix(", ") == expected
