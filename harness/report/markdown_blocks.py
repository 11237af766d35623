"""Table blocks in other Markdown files, from `<!-- harness:table NAME -->` to `<!-- /harness -->`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.errors import UsageError

_OPENING = re.compile(r"^\ufeff? {0,3}<!-- *harness:(\S+) +(\S+) *-->\s*$")
_CLOSING = re.compile(r"^ {0,3}<!-- */harness *-->\s*$")
_MEANT = re.compile(r"^\ufeff? {0,3}<!-- *(harness *:|/ *harness)")
_FENCE = re.compile(r"^ {0,3}(```+|~~~+)")
_END = "<!-- /harness -->"


@dataclass(frozen=True)
class _Block:
    name: str
    first: int  # the line after the opening one, counted from 0
    last: int  # the closing line


def text_of(path: Path) -> str:
    """Read a Markdown file with its line endings unchanged; raise UsageError if it cannot be read."""
    try:
        return path.read_bytes().decode()
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: cannot be read: {error}; expected a Markdown file in UTF-8") from None


def filled(text: str, name_of_file: str, table: Callable[[str], str]) -> str:
    """Return the file's text with every block filled by the table of its name.

    Raise UsageError if a block is not closed or there is none.
    """
    lines = text.splitlines(keepends=True)
    blocks = list(_blocks(lines, name_of_file))
    if not blocks:
        raise UsageError(
            f"{name_of_file}: found no line <!-- harness:table NAME -->, expected one above {_END}, "
            "between which the table goes"
        )
    for block in reversed(blocks):
        newline = "\r\n" if lines[block.first - 1].endswith("\r\n") else "\n"
        try:
            content = f"\n{table(block.name)}\n\n".replace("\n", newline)
        except UsageError as error:
            raise UsageError(f"{name_of_file}:{block.first}: {error}") from None
        lines[block.first : block.last] = [content]
    return "".join(lines)


def _blocks(lines: list[str], name_of_file: str) -> Iterator[_Block]:
    """Yield the blocks outside fenced code, which may show an example of one."""
    fence, opened = "", None
    for number, line in enumerate(lines):
        mark = _FENCE.match(line)
        if fence:
            is_end = mark and mark[1].startswith(fence) and not line[mark.end() :].strip()
            fence = "" if is_end else fence
            continue
        if mark and opened is None:
            fence = mark[1]
            continue
        if opening := _OPENING.match(line):
            if opened is not None:
                raise _unclosed(name_of_file, opened)
            if opening[1] != "table":
                raise UsageError(
                    f"{name_of_file}:{number + 1}: found harness:{opening[1]}, expected harness:table"
                )
            opened = _Block(opening[2], number + 1, number + 1)
        elif _CLOSING.match(line):
            if opened is None:
                raise UsageError(f"{name_of_file}:{number + 1}: found {_END} without a block that it closes")
            yield _Block(opened.name, opened.first, number)
            opened = None
        elif _MEANT.match(line):
            raise UsageError(
                f"{name_of_file}:{number + 1}: found {line.strip()!r}, expected "
                f"<!-- harness:table NAME --> or {_END}, alone on its line"
            )
    if opened is not None:
        raise _unclosed(name_of_file, opened)


def _unclosed(name_of_file: str, block: _Block) -> UsageError:
    return UsageError(
        f"{name_of_file}:{block.first}: found the block of {block.name!r} open, expected {_END} below"
    )
