"""The JSON Schema of a suite: current, named in every suite, and right about them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from harness.config.json_schema import suite_schema, suite_schema_text
from tests.support import ROOT
from tests.support.golden import assert_golden

SCHEMA = ROOT / "harness" / "suite.schema.json"
SUITES = sorted((ROOT / "suites").rglob("*.yaml"))


@pytest.fixture(scope="module")
def schema() -> jsonschema.protocols.Validator:
    """Check the schema, which takes longer than to validate a suite."""
    validator = jsonschema.validators.validator_for(suite_schema())
    validator.check_schema(suite_schema())
    return validator(suite_schema())


def test_the_shipped_schema_is_current() -> None:
    assert_golden(SCHEMA.name, suite_schema_text(), SCHEMA.parent)


def properties(node: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every property below a node of the schema, with its path."""
    if isinstance(node, dict):
        for kind in ("properties", "patternProperties"):
            for name, each in node.get(kind, {}).items():
                yield f"{path}/{name}", each
        for name, each in node.items():
            yield from properties(each, f"{path}/{name}")
    elif isinstance(node, list):
        for index, each in enumerate(node):
            yield from properties(each, f"{path}/{index}")


def test_every_property_is_described_in_a_sentence() -> None:
    described = {path: each.get("description") or "" for path, each in properties(suite_schema())}
    assert len(described) > 100
    assert not [path for path, text in described.items() if not re.fullmatch(r"[A-Z]((?!\. ).)+\.", text)]


@pytest.mark.parametrize("path", SUITES, ids=lambda path: path.stem)
def test_every_shipped_suite_names_the_schema_and_fits_it(
    path: Path, schema: jsonschema.protocols.Validator
) -> None:
    text = path.read_text(encoding="utf-8")
    named = text.splitlines()[0].removeprefix("# yaml-language-server: $schema=")
    assert (path.parent / named).resolve() == SCHEMA
    schema.validate(yaml.safe_load(text))


@pytest.mark.parametrize(
    "change",
    [
        {"tabel": {}},
        {"seeds": "three"},
        {"common": {"trainig": {}}},
        {"common": {"training": {"epochs": 0}}},
        {"common": {"training": {"optimizer": {"name": "sgd"}}}},
        {"experiments": {"a/b": {}}},
        {"experiments": {"a": {"model": {"name": "patch_mixr"}}}},
        {"experiments": {"a": {"matrix": {"dataset.resize": [8]}}}},
        {"dataset": {"name": "imagenet"}},
        {"common": {"training": {"loss": {"name": "mse"}}}},
        {"common": {"training": {"loss": {"class_weights": "balance"}}}},
        {"common": {"training": {"augment": {"name": "flip"}}}},
        {"common": {"training": {"augment": [{"name": "pad_crop"}]}}},
        {"common": {"training": {"augment": [{"name": "crop", "padding": 2}]}}},
    ],
    ids=str,
)
def test_the_schema_refuses_what_the_harness_refuses(
    change: dict[str, Any], schema: jsonschema.protocols.Validator
) -> None:
    good = yaml.safe_load((ROOT / "suites" / "final.yaml").read_text(encoding="utf-8"))
    with pytest.raises(jsonschema.ValidationError):
        schema.validate({**good, **change})
