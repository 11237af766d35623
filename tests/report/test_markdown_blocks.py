"""Blocks of Markdown files: filled with tables, everything else left as it is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.report.markdown_blocks import filled, text_of


def table(name: str) -> str:
    return f"| {name} |\n| --- |"


BLOCK = "<!-- harness:table one -->\nold\n<!-- /harness -->"


def test_a_block_is_filled_and_the_rest_is_left() -> None:
    text = filled(f"# Title\n\n{BLOCK}\nafter  \n\n{BLOCK.replace('one', 'two')}", "a.md", table)
    assert text == (
        "# Title\n\n<!-- harness:table one -->\n\n| one |\n| --- |\n\n<!-- /harness -->\nafter  \n\n"
        "<!-- harness:table two -->\n\n| two |\n| --- |\n\n<!-- /harness -->"
    )


def test_filling_twice_changes_nothing() -> None:
    once = filled(BLOCK, "a.md", table)
    assert filled(once, "a.md", table) == once


def test_ends_of_lines_stay_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    path.write_bytes(f"a\n{BLOCK}\n".replace("\n", "\r\n").encode())
    text = filled(text_of(path), "a.md", table)
    assert text.count("\r\n") == text.count("\n") == 7


def test_code_that_shows_a_block_is_left() -> None:
    text = f"```md\n{BLOCK}\n```\n\n~~~~\n{BLOCK}\n~~~\n~~~~\n{BLOCK}\n"
    assert filled(text, "a.md", table).count("| one |") == 1


def test_only_a_bare_fence_ends_code() -> None:
    shown = f"```\n```md\n{BLOCK}\n```\n"
    assert filled(shown + BLOCK, "a.md", table) == shown + filled(BLOCK, "a.md", table)


def test_fences_in_a_table_end_no_block() -> None:
    text = BLOCK.replace("old", "```") + "\nafter\n" + BLOCK
    assert filled(text, "a.md", table).count("| one |") == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nothing", "a.md: found no line <!-- harness:table NAME -->"),
        ("x\n<!-- harness:table one -->\n", "a.md:2: found the block of 'one' open"),
        (f"<!-- harness:table one -->\n{BLOCK}", "a.md:1: found the block of 'one' open"),
        ("<!-- /harness -->\n", "a.md:1: found <!-- /harness --> without a block"),
        (BLOCK.replace("\n", ""), "a.md:1: found '<!-- harness:table one -->old<!-- /harness -->', expected"),
        (f"x\n<!-- harness:table -->\n{BLOCK}", "a.md:2: found '<!-- harness:table -->', expected"),
        (
            "<!-- harness: table one -->\n<!-- /harness -->",
            "a.md:1: found '<!-- harness: table one -->', exp",
        ),
        ("<!-- harness:figure one -->\n<!-- /harness -->", "a.md:1: found harness:figure, expected"),
    ],
)
def test_a_mistake_is_told_with_its_line(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        filled(text, "a.md", table)


def test_a_mark_of_the_order_of_bytes_hides_no_block() -> None:
    assert filled(f"\ufeff{BLOCK}", "a.md", table).startswith("\ufeff<!-- harness:table one -->\n\n| one |")


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    path.write_bytes(b"\xff")
    for each in (path, tmp_path / "none.md", tmp_path / ("x" * 300), Path("a\0b")):
        with pytest.raises(UsageError, match="cannot be read"):
            text_of(each)


TICKS = "`" * 3


@pytest.mark.parametrize(
    "before",
    [
        f"{TICKS}inline code{TICKS} begins this line.",
        f"{TICKS}a `b` c{TICKS}",
        f"`` {TICKS} `` begins this line.",
        f"{TICKS}python`",
        f"- {TICKS}\n  code in a list\n  {TICKS}\n",
        f"1. {TICKS}\n   code in a list\n   {TICKS}\n",
        f"> {TICKS}\n> code in a quotation, which ends with it",
        f"    {TICKS} indented code\n",
        f"\t{TICKS} indented code\n",
        f"<!--\n{TICKS}\n-->",
        f"<pre>\n{TICKS}\n</pre>",
        f"~~~ {TICKS}\ncode\n~~~",
        f"{TICKS}`\n{TICKS}\n~~~\n{TICKS}`",
        f"{TICKS}\n<!--\n{TICKS}",
        f"{TICKS}\n    {TICKS}\n{TICKS}",
        "Text\u2028" + TICKS,
        "Text\x0b" + TICKS,
        f"\\{TICKS}",
    ],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_a_block_is_seen_below_what_is_no_open_code(before: str, newline: str) -> None:
    text = f"{BLOCK}\n\n{before}\n{BLOCK.replace('one', 'two')}\n".replace("\n", newline)
    found = filled(text, "a.md", table)
    assert found.count("| two |") == found.count("| one |") == 1
    assert f"{before}\n".replace("\n", newline) in found
    assert "old" not in found


@pytest.mark.parametrize(
    ("opening", "closing"),
    [
        (TICKS, TICKS),
        (f"{TICKS}md", TICKS),
        (f"   {TICKS}`", f"  {TICKS}``"),
        ("~~~ a`b", "~~~~"),
        (f"{TICKS}\n~~~", TICKS),
        (f"~~~\n{TICKS}", "~~~"),
        (f"{TICKS}\n-->", TICKS),
        (f"- {TICKS}", f"  {TICKS}"),
    ],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_block_in_code_is_an_example(opening: str, closing: str, newline: str) -> None:
    example = BLOCK if not opening.startswith("-") else BLOCK.replace("\n", "\n  ").replace("<", "  <", 1)
    text = f"{opening}\n{example}\n{closing}\n{BLOCK.replace('one', 'two')}".replace("\n", newline)
    found = filled(text, "a.md", table)
    assert (found.count("| one |"), found.count("| two |")) == (0, 1)


def test_only_a_regular_file_is_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, kind in (
        (tmp_path, "a folder"),
        (tmp_path / "pipe", "a pipe"),
        (Path("/dev/zero"), "a device"),
    ):
        with pytest.raises(UsageError, match=f"found {kind}, expected a Markdown file"):
            text_of(path)
    (tmp_path / "a.md").write_text("text")
    (tmp_path / "link.md").symlink_to("a.md")
    assert text_of(tmp_path / "link.md") == "text"
