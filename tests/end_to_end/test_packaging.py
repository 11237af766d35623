"""What is installed: one top-level package with the models in it, and all that it reads at run time."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.support import ROOT

USES_MODELS = """\
from harness import model_registry

model = model_registry.build({"name": "mlp", "hidden": [4], "dropout": 0.0}, (1, 4, 4), 10)
print(*model_registry.shipped(), type(model).__name__, model_registry.source_file("mlp"))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build a wheel of what is here, with the present environment's setuptools."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in ("harness", "models"):
        shutil.copytree(ROOT / name, folder / name, symlinks=True)
    for name in ("README.md", "LICENSE", "pyproject.toml"):
        shutil.copy2(ROOT / name, folder / name)
    code = "from setuptools import build_meta; print(build_meta.build_wheel('dist'))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (path,) = (folder / "dist").glob("*.whl")
    return path


def test_a_wheel_has_one_package_and_all_its_files(wheel: Path) -> None:
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    ours = {path.relative_to(ROOT).as_posix() for path in (ROOT / "harness").rglob("*") if path.is_file()}
    ours |= {f"harness/models/{path.name}" for path in (ROOT / "models").glob("*.py")}
    assert names == {name for name in ours if "__pycache__" not in name}


@pytest.mark.parametrize("kind", ["wheel", "checkout"])
def test_models_are_found_and_a_users_own_folder_shadows_nothing(
    kind: str, wheel: Path, tmp_path: Path
) -> None:
    """`harness` from a wheel and from a checkout on PYTHONPATH; the user's folder is the current one."""
    shadow = tmp_path / "models"
    shadow.mkdir()
    for name in ("__init__.py", "mlp.py"):
        (shadow / name).write_text("raise RuntimeError('the wrong models')", encoding="utf-8")
    home = ROOT
    if kind == "wheel":
        home = tmp_path / "installed"
        zipfile.ZipFile(wheel).extractall(home)
    done = subprocess.run(
        [sys.executable, "-c", USES_MODELS],
        cwd=tmp_path,
        env={"PYTHONPATH": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    said = f"convnet mlp patch_mixer Sequential {home / 'harness/models/mlp.py'}\n"
    assert done.stdout == said, done.stderr


def test_the_quickstart_trains_beside_files_named_like_modules(wheel: Path, tmp_path: Path) -> None:
    """With the `harness` command of an installed wheel, its workers too."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-compile"]
    subprocess.run([*pip, "--target", str(tmp_path / "site"), str(wheel)], check=True)
    here = tmp_path / "here"
    (here / "models").mkdir(parents=True)
    traps = ("harness", "statistics", "suites", "torch", "numpy", "data", "typing", "models/mlp")
    for name in traps:
        (here / f"{name}.py").write_text(f"raise RuntimeError('the wrong {name}')", encoding="utf-8")
    suite = (ROOT / "suites/quickstart.yaml").read_text(encoding="utf-8")
    shorter = suite.replace("epochs: 6", "epochs: 1").replace("seeds: 3", "seeds: 1\ntable: {figures: false}")
    (here / "quickstart.yaml").write_text(shorter, encoding="utf-8")
    done = subprocess.run(
        [str(tmp_path / "site/bin/harness"), "quickstart.yaml", "--nproc", "2", "--no-calibrate"],
        cwd=here,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site"), "XDG_CACHE_HOME": str(tmp_path / "cache")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert len(list(here.glob("results/*/*/seed-1-*.json"))) == 2, done.stdout
