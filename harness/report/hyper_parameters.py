"""Hyper-parameters of experiments as text: those that all rows share, and each row's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.config.augmentations import AugmentationSettings
from harness.config.suite import ExperimentSettings, Suite
from harness.data import DatasetSettings


def hyper_parameters(suite: Suite) -> tuple[str, dict[str, str]]:
    """Return the settings that are equal in all experiments, and each experiment's own."""
    flat = {name: _flat(suite.dataset, settings) for name, settings in suite.experiments.items()}
    rows = list(flat.values())
    shared = {key for key in rows[0] if all(key in row and row[key] == rows[0][key] for row in rows)}
    own = {name: _text({k: v for k, v in row.items() if k not in shared}) for name, row in flat.items()}
    return _text({key: value for key, value in rows[0].items() if key in shared}), own


def _flat(dataset: DatasetSettings, settings: ExperimentSettings) -> dict[str, Any]:
    """Return the settings that decide a trial by their names in reports; defaults of parts are left out."""
    training = settings.training
    flat: dict[str, Any] = {"image size": dataset.resize} if dataset.resize else {}
    flat |= {"model" if key == "name" else key: value for key, value in settings.model.items()}
    for section in ("optimizer", "scheduler"):
        part = getattr(training, section)
        if part is not None:
            flat[section] = part.name
            given = part.model_dump(exclude_defaults=True, exclude={"name"})
            flat |= {key if key not in flat else f"{section} {key}": value for key, value in given.items()}
    flat |= {"batch size": training.batch_size, "epochs": training.epochs}
    if training.precision != "fp32":
        flat["precision"] = training.precision
    if training.augment:
        flat["augment"] = [_called(each) for each in training.augment]
    if training.loss.name != "cross_entropy":
        flat["loss"] = training.loss.name
    of_loss = training.loss.model_dump(exclude_defaults=True, exclude={"name"})
    flat |= {key.replace("_", " "): value for key, value in of_loss.items()}
    if training.allow_rank_dependent:
        flat["rank-dependent"] = "allowed"
    return flat


def _called(settings: AugmentationSettings) -> str:
    """Return an augmentation as a call: `pad_crop(padding = 4)`."""
    given = settings.model_dump(exclude_defaults=True, exclude={"name"})
    return f"{settings.name}({_text(given)})" if given else settings.name


def _text(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} = {_value(value)}" for key, value in settings.items())


def _value(value: Any) -> str:
    return ", ".join(map(str, value)).join("[]") if isinstance(value, list) else str(value)
