"""Sources of user code beside the records, once per hash."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.errors import StoreError
from harness.module_sources import Sources
from harness.results import kept_code
from harness.results.user_code_hash import UserCode

OWN = UserCode(("net.own:net",), Sources({"net/own.py": b"one\n", "net/fast.so": b"\0"}, {}, ["timm==1.0"]))


def names(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


def test_text_is_kept_and_all_is_listed(tmp_path: Path) -> None:
    assert kept_code.keep(tmp_path, OWN) == (
        f"{tmp_path}/.code/{OWN.hash}: kept without net/fast.so (not text)"
    )
    folder = f".code/{OWN.hash}"
    assert names(tmp_path) == [f"{folder}/index.json", f"{folder}/net/own.py"]
    index = json.loads((tmp_path / folder / "index.json").read_text(encoding="utf-8"))
    assert index["distributions"] == ["timm==1.0"]
    assert list(index["modules"]) == ["net/own.py", "net/fast.so"]
    assert index["left_out"] == {"net/fast.so": "not text"}


def test_what_is_there_stays(tmp_path: Path) -> None:
    kept_code.keep(tmp_path, OWN)
    note = tmp_path / ".code" / OWN.hash / "net" / "note.txt"
    note.write_text("mine", encoding="utf-8")
    assert kept_code.keep(tmp_path, OWN) == ""
    assert note.exists()
    assert len(list((tmp_path / ".code").iterdir())) == 1


def test_large_files_are_named(tmp_path: Path) -> None:
    files = {"net/data.py": b"x" * (kept_code.MOST_BYTES_A_FILE + 1), "net/own.py": b"one"}
    files |= {f"net/part{n}.py": b"y" * kept_code.MOST_BYTES_A_FILE for n in range(9)}
    code = UserCode(("net.own:net",), Sources(files))
    said = kept_code.keep(tmp_path, code)
    assert "kept without net/data.py (524,289 bytes), net/part7.py" in said
    assert (tmp_path / ".code" / code.hash / "net" / "own.py").exists()


def test_where_nothing_can_be_written_it_is_said(tmp_path: Path) -> None:
    (tmp_path / ".code").touch()
    with pytest.raises(StoreError, match="the user's code cannot be kept there"):
        kept_code.keep(tmp_path, OWN)
