"""Models by name: shipped ones by their file, a user's by import."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import model_registry
from harness.errors import ModelError
from harness.plugins import is_callable_path

OWN = """\
from torch import nn


def build(image_shape, num_classes, *, width):
    return nn.Sequential(nn.Flatten(), nn.Linear(image_shape[1] * image_shape[2], num_classes))


def no_module(image_shape, num_classes):
    return 3
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
    with pytest.raises(ModelError, match=r"found a int, expected a torch\.nn\.Module"):
        model_registry.build({"name": "own_net:no_module"}, (1, 8, 8), 10)


@pytest.mark.parametrize(
    ("name", "is_path"),
    [("a.b:c", True), ("a:c", True), ("mlp", False), ("a:", False), ("a b:c", False), (":c", False)],
)
def test_what_a_callable_looks_like(name: str, is_path: bool) -> None:
    assert is_callable_path(name) == is_path


def test_building_leaves_the_random_state_to_the_caller() -> None:
    import torch

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
