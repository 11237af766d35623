"""The parts of the benchmarks of augmentation that train nothing."""

from __future__ import annotations

from pathlib import Path

from benchmarks import augmentation, color
from harness.config.loader import load_suite


def test_the_suite_is_one(tmp_path: Path) -> None:
    path = tmp_path / "suite.yaml"
    path.write_text(color.SUITE.replace("SEEDS", "4").replace("EPOCHS", "3"), encoding="utf-8")
    (trial, *others) = load_suite(path).trials()
    assert len(others) == 3
    assert trial.settings.model == {"name": "torchvision:resnet18"}
    assert [each.name for each in trial.settings.training.augment] == ["pad_crop", "flip"]


def test_a_price_is_that_of_the_same_round() -> None:
    found = augmentation.row("mlp", "flip", [0.256, 0.384, 0.384], [0.128, 0.256, 0.128])
    assert found == ["mlp", "flip", "333", "1000.0", "2.00 (1.50–3.00)"]
