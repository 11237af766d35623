"""What is installed: one top-level package with the models in it, and all that it reads at run time."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from harness import model_registry
from tests.support import ROOT
from tests.support.pages import Page

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
    said = f"{' '.join(model_registry.shipped())} Sequential {home / 'harness/models/mlp.py'}\n"
    assert done.stdout == said, done.stderr


Installed = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel into a folder of its own."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-compile"]
    folder = tmp_path_factory.mktemp("site")
    subprocess.run([*pip, "--target", str(folder), str(wheel)], check=True)
    return folder


@pytest.fixture
def installed(site: Path, tmp_path: Path) -> Installed:
    """Return a function that runs the installed `harness` command in an empty folder, `here`.

    Another `program` is `python`, whose pip installs beside the wheel.
    """
    here = tmp_path / "here"
    here.mkdir()
    programs = {"harness": str(site / "bin/harness"), "python": sys.executable}
    own = {"PYTHONPATH": str(site), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    own |= {"PIP_TARGET": str(site), "PIP_NO_INDEX": "1", "PIP_NO_DEPS": "1", "PIP_NO_BUILD_ISOLATION": "0"}

    def run(*arguments: str, program: str = "harness") -> tuple[int, str]:
        done = subprocess.run(
            [programs[program], *arguments],
            cwd=here,
            env={**os.environ, **own},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout

    return run


SHORT = ("--seeds", "1", "--set", "training.epochs=1", "--nproc", "1", "--no-calibrate")


def test_a_suite_and_a_model_to_begin_with_train_beside_files_named_like_modules(
    installed: Installed, tmp_path: Path
) -> None:
    """With the `harness` command of an installed wheel, its workers too."""
    here = tmp_path / "here"
    (here / "models").mkdir()
    traps = ("harness", "statistics", "suites", "torch", "numpy", "data", "typing", "models/mlp")
    for name in traps:
        (here / f"{name}.py").write_text(f"raise RuntimeError('the wrong {name}')", encoding="utf-8")
    code, output = installed("init", "--model")
    assert code == 0, output
    assert output.startswith("wrote my_suite.yaml\nwrote my_suite_model.py\n")
    code, output = installed("plan", "my_suite.yaml")
    assert code == 0, output
    assert "12 of 12 trials left" in output
    code, output = installed("my_suite.yaml", "--only", "mlp", "--only", "own", *SHORT)
    assert code == 0, output
    assert len(list(here.glob("results/*/*/seed-1-*.json"))) == 2, output


def test_the_quickstart_trains_and_reports_in_an_empty_folder(installed: Installed, tmp_path: Path) -> None:
    code, output = installed("run", "quickstart", "--only", "mlp", *SHORT)
    assert code == 0, output
    here = tmp_path / "here"
    assert [path.name for path in here.iterdir()] == ["results"]
    (folder,) = (here / "results").glob("quickstart*")
    assert len(list(folder.glob("mlp/seed-1-*.json"))) == 1, output
    assert str(tmp_path) not in (folder / "suite.json").read_text(encoding="utf-8")
    code, output = installed("report", "--html")
    assert code == 0, output
    assert "harness run quickstart --only mlp" in (here / "results/index.html").read_text(encoding="utf-8")
    assert (folder / "mlp/curves.svg").exists()


MODELS = Page(ROOT / "docs/models.md")


def test_the_page_on_models_is_followed_to_the_letter(installed: Installed, tmp_path: Path) -> None:
    """With a package of the user's own, installed as harness is, and found from a folder of neither."""
    here = tmp_path / "here"
    MODELS.write_files(here)
    for command in MODELS.commands:
        program, *arguments = shlex.split(command)
        code, output = installed(*arguments, program=program)
        assert code == 0, f"{command}\n{output}"
        assert MODELS.output(command) in output
    records = [
        json.loads(path.read_text(encoding="utf-8")) for path in here.glob("results/tiny/*/seed-*.json")
    ]
    assert len(records) == 4
    (code_hash,) = {each["versions"]["user_code"] for each in records}
    kept = here / "results/.code" / code_hash
    files = {path.name for path in kept.rglob("*.py")}
    assert files == {"__init__.py", "blocks.py", "data.py", "schedules.py"}
    table = (here / "results/tiny/table.md").read_text(encoding="utf-8")
    assert "(2)" in table
    assert all(each["epochs"][-1]["lr"] < 0.01 / 10 for each in records)  # of the epoch's last step
