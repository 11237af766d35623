"""What a demo leaves behind does not disturb the check of what is committed."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support import ROOT, committed, forks
from tests.support.report_files import changed, report
from tests.support.runs import HARNESS


@pytest.mark.skipif(shutil.which("git") is None, reason="git is missing")
def test_what_a_demo_leaves_is_no_part_of_the_check(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Do README's commands one after the other, in what a clone would be, with the present environment."""
    for path in ("harness", "models", "suites", "tests"):
        (tmp_path / path).symlink_to(ROOT / path)
    with committed.laid_out() as folder:
        shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    for arguments in (["init", "-q"], ["add", "README.md", "results"]):
        subprocess.run(["git", *arguments], cwd=tmp_path, check=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    for options in ([], ["--results", "results/tried/once"]):
        command = [*HARNESS, "run", "suites/quickstart.yaml", "--only", "mlp", "--seeds", "1", *options]
        code, output = forks.finished(command, seconds=300)
        assert code == 0, output
    assert report("--check")[0] == 1  # the page has none of them
    assert report()[0] == 0
    assert "quickstart" in (tmp_path / "results/index.html").read_text(encoding="utf-8")
    with committed.laid_out(tmp_path) as folder:
        assert not list(folder.glob("results/**/quickstart"))
        monkeypatch.chdir(folder)
        for arguments in committed.checks(folder):
            code, output = report(*arguments[1:])
            assert code == 0, output
        monkeypatch.chdir(tmp_path)
    (table,) = tmp_path.glob("results/fashion-patch_size/table.md")
    best = re.findall(r"\*\*(\d+\.\d\d) %", table.read_text(encoding="utf-8"))[0]
    changed(table, best, "12.34")
    with committed.laid_out(tmp_path) as folder:
        assert "12.34" in (folder / "results/fashion-patch_size/table.md").read_text(encoding="utf-8")
