"""What comes from outside never becomes code, shell or a path elsewhere; files follow the umask."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from harness import suite_file
from harness.errors import SuiteError, UsageError
from harness.store import Store
from harness.suite import Suite
from tests.records import SUITE as RECORDED
from tests.records import suite_of
from tests.test_run import LONG, ROOT, SUITE, figures, run

SOURCES = [path for folder in ("harness", "models") for path in sorted((ROOT / folder).rglob("*.py"))]
FORBIDDEN = {"eval", "exec", "compile", "__import__", "os.system", "os.popen", "pickle.load", "pickle.loads"}
FORBIDDEN |= {"yaml.load", "yaml.unsafe_load", "yaml.full_load", "subprocess.getoutput"}


@pytest.fixture
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    Path("suite.yaml").write_text(SUITE, encoding="utf-8")


def calls() -> Iterator[tuple[Path, str, ast.Call]]:
    """Yield every call in the sources, with the dotted name of what is called."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                yield path, ast.unparse(node.func), node


def keyword(call: ast.Call, name: str) -> str | None:
    """Return the source of a keyword argument."""
    return next((ast.unparse(each.value) for each in call.keywords if each.arg == name), None)


def test_nothing_that_is_read_is_executed() -> None:
    seen = []
    for path, name, call in calls():
        assert name not in FORBIDDEN, f"{path}:{call.lineno}: {name}"
        if name == "torch.load":
            assert keyword(call, "weights_only") == "True", f"{path}:{call.lineno}"
        if name in ("np.load", "numpy.load", "open_memmap"):
            assert keyword(call, "allow_pickle") in (None, "False"), f"{path}:{call.lineno}"
        seen.append(name)
    assert "torch.load" in seen


def test_no_shell_is_used_and_no_command_is_one_text() -> None:
    started = [each for each in calls() if each[1].startswith("subprocess.")]
    for path, name, call in started:
        assert keyword(call, "shell") is None, f"{path}:{call.lineno}: {name}"
        assert not isinstance(call.args[0], ast.JoinedStr | ast.Constant), f"{path}:{call.lineno}: {name}"
    assert started


def test_yaml_makes_no_objects(tmp_path: Path) -> None:
    path, proof = tmp_path / "suite.yaml", tmp_path / "executed"
    for tag in (
        "!!python/object/apply:os.system",
        "!!python/object/new:os.system",
        "!!python/name:os.system",
    ):
        path.write_text(SUITE.replace("A small suite", f"{tag} ['touch {proof}']"), encoding="utf-8")
        with pytest.raises(SuiteError, match=r"suite\.yaml:2"):
            suite_file.load(path)
    assert not proof.exists()


NAMES = ["../x", "..", ".", "/tmp/x", "a/b", "a\\b", "", "a\nb", "a\n", "a\0b", ".hidden", "-rf", "x" * 300]


@pytest.mark.parametrize("name", NAMES)
def test_no_name_leads_out_of_the_results(name: str, tmp_path: Path) -> None:
    quoted = '"' + name.replace("\\", "\\\\").replace("\n", "\\n").replace("\0", "\\0") + '"'
    for old, new in (("suite: small", f"suite: {quoted}"), ("  one:", f"  {quoted}:")):
        assert old in RECORDED
        with pytest.raises(SuiteError, match="expected text that matches"):
            suite_of(tmp_path, RECORDED.replace(old, new, 1))


@pytest.mark.parametrize("name", ["../other", "/", ".", "..", "small/../../other", "small/one"])
def test_results_are_named_by_their_folder_only(name: str, tmp_path: Path) -> None:
    suite: Suite = suite_of(tmp_path)
    for root in ("results", "other"):
        Store(tmp_path / root / "deep").save_suite(suite)
    with pytest.raises(UsageError, match="there are: small"):
        Store(tmp_path / "results" / "deep").load_suite(name)


class Hostile:
    """Would make a file when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("executed",)


@pytest.mark.usefixtures("_folder")
def test_a_run_refuses_a_hostile_checkpoint_and_says_so() -> None:
    Path("suite.yaml").write_text(LONG.replace("epochs: 60", "epochs: 2"), encoding="utf-8")
    run("suite.yaml", "--results", "whole")
    trial = next(suite_file.load(Path("suite.yaml")).trials())
    path = Store(Path("results")).checkpoint_paths(trial)[0]
    path.parent.mkdir(parents=True)
    torch.save({"digest": trial.digest, "model": Hostile()}, path)
    output = run("suite.yaml")
    assert f"{path}: refused, it holds more than numbers" in output
    assert not Path("executed").exists()
    assert figures() == figures("whole")


@pytest.mark.usefixtures("_folder")
@pytest.mark.parametrize("umask", [0o077, 0o022])
def test_files_are_made_with_the_users_umask(umask: int) -> None:
    before = os.umask(umask)
    try:
        run("suite.yaml", "--only", "mlp", "--seeds", "1", "--save-model")
    finally:
        os.umask(before)
    made = [path for folder in ("results", "cache/harness") for path in Path(folder).rglob("*")]
    assert len([path for path in made if path.is_file()]) >= 5
    for path in made:
        mode = 0o777 if path.is_dir() else 0o666
        assert path.stat().st_mode & 0o777 == mode & ~umask, path
