"""The harness's environment variables are listed in one module, and each is used."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from harness import environment
from tests.support import ROOT

KNOWN = {value for name, value in vars(environment).items() if name.isupper()}
SCRIPT = ROOT / "harness" / "runner" / "launch" / "run.sbatch"


def code() -> dict[Path, str]:
    """Return the harness's modules but the list itself."""
    paths = (ROOT / "harness").rglob("*.py")
    own = Path(environment.__file__)
    return {path: path.read_text(encoding="utf-8") for path in paths if path.resolve() != own.resolve()}


def test_no_other_module_spells_one_out() -> None:
    for path, text in code().items():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Constant) and re.fullmatch("HARNESS_[A-Z_]+", str(node.value)):
                raise AssertionError(f"{path}, line {node.lineno}: use harness.environment")


def test_each_is_used_and_the_job_script_knows_no_others() -> None:
    script = set(re.findall("HARNESS_[A-Z_]+", SCRIPT.read_text(encoding="utf-8")))
    assert script <= KNOWN
    used = set(re.findall(r"\benvironment\.([A-Z_]+)", "\n".join(code().values())))
    assert {getattr(environment, name) for name in used} == KNOWN
