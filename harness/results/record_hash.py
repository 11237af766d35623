"""Hash over the other fields of a record, which reveals accidental changes; it does not stop a cheat.

It is the SHA-256 of the JSON that Python's `json.dumps(record, indent=1)` writes without the field.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

KEY = "sha256"
_TAIL = re.compile(rf',\n "{KEY}": "([0-9a-f]{{64}})"\n\}}\n\Z')


def with_hash(fields: Mapping[str, Any]) -> str:
    """Return a record's text: its fields as JSON, the hash last."""
    text = json.dumps(fields, indent=1, allow_nan=False)
    return f'{text[:-2]},\n "{KEY}": "{_sha256(text)}"\n}}\n'


def without_hash(text: str) -> str:
    """Return the JSON of a record without its hash; raise ValueError if the hash does not match.

    Records of earlier versions have no hash. The file's spaces and line ends make no difference.
    """
    if found := _TAIL.search(text, max(0, len(text) - 100)):  # as written: nothing needs to be parsed
        rest = f"{text[: found.start()]}\n}}"
        if _sha256(rest) == found[1]:
            return rest
    if f'"{KEY}"' not in text:
        return text
    fields = json.loads(text)
    if not isinstance(fields, dict) or KEY not in fields:
        return text
    told = fields.pop(KEY)
    rest = json.dumps(fields, indent=1)
    if _sha256(rest) != told:
        raise ValueError(
            f"its content is not what was recorded: found the {KEY} {str(told)[:8]}…, expected "
            f"{_sha256(rest)[:8]}… for its content; restore the file from a copy"
        )
    return rest


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
