"""Suite loader: checks what a file says, expands matrices, applies `--set`; reports all mistakes at once."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Discriminator, Field, Tag

from harness import model_registry
from harness.config import suite_file
from harness.config.any_dataset import AnyDataset
from harness.config.overrides import Assignment, expand, merged, with_leaf
from harness.config.published import Published
from harness.config.published_curves import published_curves
from harness.config.settings import model_settings
from harness.config.suite import (
    EXPERIMENT_NAME,
    Choose,
    ExperimentName,
    ExperimentSettings,
    SeedRule,
    Seeds,
    Suite,
    SuiteName,
    TableSettings,
)
from harness.config.suite_text import folder_of
from harness.config.validation import Checker
from harness.config.yaml_reader import Document, KeyPath
from harness.data.kinds import BY_NAME
from harness.errors import SuiteError, nearest
from harness.plugins import is_callable_path
from harness.strict import Strict

# Files beside the experiments' folders; no experiment may have such a name.
_TAKEN = (
    "suite.json",
    *(f"table.{kind}" for kind in ("md", "tex", "csv")),
    "epochs.csv",
    *(f"comparison.{kind}" for kind in ("svg", "png")),
)


def _not_empty(value: Any) -> Any:
    if value is None or value in ({}, []):
        raise ValueError("none, expected one or more, such as `exp-1: {model: {…}, training: {…}}`")
    return value


Overrides = Annotated[dict[str, Any], BeforeValidator(lambda value: {} if value is None else value)]
SeedsOrRule = Annotated[
    Annotated[SeedRule, Tag("SeedRule")] | Annotated[Seeds, Tag("seeds")],
    Discriminator(lambda value: "SeedRule" if isinstance(value, dict | SeedRule) else "seeds"),
]


class SuiteFile(Strict):
    """Keys of a suite, a YAML file with the experiments of one table."""

    suite: SuiteName = Field(
        description="Name of the suite and of its results folder: up to 64 letters, digits, `.`, `_` and "
        "`-`, a letter or digit first."
    )
    extends: str | None = Field(
        default=None,
        description="Path of a suite to inherit from, relative to this file; keys given here are merged over "
        "its keys.",
    )
    title: str = Field(description="Heading of the table.")
    dataset: AnyDataset = Field(description="Dataset of all experiments.")
    seeds: SeedsOrRule = Field(
        description="Seeds of every experiment: a count n for seeds 1 to n (at most 1000), a list of seeds "
        "from 0 to 2³² − 1, or a rule for their number."
    )
    common: Overrides = Field(
        default_factory=dict, description="Settings that all experiments share, unless they have their own."
    )
    experiments: Annotated[
        dict[ExperimentName, Overrides], Field(min_length=1), BeforeValidator(_not_empty)
    ] = Field(
        description="Experiments by name: up to 100 letters, digits and characters of `._=,+-`, a letter or "
        "digit first."
    )
    published: Published | None = Field(
        default=None, description="Figures that somebody else reported, to compare with."
    )
    table: TableSettings = Field(default=TableSettings(), description="Layout of the table and the report.")
    choose: Choose | None = Field(
        default=None, description="How one of the experiments is chosen, which the table then says."
    )


def load_suite(path: Path, assignments: Sequence[Assignment] = ()) -> Suite:
    """Read the suite at `path` and apply `assignments`; raise SuiteError with all its mistakes.

    The path `-` stands for standard input.
    """
    document, known = suite_file.read(path)
    checker = Checker(document, assignments)
    data = dict(document.data)
    data["dataset"] = _dataset(document, assignments)
    file = checker.check(SuiteFile, data, [()])
    experiments = dict(_experiments(data, checker, assignments))
    _check_distinct(experiments, checker)
    curves = published_curves(data, experiments, checker)
    if checker.mistakes:
        raise SuiteError(checker.mistakes)
    assert file is not None
    rule, seeds = _rule_and_seeds(file.seeds)
    said = {
        "suite": file.suite,
        "title": file.title,
        "dataset": file.dataset,
        "seeds": seeds,
        "seed_rule": rule,
        "experiments": experiments,
        "published": file.published,
        "curves": curves,
        "table": file.table,
        "choose": file.choose,
    }
    changed = {".".join(each.path): each.value for each in assignments}
    return Suite(**{**said, **known, "changed": {**known.get("changed", {}), **changed}})


def _rule_and_seeds(given: SeedRule | list[int]) -> tuple[SeedRule | None, list[int]]:
    return (given, list(range(1, given.at_most + 1))) if isinstance(given, SeedRule) else (None, given)


def _dataset(document: Document, assignments: Sequence[Assignment]) -> Any:
    """Return the dataset, its paths relative to the current folder, not to the file that names them."""
    dataset = _assigned(document.data.get("dataset"), "dataset", assignments)
    kind = BY_NAME.get(str(dataset.get("name"))) if isinstance(dataset, dict) else None
    assigned = {each.path for each in assignments}
    for key in kind.paths if kind else ():
        place = document.places.get(("dataset", key))
        if place and ("dataset", key) not in assigned and isinstance(dataset.get(key), str):
            folder = folder_of(Path(place.rpartition(":")[0]))
            dataset = {**dataset, key: os.path.normpath(folder / dataset[key])}
    return dataset


def _assigned(data: Any, section: str, assignments: Sequence[Assignment]) -> Any:
    for each in assignments:
        if each.path[0] == section:
            data = with_leaf(data, each.path[1:], each.value)
    return data


def _experiments(
    data: Mapping[str, Any], checker: Checker, assignments: Sequence[Assignment]
) -> Iterator[tuple[str, ExperimentSettings]]:
    """Yield each well-formed experiment; add the mistakes of the others to `checker`."""
    common = data.get("common") or {}
    given = data.get("experiments")
    names: set[str] = set()
    for origin, overrides in given.items() if isinstance(given, dict) else ():
        if not (isinstance(common, dict) and isinstance(overrides, dict | None)):
            continue  # reported already, by the check of SuiteFile
        own = dict(overrides or {})
        matrix = own.pop("matrix", {})
        layers: list[KeyPath] = [("common",), ("experiments", origin)]
        for name, leaves in _expanded(origin, matrix, checker):
            if name in names:
                checker.add(("experiments", origin), f"found a second experiment {name!r}; rename one", [()])
            elif name in _TAKEN:
                checker.add(("experiments", origin), f"found {name!r}, a file of results; rename it", [()])
            names.add(name)
            settings = merged(common, own)
            for path, value in leaves.items():
                settings = with_leaf(settings, path, value)
            for section in ("model", "training"):
                if section in settings or any(each.path[0] == section for each in assignments):
                    settings[section] = _assigned(settings.get(section), section, assignments)
            resolved = checker.check(ExperimentSettings, settings, layers)
            checked = _check_model(settings.get("model"), layers, checker)
            if resolved is not None and checked is not None:
                yield name, resolved.model_copy(update={"model": checked})


def _expanded(origin: str, matrix: Any, checker: Checker) -> Iterator[tuple[str, dict[tuple[str, ...], Any]]]:
    at: KeyPath = ("experiments", origin, "matrix")
    if not isinstance(matrix, dict):
        checker.add(at, f"found {matrix!r}, expected dotted keys, each with a list of values", [()])
        return
    good = True
    for key, values in matrix.items():
        if key.split(".")[0] not in ("model", "training") or "." not in key:
            known = ("model.…", "training.…")
            checker.add((*at, key), f"unknown key {key!r}; {nearest(key, known)}", [()])
            good = False
        if not (isinstance(values, list) and values):
            checker.add((*at, key), f"found {values!r}, expected a list of values", [()])
            good = False
    if good:
        rows = list(expand(origin, matrix))
        names = Counter(name for name, _ in rows)
        for name, count in names.items():
            if matrix and (count > 1 or not re.fullmatch(EXPERIMENT_NAME, name)):
                wanted = "rows of different names" if count > 1 else f"names that match {EXPERIMENT_NAME!r}"
                checker.add(at, f"found the row {name!r}, expected {wanted}; write such rows out", [()])
                return
        yield from rows


def _check_model(data: Any, layers: Sequence[KeyPath], checker: Checker) -> dict[str, Any] | None:
    if not isinstance(data, dict):
        return None
    name = data.get("name")
    if isinstance(name, str) and name in model_registry.shipped():
        checked = checker.check(model_settings(name), data, layers, at=("model",))
        return None if checked is None else checked.model_dump()
    if isinstance(name, str) and is_callable_path(name):
        return data
    if name is None:
        checker.add(("model",), "the key 'name' is missing; it selects the kind", layers)
    else:
        known = nearest(name, model_registry.shipped())
        others = "or torchvision:NAME, timm:NAME, or your own package.module:callable"
        checker.add(("model", "name"), f"found {name!r}; {known}, {others}", layers)
    return None


def _check_distinct(experiments: Mapping[str, ExperimentSettings], checker: Checker) -> None:
    seen: dict[Hashable, str] = {}
    for name, settings in experiments.items():
        twin = seen.setdefault(_hashable(settings.model_dump()), name)
        if twin != name:
            text = f"the same settings as {twin!r}; change one of the two or take it out"
            checker.add(("experiments", name), text, [()])


def _hashable(value: Any) -> Hashable:
    """Return a hashable equivalent, equal for equal values."""
    if isinstance(value, dict):
        return frozenset((key, _hashable(each)) for key, each in value.items())
    return tuple(map(_hashable, value)) if isinstance(value, list) else value
