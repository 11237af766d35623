"""Kept code: the sources of user code beside the records, once per hash, for reviewers.

`results/.code/<hash>/` holds the modules that are text and not too large, and `index.json`, which lists all.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import uuid
from pathlib import Path

from harness.errors import StoreError
from harness.results.user_code_hash import UserCode

FOLDER = ".code"
INDEX = "index.json"
MOST_BYTES_A_FILE = 512 * 1024
MOST_BYTES = 4 * 1024 * 1024


def keep(root: Path, code: UserCode) -> str:
    """Write the sources unless they exist; return a message on what was left out, empty if nothing was.

    Raise StoreError if they cannot be written.
    """
    folder = root / FOLDER / code.hash
    if (folder / INDEX).exists():
        return ""
    kept, left_out = _sorted_out(code)
    index = {
        "user_code": code.hash,
        "callables": list(code.callables),
        "modules": code.digests,
        "distributions": code.sources.distributions,
        "left_out": left_out,
    }
    files = {**kept, INDEX: (json.dumps(index, indent=1) + "\n").encode()}
    try:
        _place_folder(folder, files)
    except OSError as error:
        raise StoreError(
            f"{folder}: the user's code cannot be kept there: {error.strerror}; make room or choose --results"
        ) from error
    if not left_out:
        return ""
    named = ", ".join(f"{path} ({why})" for path, why in list(left_out.items())[:5])
    more = f" and {len(left_out) - 5} more, see {INDEX}" if len(left_out) > 5 else ""
    return f"{folder}: kept without {named}{more}"


def _sorted_out(code: UserCode) -> tuple[dict[str, bytes], dict[str, str]]:
    """Return the files to keep, and why others are left out; the callables' own modules come first."""
    own = {each.partition(":")[0].replace(".", "/") for each in code.callables}
    paths = sorted(code.sources.files, key=lambda path: (path.rpartition(".")[0] not in own, path))
    kept: dict[str, bytes] = {}
    left_out: dict[str, str] = {}
    size = 0
    for path in paths:
        content = code.sources.files[path]
        if not _is_text(content):
            left_out[path] = "not text"
        elif len(content) > MOST_BYTES_A_FILE or size + len(content) > MOST_BYTES:
            left_out[path] = f"{len(content):,} bytes"
        else:
            kept[path] = content
            size += len(content)
    return kept, left_out


def _is_text(content: bytes) -> bool:
    return b"\0" not in content


def _place_folder(folder: Path, files: dict[str, bytes]) -> None:
    """Create the folder with all its files at once; the first of several writers wins."""
    temporary = folder.with_name(f".{folder.name[:16]}.{os.getpid()}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        for path, content in files.items():
            place = temporary / path
            place.parent.mkdir(parents=True, exist_ok=True)
            with place.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        try:
            temporary.rename(folder)
        except OSError:
            if not (folder / INDEX).exists():
                raise
    finally:
        with contextlib.suppress(OSError):
            shutil.rmtree(temporary)
