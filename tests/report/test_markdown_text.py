"""Texts of users in Markdown: what a reader sees is what they wrote, in one cell, heading or sentence."""

from __future__ import annotations

import html
import random
import re

import pytest
from markdown_it import MarkdownIt

from harness.markdown import escaped, table
from harness.report import latex
from harness.report.columns import Cell
from harness.report.markdown import body, document
from harness.report.table import Table

PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
TEXTS = [
    "a | b <b> \\ `c` *d*",
    "<!-- /harness -->",
    "<script>alert(1)</script>",
    "5 < 6 > 4 & 3 &amp; &lt; &#60;",
    "__init__ _draft_ patch_size a_ _b ~~gone~~ ~x~",
    "[a](b) ![a](b) [^1] [a][b] hidden = [64]",
    "Title #",
    "Title ##",
    "# Title",
    "back\\",
    "back\\| pipe",
    "\\\\|",
    "a\\`b\\`",
    "**bold**",
    "$x$ costs 5 $",
    "- item",
    "1. one",
    "> quoted",
    "```",
    "|",
    "é_à_",
]


def seen(markdown: str) -> list[str]:
    """Return the texts of headings, paragraphs and cells as a reader sees them."""
    found = re.findall(r"<(h2|p|t[hd])>(.*?)</\1>", PARSER.render(markdown), re.DOTALL)
    return [html.unescape(re.sub(r"</?(strong|br)[^>]*>", "", text)).replace("\n", " ") for _, text in found]


def table_of(text: str) -> Table:
    table = Table(text, "small", [text, "b"], [[Cell(text), Cell(text, bold=True, after=f"; {text}")]])
    table.source += [f"Source: {text}.", "Made."]
    return table


@pytest.mark.parametrize("text", TEXTS)
def test_a_reader_sees_what_was_written(text: str) -> None:
    found = seen(document(table_of(text)))
    assert found == [text, text, "b", text, f"{text}; {text}", f"Source: {text}. Made."]


def test_any_text_is_seen_as_written() -> None:
    letters, draw = "aB1 _*`~|<>[]()!&#\\$;:.-+=\"'{}^é", random.Random(1)
    for _ in range(3000):
        text = " ".join("".join(draw.choices(letters, k=draw.randint(1, 12))).split())
        if text and "://" not in text:
            assert seen(table([f"x{escaped(text)}x", "b"], []))[0] == f"x{text}x", text


def test_lines_become_one() -> None:
    text = "Two\nlines\r\n\n| and | a table"
    assert document(table_of(text)).startswith("## Two lines \\| and \\| a table\n\n| Two lines")
    assert r"\caption{Two lines | and | a table}" in latex.document(table_of(text))


def test_addresses_stay_addresses() -> None:
    for address in ("https://example.org/a_b_/c", "http://example.org/_x_?a=b&c;"):
        assert address in body(table_of(f"see {address} and _x_"))
        assert r"\_x\_" in body(table_of(f"see {address} and _x_"))
    assert "\\|" in escaped("https://example.org/a|b")


def test_what_needs_no_escape_has_none() -> None:
    plain = "hidden = [64], weight_decay = 0.0001, 87.23 % ± 0.11 % (3), ″, –, DIFFERS ↑"
    assert escaped(plain) == plain
