"""Models by name: shipped ones by their file, a user's by import."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from harness import model_registry
from harness.errors import ModelError
from harness.plugins import is_callable_path

OWN = """\
import os
from functools import lru_cache, partial

import torch
from torch import nn


def build(image_shape, num_classes, *, width):
    return nn.Sequential(nn.Flatten(), nn.Linear(image_shape[1] * image_shape[2], num_classes))


def no_module(image_shape, num_classes):
    return 3


class Net(nn.Module):
    def __init__(self, image_shape, num_classes, width=2):
        super().__init__()
        self.linear = nn.Linear(image_shape[1] * image_shape[2], num_classes)


class Builder:
    def __init__(self, net):
        self.net = net

    def __call__(self, image_shape, num_classes, **settings):
        return self.net(image_shape, num_classes, **settings)


instance = Builder(Net)
part = partial(Net, width=3)
method = Builder(Net).__call__
built = Net((1, 8, 8), 10)
kept = nn.Linear(64, 10)


def shared(image_shape, num_classes):
    return nn.Sequential(nn.Flatten(), kept)


@lru_cache
def cached(image_shape, num_classes):
    return Net(image_shape, num_classes)


relu = nn.ReLU()


def shared_relu(image_shape, num_classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, num_classes), relu)


def too_many(image_shape, num_classes, in_channels, /):
    return built


def swapped():
    return built


def by_name(*, image_shape, num_classes):
    return built


def takes_out(image_shape, num_classes, *, widths):
    widths.pop()
    return Net(image_shape, num_classes)


def fails(image_shape, num_classes):
    return {}["logits"]


def changes(image_shape, num_classes):
    torch.set_default_dtype(torch.float64)
    os.chdir("/")
    return Net(image_shape, num_classes)


def __getattr__(name):
    if name == "broken":
        raise OSError("no such weights")
    raise AttributeError(name)
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    Path("own_net.py").write_text(OWN, encoding="utf-8")
    yield tmp_path
    sys.modules.pop("own_net", None)


def test_a_callable_in_the_current_folder_is_found(own: Path) -> None:
    assert model_registry.build({"name": "own_net:build", "width": 3}, (1, 8, 8), 10).training
    assert model_registry.source_file("own_net:build") == own / "own_net.py"


def test_a_callable_names_the_settings_that_it_accepts(own: Path) -> None:
    with pytest.raises(ModelError, match="did you mean 'width'"):
        model_registry.build({"name": "own_net:build", "widht": 3}, (1, 8, 8), 10)


def test_a_callable_has_to_return_a_module(own: Path) -> None:
    with pytest.raises(ModelError, match=r"found an int, expected a torch\.nn\.Module"):
        model_registry.build({"name": "own_net:no_module"}, (1, 8, 8), 10)


@pytest.mark.parametrize("name", ["Net", "instance", "part", "method", "shared_relu"])
def test_any_callable_builds_a_model_each_time(own: Path, name: str) -> None:
    one, other = (model_registry.build({"name": f"own_net:{name}"}, (1, 8, 8), 10) for _ in range(2))
    assert one is not other


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (
            "too_many",
            "missing a required argument: 'in_channels': found too_many(image_shape, num_classes, in_",
        ),
        (
            "swapped",
            "too many positional arguments: found swapped(), expected swapped(image_shape, num_classes",
        ),
        (
            "by_name",
            "found by_name(*, image_shape, num_classes), expected by_name(image_shape, num_classes, **",
        ),
        (
            "built",
            "found the module built itself, expected a function that builds one: def built(image_shape,",
        ),
        ("fails", "KeyError: 'logits' (own_net.py, line"),
        ("broken", "the module 'own_net' cannot be imported: OSError: no such weights (own_net.py, line"),
    ],
)
def test_a_callable_that_cannot_build_is_told_what_is_expected(own: Path, name: str, reason: str) -> None:
    with pytest.raises(ModelError) as refusal:
        model_registry.build({"name": f"own_net:{name}"}, (1, 8, 8), 10)
    assert str(refusal.value).startswith(f"model 'own_net:{name}': ")
    assert reason in str(refusal.value)


@pytest.mark.parametrize("name", ["shared", "cached"])
def test_weights_of_an_earlier_build_are_refused(own: Path, name: str) -> None:
    kept = model_registry.build({"name": f"own_net:{name}"}, (1, 8, 8), 10)
    with pytest.raises(ModelError, match="its result holds a module of an earlier call"):
        model_registry.build({"name": f"own_net:{name}"}, (1, 8, 8), 10)
    assert kept is not None


def test_a_builder_changes_neither_its_settings_nor_the_process(own: Path) -> None:
    settings = {"name": "own_net:takes_out", "widths": [3, 4]}
    for _ in range(3):
        model_registry.build(settings, (1, 8, 8), 10)
    assert settings["widths"] == [3, 4]
    model_registry.build({"name": "own_net:changes"}, (1, 8, 8), 10)
    assert torch.get_default_dtype() == torch.float32
    assert Path.cwd() == own


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import sys\nsys.exit('no licence')\n", "SystemExit: no licence (broken_net.py, line 2)"),
        ("class E(BaseException): pass\nraise E\n", "E (broken_net.py, line 2)"),
        ("def f(:\n", "SyntaxError: invalid syntax (broken_net.py, line 1)"),
        ("if 1:\nx = 2\n", "IndentationError: expected an indented block after 'if' statement on line 1 (br"),
        (
            "import not_installed_here\n",
            "ModuleNotFoundError: No module named 'not_installed_here' (broken_net",
        ),
        ("from os import no_such\n", "ImportError: cannot import name 'no_such' from 'os'"),
        ("import broken_too\n", "SyntaxError: '[' was never closed (broken_too.py, line 1)"),
        ("x = '\0'\n", "SyntaxError: source code string cannot contain null bytes"),
    ],
)
def test_a_module_that_cannot_be_imported_is_told_its_line(own: Path, text: str, reason: str) -> None:
    Path("broken_net.py").write_text(text, encoding="utf-8")
    Path("broken_too.py").write_text("x = [\n", encoding="utf-8")
    with pytest.raises(ModelError) as refusal:
        model_registry.build({"name": "broken_net:build"}, (1, 8, 8), 10)
    about = "model 'broken_net:build': the module 'broken_net' cannot be imported: "
    assert str(refusal.value).startswith(about + reason)
    assert "expected it installed" not in str(refusal.value)


@pytest.mark.parametrize("name", ["nowhere:build", "own_net.below:build"])
def test_where_a_module_was_looked_for_is_told(own: Path, name: str) -> None:
    with pytest.raises(ModelError, match=f"expected it installed or in the current folder {own}"):
        model_registry.build({"name": name}, (1, 8, 8), 10)


@pytest.mark.parametrize(
    ("name", "is_path"),
    [("a.b:c", True), ("a:c", True), ("mlp", False), ("a:", False), ("a b:c", False), (":c", False)],
)
def test_what_a_callable_looks_like(name: str, is_path: bool) -> None:
    assert is_callable_path(name) == is_path


def test_building_leaves_the_random_state_to_the_caller() -> None:
    from harness.training.model_facts import initialised
    from tests.support.trials import small_trial

    before = torch.get_rng_state()
    settings = small_trial().settings
    one = initialised(settings.model, 1, (1, 8, 8), 10).state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(5)
    again, other = (initialised(settings.model, seed, (1, 8, 8), 10).state_dict() for seed in (1, 2))
    key = "stem.linear.weight"
    assert torch.equal(one[key], again[key])
    assert not torch.equal(one[key], other[key])
