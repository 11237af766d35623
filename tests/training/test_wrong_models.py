"""Models whose forward fails or returns something else than logits are refused, with what was found."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness.errors import ModelError
from harness.training.model_check import check_model
from tests.support.trials import small_dataset, small_trial


class Odd(BaseException):
    """An exception that is no Exception."""


class Wrong(nn.Module):
    """A net that goes wrong in its forward in the way that `how` names."""

    def __init__(self, shape: tuple[int, int, int], classes: int, how: str) -> None:
        super().__init__()
        self.how, self.linear = how, nn.Linear(shape[1] * shape[2], classes)

    def forward(self, x: Tensor) -> Any:
        """Return whatever `how` says."""
        y: Tensor = self.linear(x.flatten(1))
        return getattr(self, self.how)(y)

    def as_it_is(self, y: Tensor) -> Any:
        """Return logits."""
        return y

    def two(self, y: Tensor) -> Any:
        """Return more than logits."""
        return y, y

    def two_in_training(self, y: Tensor) -> Any:
        """Return auxiliary logits in train mode, as some torchvision models do."""
        return (y, y) if self.training else y

    def two_in_testing(self, y: Tensor) -> Any:
        """Return features in eval mode."""
        return y if self.training else (y, y)

    def by_name(self, y: Tensor) -> Any:
        """Return logits by name."""
        return {"logits": y, "features": y}

    def nothing(self, y: Tensor) -> Any:
        """Forget the return."""

    def array(self, y: Tensor) -> Any:
        """Return an array of NumPy's."""
        return y.detach().numpy()

    def five(self, y: Tensor) -> Any:
        """Return too few classes."""
        return y[:, :5]

    def map(self, y: Tensor) -> Any:
        """Return a map of logits."""
        return y[..., None, None]

    def squeezed(self, y: Tensor) -> Any:
        """Return logits without the batch where that has one image."""
        return y.squeeze()

    def classes(self, y: Tensor) -> Any:
        """Return predictions."""
        return y.argmax(1)

    def whole(self, y: Tensor) -> Any:
        """Return whole numbers."""
        return y.int()

    def complex(self, y: Tensor) -> Any:
        """Return complex numbers."""
        return torch.complex(y, y)

    def more_rows(self, y: Tensor) -> Any:
        """Return every row twice."""
        return torch.cat([y, y])

    def mean(self, y: Tensor) -> Any:
        """Return a scalar."""
        return y.mean()

    def attribute(self, y: Tensor) -> Any:
        """Ask for what is not there."""
        return self.missing

    def assertion(self, y: Tensor) -> Any:
        """Expect something else."""
        assert y.shape[1] == 3, "expected 3 channels"

    def key(self, y: Tensor) -> Any:
        """Take a wrong key."""
        return vars(self)["logits"]

    def leave(self, y: Tensor) -> Any:
        """Leave the program."""
        sys.exit("nan in activations")

    def odd(self, y: Tensor) -> Any:
        """Raise what few catch."""
        raise Odd

    def depth(self, y: Tensor) -> Any:
        """Call itself."""
        return self.depth(y)

    def parse(self, y: Tensor) -> Any:
        """Fail in a library."""
        return json.loads("{")

    def shape(self, y: Tensor) -> Any:
        """Fail in torch."""
        return self.linear(y)

    def detached(self, y: Tensor) -> Any:
        """Cut the graph."""
        return y.detach()

    def backward(self, y: Tensor) -> Any:
        """Fail in the backward only."""
        y.register_hook(lambda _: vars(self)["gradient"])  # type: ignore[no-untyped-call]
        return y

    def undeclared(self, y: Tensor) -> Any:
        """Change the process, and fail."""
        torch.set_default_dtype(torch.float64)
        os.chdir("/")
        raise OSError("no file")


def refusal(how: str) -> str:
    """Return why the model is refused, after `model …:`."""
    name = f"{__name__}:Wrong"
    with pytest.raises(ModelError) as refused:
        check_model(small_trial({"name": name, "how": how}).settings, small_dataset())
    text = str(refused.value)
    assert text.startswith(f"model {name!r}: ")
    return text.removeprefix(f"model {name!r}: ")


@pytest.mark.parametrize(
    ("how", "found"),
    [
        ("two", "a tuple of 2: Tensor, Tensor"),
        ("two_in_training", "a tuple of 2: Tensor, Tensor"),
        ("two_in_testing", "a tuple of 2: Tensor, Tensor"),
        ("by_name", "a dict with the keys 'logits', 'features'"),
        ("nothing", "None"),
        ("array", "a ndarray"),
        ("five", "a tensor of float64 of shape (2, 5)"),
        ("map", "a tensor of float64 of shape (2, 10, 1, 1)"),
        ("classes", "a tensor of int64 of shape (2,)"),
        ("whole", "a tensor of int32 of shape (2, 10)"),
        ("complex", "a tensor of complex128 of shape (2, 10)"),
        ("more_rows", "a tensor of float64 of shape (4, 10)"),
        ("mean", "a tensor of float64 of shape ()"),
    ],
)
def test_an_output_that_is_no_logits_is_described(how: str, found: str) -> None:
    expected = "expected logits, a tensor of floats of shape (2, 10): images by classes"
    assert refusal(how) == f"its forward returns {found}, {expected}"


def test_logits_that_lose_the_batch_of_one_image_are_described() -> None:
    found = refusal("squeezed")
    assert found.startswith("its forward returns a tensor of float64 of shape (10,), expected logits, ")


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("attribute", "AttributeError: 'Wrong' object has no attribute 'missing'"),
        ("assertion", "AssertionError: expected 3 channels"),
        ("key", "KeyError: 'logits'"),
        ("leave", "SystemExit: nan in activations"),
        ("odd", "Odd"),
        ("depth", "RecursionError: maximum recursion depth exceeded"),
        ("parse", "JSONDecodeError: "),
        ("shape", "RuntimeError: mat1 and mat2 shapes cannot be multiplied"),
        ("backward", "KeyError: 'gradient'"),
        ("undeclared", "OSError: no file"),
    ],
)
def test_an_exception_of_any_type_names_the_line(how: str, reason: str) -> None:
    found = refusal(how)
    assert found.startswith(f"fails on made-up float64 images: {reason}")
    function = "<lambda>" if how == "backward" else how
    assert f"{os.path.basename(__file__)}, line " in found
    assert found.endswith(")" if how == "backward" else f", in {function})")
    assert torch.get_default_dtype() == torch.float32
    assert os.getcwd() != "/"


def test_logits_without_a_graph_are_refused() -> None:
    assert "does not require grad" in refusal("detached")
