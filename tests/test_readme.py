"""What the README shows is right: its suite, its map, its links."""

from __future__ import annotations

import re
from pathlib import Path

from harness.config.loader import load_suite
from tests.support import ROOT

TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


def test_its_suite_is_right(tmp_path: Path) -> None:
    (example,) = re.findall(r"^```yaml\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    path = tmp_path / "my_table.yaml"
    path.write_text(example, encoding="utf-8")
    suite = load_suite(path)
    assert len(suite.experiments) == 6
    assert len(list(suite.trials())) == 30


def test_its_map_names_every_package() -> None:
    for path in (ROOT / "harness").iterdir():
        if (path / "__init__.py").exists():
            assert f"{path.name}/ " in TEXT


def test_its_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)]+)\)", TEXT):
        assert (ROOT / target).exists(), target
