"""Commands that train an experiment again, or its unfinished trials only."""

from __future__ import annotations

import json
import shlex
from typing import Any

from harness.config import packaged_suite
from harness.report.aggregate import Row, SuiteResults


def again(contents: SuiteResults, row: Row) -> str:
    """Return the command that trains all of it again, in another folder: no done record is replaced."""
    return _command(contents, row, "--results", "results-again")


def rest(contents: SuiteResults, row: Row) -> str | None:
    """Return the command that trains the trials that are not done; None if a run would train nothing."""
    seeds = [each.seed for each in row.entries if each.state in ("left", "failed", "diverged")]
    if not seeds:
        return None
    retry = ["--retry-diverged"] if any(each.state == "diverged" for each in row.entries) else []
    return _command(contents, row, "--seeds", ",".join(map(str, seeds)), *retry)


def _command(contents: SuiteResults, row: Row, *options: str) -> str:
    suite = contents.suite
    source = suite.source.path if suite.source else None
    is_packaged = source is not None and packaged_suite.is_packaged(source)
    file = packaged_suite.NAME if is_packaged else f"{suite.suite}.yaml"
    words = ["harness", "run", file, "--only", row.name]
    for key, value in suite.changed.items():
        words += ["--set", f"{key}={_yaml(value)}"]
    return shlex.join([*words, *options])


def _yaml(value: Any) -> str:
    """Format a value as `--set` reads it."""
    if isinstance(value, float) and "e" in (text := repr(value)):
        mantissa, exponent = text.split("e")
        return f"{float(mantissa)}e{exponent}"  # without a dot, YAML reads text
    if isinstance(value, list):
        return f"[{', '.join(map(_yaml, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{json.dumps(key)}: {_yaml(each)}' for key, each in value.items())}}}"
    return json.dumps(value)
