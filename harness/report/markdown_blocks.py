"""Table blocks in other Markdown files, from `<!-- harness:table NAME -->` to `<!-- /harness -->`."""

from __future__ import annotations

import re
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import UsageError

_OPENING = re.compile(r"^\ufeff? {0,3}<!-- *harness:(\S+) +(\S+) *-->\s*$")
_CLOSING = re.compile(r"^ {0,3}<!-- */harness *-->\s*$")
_MEANT = re.compile(r"^\ufeff? {0,3}<!-- *(harness *:|/ *harness)")
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")  # str.splitlines knows more ends than Markdown does
_END = "<!-- /harness -->"


@dataclass(frozen=True)
class _Block:
    name: str
    first: int  # the line after the opening one, counted from 0
    last: int  # the closing line


def text_of(path: Path) -> str:
    """Read a Markdown file with its line endings unchanged; raise UsageError if it cannot be read."""
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):  # a pipe would be waited for, a device never ends
            raise UsageError(f"{path}: found {_kind(mode)}, expected a Markdown file with a block to fill")
        return path.read_bytes().decode()
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: cannot be read: {error}; expected a Markdown file in UTF-8") from None


def _kind(mode: int) -> str:
    kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
    return kinds.get(stat.S_IFMT(mode), "a device")


def filled(text: str, name_of_file: str, table: Callable[[str], str]) -> str:
    """Return the file's text with every block filled by the table of its name.

    Raise UsageError if a block is not closed or there is none.
    """
    lines = _LINE.findall(text)
    blocks = list(_blocks(lines, name_of_file))
    if not blocks:
        raise UsageError(
            f"{name_of_file}: found no line <!-- harness:table NAME -->, expected one above {_END}, "
            "between which the table goes"
        )
    for block in reversed(blocks):
        opening = lines[block.first - 1]
        newline = opening[len(opening.rstrip("\r\n")) :]
        try:
            content = f"\n{table(block.name)}\n\n".replace("\n", newline)
        except UsageError as error:
            raise UsageError(f"{name_of_file}:{block.first}: {error}") from None
        lines[block.first : block.last] = [content]
    return "".join(lines)


def _blocks(lines: Sequence[str], name_of_file: str) -> Iterator[_Block]:
    """Yield the blocks outside code, which may show an example of one.

    What a block holds is replaced, so that a fence in it opens no code: what follows is parsed anew.
    """
    opened: _Block | None = None
    code = _code_lines(lines, 0)
    for number, line in enumerate(lines):
        if opened is None and number in code:
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
            opened, code = None, _code_lines(lines, number + 1)
        elif _MEANT.match(line):
            raise UsageError(
                f"{name_of_file}:{number + 1}: found {line.strip()!r}, expected "
                f"<!-- harness:table NAME --> or {_END}, alone on its line"
            )
    if opened is not None:
        raise _unclosed(name_of_file, opened)


def _code_lines(lines: Sequence[str], first: int) -> set[int]:
    """Return which lines are code, fenced or indented, in the document that begins at the line `first`."""
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark").disable("inline")
    tokens = parser.parse("".join(lines[first:]).removeprefix("\ufeff"))
    spans = (each.map for each in tokens if each.type in ("fence", "code_block") and each.map)
    return {first + line for span in spans for line in range(*span)}


def _unclosed(name_of_file: str, block: _Block) -> UsageError:
    return UsageError(
        f"{name_of_file}:{block.first}: found the block of {block.name!r} open, expected {_END} below"
    )
