"""What the README shows is right: its suite, its map, its links."""

from __future__ import annotations

import re
from pathlib import Path

from harness.config.loader import load_suite
from tests.support import ROOT
from tests.test_imports import LEVELS

TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


def test_its_suite_is_right(tmp_path: Path) -> None:
    (example,) = re.findall(r"^```yaml\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    path = tmp_path / "my_table.yaml"
    path.write_text(example, encoding="utf-8")
    suite = load_suite(path)
    assert len(suite.experiments) == 6
    assert len(list(suite.trials())) == 30


def test_its_map_has_the_packages_in_the_order_of_imports() -> None:
    names = re.findall(r"^    harness/(\w+)/ ", TEXT, re.MULTILINE)
    folders = {path.parent.name for path in (ROOT / "harness").glob("*/__init__.py")}
    assert sorted(names) == sorted(folders - {"models"})
    assert [LEVELS[name] for name in names] == sorted(LEVELS[name] for name in names)


def test_its_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)]+)\)", TEXT):
        assert (ROOT / target).exists(), target
