"""`harness models`: the models that there are, and those of a suite layer by layer."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness import model_registry
from harness.cli.options import Changes, DataDir
from harness.cli.suites import load
from harness.config.suite import Suite
from harness.errors import UsageError
from harness.formatting import columns
from harness.model_libraries import LIBRARIES

if TYPE_CHECKING:
    from harness.training.model_summary import ModelSummary

_FLOPS = "FLOPs per image, of products and convolutions: a multiplication and an addition are two"

OneSuite = Annotated[
    Path | None,
    typer.Argument(
        help="A suite, as for `run`. Default: list the models that there are.", show_default=False
    ),
]


def models(suite: OneSuite = None, changes: Changes = None, data_dir: DataDir = None) -> None:
    """List the models that there are, or show those of a suite: parameters, FLOPs and outputs by layer."""
    if suite is None and changes:
        raise UsageError("--set: expected the file of a suite beside it")
    texts = [_known_models()] if suite is None else _models_of(load(suite, changes), data_dir)
    for text in texts:
        print(text)  # noqa: T201


def _known_models() -> str:
    rows: list[tuple[str, str]] = []
    for name in model_registry.shipped():
        declared = model_registry.declared_settings(name).items()
        settings = [f"{key} = {each['default']}" if "default" in each else key for key, each in declared]
        rows += [(name, model_registry.summary(name)), ("", f"settings: {', '.join(settings) or 'none'}")]
    rows += [(f"{each.name}:NAME", each.description) for each in LIBRARIES]
    return columns([*rows, ("package.module:callable", "A model of your own: see docs/models.md.")])


def _models_of(suite: Suite, data_dir: Path | None) -> Iterator[str]:
    """Yield a text for each different model of the suite."""
    from harness import data
    from harness.training.model_summary import summary_of

    dataset = data.load(suite.dataset, data_dir, os.environ, say=lambda text: print(text, file=sys.stderr))  # noqa: T201
    experiments: dict[tuple[str, int], list[str]] = {}
    for experiment, settings in suite.experiments.items():
        outputs = settings.training.loss.outputs(dataset.num_classes)
        experiments.setdefault((json.dumps(settings.model), outputs), []).append(experiment)
    shape = " × ".join(map(str, dataset.image_shape))
    given = f"images of {shape}" if len(dataset.image_shape) == 3 else f"{shape} features"
    yield f"{suite.folder}: {given}, {dataset.num_classes} classes\n{_FLOPS}"
    for (text, outputs), names in experiments.items():
        model = json.loads(text)
        found = summary_of(model, dataset.image_shape, outputs)
        yield "\n" + model_text(f"{', '.join(names)}: {model['name']}", found)


def model_text(heading: str, found: ModelSummary) -> str:
    """Return a model's layers as a table, with what they are in all."""
    counts = [
        ("parameters", "FLOPs"),
        *((_count(each.parameters), _count(each.flops)) for each in found.layers),
    ]
    counts.append((_count(found.parameters), _count(found.flops)))
    widths = [max(map(len, column)) for column in zip(*counts, strict=True)]
    aligned = [[cell.rjust(width) for cell, width in zip(row, widths, strict=True)] for row in counts]
    named = [("layer", "type", "output")]
    named += [(each.name or "(the model)", each.kind, each.shape) for each in found.layers]
    named.append(("in all", "", ""))
    rows = [[*start, *end] for start, end in zip(named, aligned, strict=True)]
    return f"{heading}\n{columns(rows)}\nforward and backward: {found.training_flops:,} FLOPs"


def _count(number: int) -> str:
    return f"{number:,}" if number else "–"
