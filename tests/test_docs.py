"""What README and docs/ show is right: length, links, suites, the map, and that no command is left out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.main import get_group
from typer.testing import CliRunner

from harness.cli.main import app
from harness.config.loader import load_suite
from tests.support import ROOT
from tests.support.pages import DOCS, PAGES, README, Page
from tests.test_imports import LEVELS

INDEX, ARCHITECTURE = (Page(ROOT / "docs" / name) for name in ("README.md", "architecture.md"))


def test_the_readme_is_short() -> None:
    assert len(README.text.split()) <= 1200


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Page) -> None:
    for link in page.links:
        target, _, anchor = link.partition("#")
        path = (page.path.parent / target).resolve() if target else page.path
        assert path.exists(), link
        assert not anchor or anchor in Page(path).anchors, link


def test_the_index_lists_every_page() -> None:
    assert {page.path.name for page in DOCS} - {"README.md"} == {
        link for link in INDEX.links if "/" not in link
    }


def test_suites_are_right(tmp_path: Path) -> None:
    shown = [block for page in PAGES for block in page.blocks("yaml") if re.search("^suite:", block, re.M)]
    assert len(shown) >= 3
    for number, block in enumerate(shown):
        path = tmp_path / f"{number}.yaml"
        path.write_text(block, encoding="utf-8")
        assert list(load_suite(path).trials())


def test_the_readmes_suite_has_the_rows_that_it_says(tmp_path: Path) -> None:
    (example,) = README.blocks("yaml")
    path = tmp_path / "my_table.yaml"
    path.write_text(example, encoding="utf-8")
    suite = load_suite(path)
    assert len(suite.experiments) == 6
    assert len(list(suite.trials())) == 30


def test_the_verdicts_of_the_readme_are_those_of_the_committed_tables() -> None:
    rows = re.findall(r"^\| \[.*?\]\((results/\S+/table\.md)\)[^|]*\| (.*) \|$", README.text, re.MULTILINE)
    assert rows
    for table, cells in rows:
        (row,) = re.findall(r"^\| (?!Experiment|---).* \|$", Page(ROOT / table).text, re.MULTILINE)
        assert not [cell for cell in cells.split(" | ") if cell not in row]


def test_the_comparison_that_is_shown_is_that_of_the_committed_results(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    page = Page(ROOT / "docs" / "report.md").text
    (row,) = re.findall(r"^    (\| exp-2 → exp-1 .*)$", page, re.MULTILINE)
    (command,) = re.findall(r"^\$ harness (compare .*)$", page, re.MULTILINE)
    monkeypatch.chdir(ROOT)
    assert row in CliRunner().invoke(app, command.split()).output.splitlines()


def test_every_command_is_in_the_docs() -> None:
    text = "\n".join(page.text for page in [README, *DOCS])
    names = get_group(app).commands
    assert len(names) > 5
    assert not [name for name in names if not re.search(rf"\bharness {name}\b", text)]


def test_the_map_has_the_packages_in_the_order_of_imports() -> None:
    names = re.findall(r"^    harness/(\w+)/ ", ARCHITECTURE.text, re.MULTILINE)
    folders = {path.parent.name for path in (ROOT / "harness").glob("*/__init__.py")}
    assert sorted(names) == sorted(folders - {"models"})
    assert [LEVELS[name] for name in names] == sorted(LEVELS[name] for name in names)


def test_the_architecture_names_modules_that_exist() -> None:
    names = set(re.findall(r"\b([a-z_]+(?:/[a-z_]+)*\.(?:py|sbatch))\b", ARCHITECTURE.text))
    assert len(names) > 40
    assert not [name for name in names if not any((ROOT / at / name).exists() for at in ("harness", "."))]
