"""The suite reference: docs/suite_reference.md is what the command prints, and its links lead somewhere."""

from __future__ import annotations

import re

import pytest

from harness.config.json_schema import suite_schema
from harness.config.reference import suite_reference
from tests.config.test_json_schema import properties
from tests.support import ROOT
from tests.support.commands import call
from tests.support.golden import assert_golden


def test_the_page_is_what_the_command_prints(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, text, _ = call(("schema", "--markdown"), monkeypatch, capsys)
    assert code == 0
    assert_golden("suite_reference.md", text, ROOT / "docs")


def test_every_property_of_the_schema_has_one_row() -> None:
    names = [path.rpartition("/")[2] for path, _ in properties(suite_schema())]
    rows = re.findall(r"^\| `(.+?)` \|", suite_reference(), re.MULTILINE)
    assert sorted(rows) == sorted(name for name in names if name.isidentifier())  # not a pattern


def test_its_links_lead_to_headings() -> None:
    text = suite_reference()
    headings = re.findall(r"^##+ (.*)$", text, re.MULTILINE)
    anchors = [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings]
    assert len(set(anchors)) == len(anchors)
    assert set(re.findall(r"\]\(#(.*?)\)", text)) <= set(anchors)
