"""Nothing that is read becomes code or a shell's command: neither YAML, nor pickles, nor arguments."""

from __future__ import annotations

import ast
import pickle
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml

from harness import data
from harness.config import yaml_reader
from harness.config.loader import load_suite
from harness.data import cache
from harness.data.folders import Search
from harness.errors import SuiteError
from harness.runner.timing_cache import TimingCache
from tests.support import ROOT
from tests.support.gated_runs import DRAWN
from tests.support.hostile import Hostile
from tests.support.records import suite_of
from tests.support.runs import HARNESS, SUITE

FOLDERS = ("harness", "models", "benchmarks", "tests/support/fault_hook")


SOURCES = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
assert all(any(path.is_relative_to(ROOT / folder) for path in SOURCES) for folder in FOLDERS)


FORBIDDEN = {"eval", "exec", "compile", "__import__", "os.system", "os.popen", "pickle.load", "pickle.loads"}
FORBIDDEN |= {"yaml.load", "yaml.unsafe_load", "yaml.full_load", "subprocess.getoutput"}


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
        if name in ("np.load", "numpy.load", "np.lib.format.open_memmap"):
            assert keyword(call, "allow_pickle") in (None, "False"), f"{path}:{call.lineno}"
        if name.startswith("yaml.") and name.endswith(("load", "compose", "parse")):
            assert keyword(call, "Loader") == "Loader", f"{path}:{call.lineno}"
        seen.append(name)
    assert {"torch.load", "yaml.compose", "np.lib.format.open_memmap"} <= set(seen)


def test_yaml_is_loaded_as_plain_values_only() -> None:
    assert issubclass(yaml_reader.Loader, yaml.SafeLoader)
    assert yaml_reader.Loader.yaml_constructors == yaml.SafeLoader.yaml_constructors
    assert yaml_reader.Loader.yaml_multi_constructors == yaml.SafeLoader.yaml_multi_constructors


def test_of_pickle_nothing_is_used_but_its_error() -> None:
    for path in sorted((ROOT / "harness").rglob("*.py")):
        nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
        used = {ast.unparse(node) for node in nodes if isinstance(node, ast.Attribute)}
        assert {name for name in used if name.startswith("pickle.")} <= {"pickle.UnpicklingError"}, path
        froms = {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
        assert not froms & {"pickle", "marshal", "shelve", "dill", "cloudpickle"}, path


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
            load_suite(path)
    assert not proof.exists()


@pytest.mark.parametrize("where", ["train_images.npy", "test_labels.npy", "digest.json"])
def test_pickled_data_in_the_cache_is_made_again(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    env = {"XDG_CACHE_HOME": str(tmp_path)}
    sample = data.named("kmnist_sample", 4)
    expected = data.load(sample, env=env).digest
    folder = cache.folder_of(sample, Search(None, env, print))
    whole = (folder / where).read_bytes()
    if where.endswith(".npy"):
        np.save(folder / where, np.array([Hostile()], dtype=object), allow_pickle=True)
    else:
        (folder / where).write_bytes(pickle.dumps(Hostile()))
    assert data.load(sample, env=env).digest == expected
    assert (folder / where).read_bytes() == whole
    assert not Path("executed").exists()


def test_pickled_paces_in_the_cache_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("0123456789abcdef.json").write_bytes(pickle.dumps(Hostile()))
    assert TimingCache(tmp_path).latest() == {}
    assert not Path("executed").exists()


@pytest.mark.parametrize(
    ("key", "value", "line"),
    [
        ("title", "!!python/object/apply:pathlib.Path.touch [executed]", 2),
        ("title", "!!python/name:os.system", 2),
        ("title", "!!binary dGV4dA==", 2),
        ("seeds", "!!python/tuple [1, 2]", 4),
        ("seeds", "!!python/object/apply:builtins.list [1, 2]", 4),
        ("seeds", "!!set {1, 2}", 4),
        ("dataset", "!!python/object:os.Path {name: kmnist_sample}", 3),
        ("dataset", "!!python/object/new:os.Path {name: kmnist_sample}", 3),
        ("dataset", "!!omap [name: kmnist_sample]", 3),
    ],
)
def test_a_tag_is_refused_with_its_place(key: str, value: str, line: int, tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match=rf"suite\.yaml:{line}: {key}: found"):
        suite_of(tmp_path, re.sub(f"(?m)^{key}: .*", f"{key}: {value}", DRAWN))
    assert not Path("executed").exists()


def _aliases_of_aliases() -> str:
    levels = [f"  a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9)]
    return f"{DRAWN}bomb:\n  a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n{''.join(levels)}"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (_aliases_of_aliases(), r"suite\.yaml:\d+: .*alias"),
        (DRAWN + "deep: " + "[" * 5000 + "]" * 5000, r"suite\.yaml: .*nested"),
        (DRAWN.replace("A small suite", '"half: \\ud800"'), r"suite\.yaml:2: title: found"),
        (DRAWN.replace("seeds: 1", f"seeds: {'9' * 5000}"), r"suite\.yaml:4: seeds: found"),
    ],
    ids=["aliases", "nested", "half a character", "digits"],
)
def test_yaml_that_nobody_means_is_refused_at_once(text: str, why: str, tmp_path: Path) -> None:
    path = tmp_path / "suite.yaml"
    path.write_text(text, encoding="utf-8")
    command = [*HARNESS, "plan", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30, cwd=ROOT)
    assert done.returncode == 2, done.stderr[-500:]
    assert re.match(f"error: .*{why}", done.stderr), done.stderr[-500:]
