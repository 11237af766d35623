"""Settings of experiments as text: what differs from the defaults."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.config.settings import Training
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


# For every training setting: settings that differ from those of SUITE, and what a row then says.
DIFFERENT = {
    "epochs": ("epochs: 3", "epochs = 3"),
    "batch_size": ("batch_size: 20", "batch size = 20"),
    "precision": ("precision: bf16", "precision = bf16"),
    "optimizer": ("optimizer: {no_decay: [bias]}", "no_decay = [bias]"),
    "scheduler": (
        "scheduler: {name: cosine, per: step, warmup_epochs: 1}",
        "scheduler = cosine, per = step, warmup_epochs = 1.0",
    ),
    "augment": ("augment: [{name: flip}]", "augment = [flip]"),
    "loss": ("loss: {label_smoothing: 0.1}", "label smoothing = 0.1"),
    "clip_grad_norm": ("clip_grad_norm: 0.5", "clip grad norm = 0.5"),
    "accumulate": ("accumulate: 4", "accumulate = 4"),
    "ema": ("ema: {decay: 0.9}", "ema decay = 0.9"),
    "swa": ("swa: {start_epoch: 2}", "swa start epoch = 2"),
    "epoch": ("epoch: best_on_validation", "epoch = best_on_validation"),
    "early_stopping": (
        "early_stopping: {patience: 2}",
        "early stopping patience = 2, early stopping by = validation_loss",
    ),
    "allow_rank_dependent": ("allow_rank_dependent: true", "rank-dependent = allowed"),
}


@pytest.mark.parametrize("key", Training.model_fields)
def test_every_training_setting_that_differs_is_shown(key: str, tmp_path: Path) -> None:
    settings, expected = DIFFERENT[key]
    two = "two: {model: {hidden: [16]}, training: {optimizer: {lr: 0.02}}}"
    own = hyper_parameters(suite_of(tmp_path, SUITE.replace(two, f"two: {{training: {{{settings}}}}}")))[1]
    assert own["two"] == expected


def test_settings_of_one_name_are_told_apart_in_all_rows(tmp_path: Path) -> None:
    focal = "loss: {name: 'my.losses:focal', gamma: 2, lr: 5}"
    step = "scheduler: {name: StepLR, step_size: 3, gamma: 0.5}"
    text = SUITE.partition("  two:")[0] + f"  two: {{training: {{{focal}, {step}}}}}\n"
    text += f"  three: {{training: {{{focal}}}}}\n"
    _, own = hyper_parameters(suite_of(tmp_path, text))
    assert own == {
        "one": "",
        "two": "scheduler = StepLR, step_size = 3, gamma = 0.5, loss = my.losses:focal, loss gamma = 2, "
        "loss lr = 5",
        "three": "loss = my.losses:focal, loss gamma = 2, loss lr = 5",
    }
