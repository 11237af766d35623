"""What the README shows works: its commands, its suite, its table."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

from harness.config.loader import load_suite
from tests import forks

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^\$ (.+)$", TEXT, re.MULTILINE)


def test_its_commands_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(ROOT / "suites", tmp_path / "suites")
    assert len(COMMANDS) >= 5
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for command in COMMANDS:
        program, *arguments = shlex.split(command)
        assert program == "harness"
        code, output = forks.harness(arguments, seconds=300)
        assert code == 0, output


def test_its_suite_is_right(tmp_path: Path) -> None:
    (example,) = re.findall(r"^```yaml\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    path = tmp_path / "my_table.yaml"
    path.write_text(example, encoding="utf-8")
    suite = load_suite(path)
    assert len(suite.experiments) == 6
    assert len(list(suite.trials())) == 30


def test_its_map_names_every_module() -> None:
    for path in (ROOT / "harness").glob("[a-z]*.py"):
        assert re.search(rf"\b{path.stem}\b", TEXT), path.name
    for path in (ROOT / "harness").iterdir():
        if (path / "__init__.py").exists():
            assert f"harness/{path.name}/" in TEXT


def test_its_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)]+)\)", TEXT):
        assert (ROOT / target).exists(), target
