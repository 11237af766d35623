"""Modules of a user's callables, found as import would find them, without running any."""

from __future__ import annotations

import importlib.metadata
import sys
from pathlib import Path

import pytest

from harness import import_statements
from harness.module_sources import Sources, sources_of


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """Have a package of three modules, a namespace package, and modules of a user."""
    files = {
        "pkg/__init__.py": "",
        "pkg/net.py": "from .blocks import act\nimport torch, numpy",
        "pkg/blocks.py": "from pkg import sizes\nact = 1",
        "pkg/sizes.py": "",
        "pkg/unused.py": "import unused_elsewhere",
        "unused_elsewhere.py": "",
        "own.py": "import blocks\nimport missing_library\ndef net():\n    from lazy import later",
        "blocks.py": "import os, lib.layers",
        "lazy.py": "later = 1",
        "lib/layers.py": "from . import deep",
        "lib/deep.py": "",
        "lib/other.py": "",
        "space/sub/net.py": "from . import beside",
        "space/sub/beside.py": "",
        "space/.venv/broken.py": "",
        "pathy.py": "import sys\nsys.path.insert(0, 'tools')\nimport tool",
        "tools/tool.py": "",
        "named.py": "import importlib\nimportlib.import_module('lazy')",
        "open_.py": "import importlib\ndef net(kind): return importlib.import_module('kind_' + kind)",
        "kind_a.py": "import lazy",
        "wrong.py": "this is (no python",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path


def found(here: Path, *modules: str) -> Sources:
    sources = sources_of(modules, [*sys.path, str(here)])
    assert sources is not None
    return sources


@pytest.mark.parametrize(
    ("module", "files"),
    [
        ("pkg.net", ["pkg/__init__.py", "pkg/blocks.py", "pkg/net.py", "pkg/sizes.py", "pkg/unused.py"]),
        ("own", ["blocks.py", "lazy.py", "lib/deep.py", "lib/layers.py", "own.py"]),
        ("space.sub.net", ["space/sub/beside.py", "space/sub/net.py"]),
        ("pathy", ["pathy.py", "tool.py"]),
        ("named", ["lazy.py", "named.py"]),
        ("wrong", ["wrong.py"]),
    ],
)
def test_modules_are_found(module: str, files: list[str], here: Path) -> None:
    assert list(found(here, module).files) == files


def test_a_module_that_imports_by_a_computed_name_counts_with_all_beside_it(here: Path) -> None:
    assert {"open_.py", "kind_a.py", "lazy.py", "pkg/net.py"} <= set(found(here, "open_").files)


def test_distributions_count_by_version_but_torch(here: Path) -> None:
    assert found(here, "pkg.net").distributions == [f"numpy=={importlib.metadata.version('numpy')}"]


@pytest.mark.parametrize("module", ["missing", "pkg.missing", "own.net"])
def test_what_is_missing_is_no_code(module: str, here: Path) -> None:
    assert sources_of([module], [*sys.path, str(here)]) is None


def test_nothing_is_run(here: Path) -> None:
    (here / "own.py").write_text("raise SystemExit(7)", encoding="utf-8")
    assert list(found(here, "own").files) == ["own.py"]
    assert "own" not in sys.modules


def test_line_ends_of_a_checkout_make_no_difference(here: Path) -> None:
    before = found(here, "own").files
    (here / "own.py").write_bytes((here / "own.py").read_bytes().replace(b"\n", b"\r\n"))
    assert found(here, "own").files == before


def test_a_package_lies_anywhere(here: Path) -> None:
    site = here / "site-packages"
    site.mkdir()
    (here / "pkg").rename(site / "pkg")
    (site / "alone.py").write_text("import beside_it", encoding="utf-8")
    (site / "beside_it.py").write_text("", encoding="utf-8")
    sources = sources_of(["pkg.net", "alone"], [*sys.path, str(site)])
    assert sources is not None
    assert {"pkg/sizes.py", "alone.py", "beside_it.py"} <= set(sources.files)


def test_a_package_of_a_distribution_counts_as_a_whole() -> None:
    sources = sources_of(["pytest"], sys.path)
    assert sources is not None
    assert list(sources.files) == ["pytest/__init__.py", "pytest/__main__.py"]
    assert "pytest/__init__.py" in sources.files


def test_finders_of_editable_installs_are_asked(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Finder:
        @staticmethod
        def find_spec(name: str, path: object = None) -> object:
            from importlib.util import spec_from_file_location

            place = here / "elsewhere" / "__init__.py"
            return spec_from_file_location(name, place) if name == "edited" else None

    (here / "elsewhere").mkdir()
    (here / "elsewhere/__init__.py").write_text("from . import part", encoding="utf-8")
    (here / "elsewhere/part.py").write_text("", encoding="utf-8")
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder])
    assert list(found(here, "edited").files) == ["edited/__init__.py", "edited/part.py"]


@pytest.mark.parametrize(
    ("name", "package", "expected"),
    [
        (".x", "a.b", "a.b.x"),
        ("..x", "a.b", "a.x"),
        (".", "a", "a"),
        ("...x", "a.b", ""),
        (".x", "", ""),
        ("x.y", "a", "x.y"),
    ],
)
def test_relative_names(name: str, package: str, expected: str) -> None:
    assert import_statements.absolute(name, package) == expected
