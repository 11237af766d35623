"""Hyper-parameters of experiments as text: those that all rows share, and each row's own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from harness.config.augmentations import AugmentationSettings
from harness.config.losses import LossSettings
from harness.config.settings import Training
from harness.config.suite import ExperimentSettings, Suite
from harness.data import DatasetSettings
from harness.strict import Strict

Key = tuple[str, str]  # section and name of a setting
_SECTIONS = ("model", "optimizer", "scheduler", "training", "loss")
_FIRST = ("optimizer", "scheduler", "batch_size", "epochs")  # of the training settings, in this order


def hyper_parameters(suite: Suite) -> tuple[str, dict[str, str]]:
    """Return the settings that are equal in all experiments, and each experiment's own."""
    keyed = {name: dict(_settings(suite.dataset, each)) for name, each in suite.experiments.items()}
    names = _names(keyed.values())
    flat = {name: {names[key]: value for key, value in row.items()} for name, row in keyed.items()}
    rows = list(flat.values())
    shared = {key for key in rows[0] if all(key in row and row[key] == rows[0][key] for row in rows)}
    own = {name: _text({k: v for k, v in row.items() if k not in shared}) for name, row in flat.items()}
    return _text({key: value for key, value in rows[0].items() if key in shared}), own


def _names(rows: Iterable[Mapping[Key, Any]]) -> dict[Key, str]:
    """Return how keys are called: by themselves, or after their section if an earlier one has them too."""
    first: dict[str, str] = {}
    keys = sorted({key for row in rows for key in row}, key=lambda key: _SECTIONS.index(key[0]))
    for section, key in keys:
        first.setdefault(key, section)
    return {(section, key): key if first[key] == section else f"{section} {key}" for section, key in keys}


def _settings(dataset: DatasetSettings, settings: ExperimentSettings) -> Iterator[tuple[Key, Any]]:
    """Yield the settings that decide a trial; training settings at their defaults are left out."""
    training = settings.training
    if dataset.resize:
        yield ("model", "image size"), dataset.resize
    for key, value in settings.model.items():
        yield ("model", "model" if key == "name" else key), value
    for section in ("optimizer", "scheduler"):
        part = getattr(training, section)
        if part is not None:
            yield ("training", section), part.name
            given = part.model_dump(exclude_defaults=True, exclude={"name"})
            yield from (((section, key), value) for key, value in given.items())
    yield ("training", "batch size"), training.batch_size
    yield ("training", "epochs"), training.epochs
    for key, field in Training.model_fields.items():
        if key not in _FIRST and (value := getattr(training, key)) != field.default:
            yield from _changed(key, value)


def _changed(key: str, value: Any) -> Iterator[tuple[Key, Any]]:
    """Yield what a training setting is called in reports, and its value, or those of its own settings."""
    words = key.replace("_", " ")
    if isinstance(value, LossSettings):
        if value.name != Training.model_fields[key].default.name:
            yield ("training", words), value.name
        given = value.model_dump(exclude_defaults=True, exclude={"name"})
        yield from ((("loss", own.replace("_", " ")), each) for own, each in given.items())
    elif isinstance(value, Strict):
        for own, each in value:
            yield ("training", f"{words} {own.replace('_', ' ')}"), each
    elif key == "augment":
        yield ("training", words), [_called(each) for each in value]
    elif key == "allow_rank_dependent":
        yield ("training", "rank-dependent"), "allowed"
    else:
        yield ("training", words), value


def _called(settings: AugmentationSettings) -> str:
    """Return an augmentation as a call: `pad_crop(padding = 4)`."""
    given = settings.model_dump(exclude_defaults=True, exclude={"name"})
    return f"{settings.name}({_text(given)})" if given else settings.name


def _text(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} = {_value(value)}" for key, value in settings.items())


def _value(value: Any) -> str:
    return ", ".join(map(str, value)).join("[]") if isinstance(value, list) else str(value)
