"""Names of the files that the harness makes beside a record, by exact pattern; other files are a user's."""

from __future__ import annotations

import re

_STEM = r"seed-\d+-[0-9a-f]{8}"
_RECORD = re.compile(rf"(?P<stem>{_STEM})(\.attempt-\d+)?\.json")
_PASSING = re.compile(rf"(?P<stem>{_STEM})\.(checkpoint-[12]|claim-\d+|attempt-\d+\.json)")
# As `atomic_files` names it: the file's own name, then host, process and eight random digits.
_TEMPORARY = re.compile(
    rf"\.(?P<stem>{_STEM})\.(json|weights\.pt|checkpoint-[12]|claim-\d+|attempt-\d+\.json)"
    r"\..+\.\d+\.[0-9a-f]{8}\.tmp"
)


def is_record(name: str) -> bool:
    """Return whether this is the name of a record, done or not."""
    return _RECORD.fullmatch(name) is not None


def stem_of_temporary(name: str) -> str:
    """Return the stem of the record whose trial has this temporary file; empty for any other name."""
    found = _TEMPORARY.fullmatch(name)
    return found["stem"] if found else ""


def stem_of_passing(name: str) -> str:
    """Return the stem of the record that makes this file of its trial useless; empty for any other name."""
    found = _PASSING.fullmatch(name) or _TEMPORARY.fullmatch(name)
    return found["stem"] if found else ""
