"""JSON Schema of the suite file, with which editors complete and check it."""

from __future__ import annotations

import json
from typing import Any

from harness import model_registry
from harness.config.augmentations import AUGMENTATIONS
from harness.config.loader import SuiteFile
from harness.config.settings import Training, model_settings
from harness.config.suite import ExperimentSettings
from harness.model_libraries import LIBRARIES, Library
from harness.registry import OWN_PATTERN, title_of

_REF = "#/$defs/{model}"


def suite_schema() -> dict[str, Any]:
    """Return the schema; sections merged by `common` and `extends` need not be complete by themselves."""
    schema = SuiteFile.model_json_schema(ref_template=_REF)
    training = Training.model_json_schema(ref_template=_REF)
    definitions = {**training.pop("$defs"), "Training": training}
    definitions |= {name: model_settings(name).model_json_schema() for name in model_registry.shipped()}
    libraries = [_library_model(each) for each in LIBRARIES]
    definitions["Model"] = {"anyOf": [*_references(model_registry.shipped()), *libraries, _user_model()]}
    sections = {
        name: {"$ref": f"#/$defs/{name.capitalize()}", "description": field.description}
        for name, field in ExperimentSettings.model_fields.items()
    }
    definitions["Overrides"] = {
        "title": "Overrides",
        "description": "One experiment: settings merged over `common`, none if it is empty.",
        "type": ["object", "null"],
        "additionalProperties": False,
        "properties": {**sections, "matrix": _matrix()},
    }
    of_lists = {title_of(each) for each in AUGMENTATIONS}  # a list is replaced as a whole
    for definition in definitions.values():
        if definition.get("title") not in of_lists:
            definition.pop("required", None)
    properties = schema["properties"]
    for section in [*training["properties"].values(), properties["dataset"]]:
        _open_union(section)
    properties["common"] |= {"default": {}, "additionalProperties": False, "properties": sections}
    experiments = properties["experiments"]
    own = {"$ref": "#/$defs/Overrides", "description": definitions["Overrides"]["description"]}
    experiments["patternProperties"] = dict.fromkeys(experiments["patternProperties"], own)
    experiments["additionalProperties"] = False
    required = schema.pop("required")
    schema["$defs"] = {**schema["$defs"], **definitions}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "required": ["suite"],
        "anyOf": [{"required": ["extends"]}, {"required": required}],
    }


def suite_schema_text() -> str:
    """Return the schema as text, as shipped in `suite.schema.json`."""
    return json.dumps(suite_schema(), indent=2, sort_keys=True) + "\n"


def _references(names: list[str]) -> list[dict[str, str]]:
    return [{"$ref": f"#/$defs/{name}"} for name in names]


def _library_model(library: Library) -> dict[str, Any]:
    name = {
        "description": f"Name of the model: `{library.name}:` and its name there.",
        "type": "string",
        "pattern": rf"^{library.name}:\w+$",
    }
    return {
        "title": library.name,
        "description": library.description,
        "type": "object",
        "properties": {"name": name, **library.extra},
        "required": ["name"],
    }


def _user_model() -> dict[str, Any]:
    name = {
        "description": "Callable that builds the model, as `package.module:callable`.",
        "type": "string",
        "pattern": OWN_PATTERN,
    }
    return {
        "title": "your own",
        "description": "A model of your own; keys other than `name` are keyword arguments of the callable.",
        "type": "object",
        "properties": {"name": name},
        "required": ["name"],
    }


def _matrix() -> dict[str, Any]:
    values = {
        "description": "Values of the setting with this dotted key.",
        "type": "array",
        "minItems": 1,
    }
    return {
        "description": "Grid of values by dotted key, such as `training.optimizer.lr`: each combination "
        "becomes an experiment.",
        "default": {},
        "type": "object",
        "patternProperties": {r"^(model|training)\.": values},
        "additionalProperties": False,
    }


def _open_union(section: dict[str, Any]) -> None:
    """Accept a section without its `name`: it may only change a setting of an inherited section."""
    section.get("items", {}).pop("discriminator", None)
    section.pop("discriminator", None)
    if "oneOf" in section:
        section["anyOf"] = section.pop("oneOf")
    for part in section.get("anyOf", []):
        _open_union(part)
    if any(part.keys() == {"anyOf"} for part in section.get("anyOf", [])):  # a union within the union
        parts = (part["anyOf"] if part.keys() == {"anyOf"} else [part] for part in section["anyOf"])
        section["anyOf"] = [each for part in parts for each in part]
