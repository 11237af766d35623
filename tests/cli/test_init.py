"""`harness init`: what it writes passes `harness plan` as it is; it writes all its files or none."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest
import yaml

from harness.config.json_schema import suite_schema
from harness.config.loader import load_suite

Harness = Callable[..., str]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "here"
    home.mkdir()
    monkeypatch.chdir(home)
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))


def files() -> list[str]:
    return sorted(path.as_posix() for path in Path().rglob("*") if path.is_file())


def test_a_suite_that_passes_plan(harness: Harness) -> None:
    said = "wrote my_suite.yaml\nnext: harness plan my_suite.yaml, then harness run my_suite.yaml\n"
    assert harness("init") == said
    assert files() == ["my_suite.yaml"]
    assert list(load_suite(Path("my_suite.yaml")).experiments) == ["mlp", "wide", "conv"]
    assert "9 of 9 trials left" in harness("plan", "my_suite.yaml")


def test_a_model_too_that_the_suite_trains(harness: Harness) -> None:
    said = (
        "wrote first.yaml\nwrote first_model.py\nnext: harness plan first.yaml, then harness run first.yaml\n"
    )
    assert harness("init", "first", "--model") == said
    assert files() == ["first.yaml", "first_model.py"]
    suite = load_suite(Path("first.yaml"))
    assert suite.experiments["own"].model == {"name": "first_model:build", "channels": 16}
    assert "12 of 12 trials left" in harness("plan", "first.yaml")


@pytest.mark.parametrize(
    ("name", "path", "suite"),
    [
        ("a.yaml", "a.yaml", "a"),
        ("a.yml", "a.yml", "a"),
        ("./a", "a.yaml", "a"),
        ("sub/a", "sub/a.yaml", "a"),
        ("sub dir/a", "sub dir/a.yaml", "a"),
        ("../here/sub/a.yaml", "sub/a.yaml", "a"),
        ("exp-1.b", "exp-1.b.yaml", "exp-1.b"),
        ("on", "on.yaml", "on"),
        ("1e3", "1e3.yaml", "1e3"),
        ("x" * 64, f"{'x' * 64}.yaml", "x" * 64),
    ],
)
def test_names(name: str, path: str, suite: str, harness: Harness) -> None:
    for folder in ("sub", "sub dir"):
        Path(folder).mkdir()
    said = harness("init", name)
    assert files() == [path]
    assert load_suite(Path(path)).suite == suite
    assert harness("plan", shlex.split(said)[-1])


def test_a_model_in_a_folder_is_named_from_the_current_one(harness: Harness) -> None:
    Path("sub").mkdir()
    harness("init", "sub/a", "--model")
    assert files() == ["sub/a.yaml", "sub/a_model.py"]
    assert load_suite(Path("sub/a.yaml")).experiments["own"].model["name"] == "sub.a_model:build"
    assert "12 of 12 trials left" in harness("plan", "sub/a.yaml")


@pytest.mark.parametrize("model", [[], ["--model"]])
@pytest.mark.parametrize(
    "name",
    [
        *(
            "",
            ".",
            "..",
            "sub/",
            "/",
            ".yaml",
            "-a",
            "_a",
            " a",
            "a b",
            "a\n",
            "a:b",
            "a'b",
            'a"b',
            "ä",
            "a\udce9",
        ),
        *("x" * 65, "none/a", "file/a", "quickstart", "sub/quickstart.yaml", "x" * 300 + "/a"),
    ],
)
def test_names_that_no_suite_can_have(name: str, model: list[str], harness: Harness) -> None:
    Path("sub").mkdir()
    Path("file").touch()
    said = harness("init", *model, "--", name, code=2)
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    assert files() == ["file"]


@pytest.mark.parametrize("name", ["a-b", "1", "a.b", "../here/a", "sub dir/a"])
def test_names_that_python_cannot_import(name: str, harness: Harness) -> None:
    Path("sub dir").mkdir()
    assert "expected with --model a name that Python can import" in harness("init", name, "--model", code=2)
    assert not files()


@pytest.mark.parametrize("taken", ["a.yaml", "a_model.py"])
@pytest.mark.parametrize("kind", ["file", "folder", "broken link"])
def test_what_exists_stays_and_nothing_else_is_written(taken: str, kind: str, harness: Harness) -> None:
    if kind == "file":
        Path(taken).write_text("mine", encoding="utf-8")
    elif kind == "folder":
        Path(taken).mkdir()
    else:
        Path(taken).symlink_to("nowhere")
    said = harness("init", "a", "--model", code=2)
    assert said == (
        f"error: {taken}: exists already, expected a new file; choose another NAME or remove it; nothing was "
        "written\n"
    )
    assert [path.name for path in Path().iterdir()] == [taken]
    assert kind != "file" or Path(taken).read_text(encoding="utf-8") == "mine"


def test_the_examples_in_comments_hold(harness: Harness) -> None:
    """Uncommented, all of them together are a suite."""
    harness("init")
    text = Path("my_suite.yaml").read_text(encoding="utf-8")
    before, mark, published = text.partition("# published:")
    whole = before.replace("# own:", "own:").replace("# grid:", "grid:")
    whole += (mark + published).replace("# ", "")
    Path("my_suite.yaml").write_text(whole, encoding="utf-8")
    suite = load_suite(Path("my_suite.yaml"))
    assert len(suite.experiments) == 8
    assert suite.published
    jsonschema.validate(yaml.safe_load(whole), suite_schema())
