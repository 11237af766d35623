"""The mixer against an independent, naive computation of its definition; all models' counts and settings."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from harness import model_registry
from harness.errors import ModelError
from models import patch_mixer
from tests.support.trials import SHIPPED


def norm(x: Tensor, layer: nn.BatchNorm1d) -> Tensor:
    """Normalise (N, C, L) channel by channel, by the formula."""
    out = torch.empty_like(x)
    for channel in range(x.shape[1]):
        values = x[:, channel]
        if layer.training:
            mean, variance = values.mean(), ((values - values.mean()) ** 2).mean()
        else:
            assert layer.running_mean is not None
            assert layer.running_var is not None
            mean, variance = layer.running_mean[channel], layer.running_var[channel]
        scaled = (values - mean) / torch.sqrt(variance + 1e-5)
        out[:, channel] = scaled * layer.weight[channel] + layer.bias[channel]
    return out


def linear(x: Tensor, layer: nn.Linear) -> Tensor:
    """Multiply the last axis, term by term."""
    return torch.einsum("...i,oi->...o", x, layer.weight) + layer.bias


def naive_stem(x: Tensor, stem: patch_mixer.Stem) -> Tensor:
    patches = nn.Unfold(stem.patch_size, stride=stem.patch_size)(x).transpose(1, 2)
    return norm(linear(patches, stem.linear), stem.norm).clamp(min=0)


def naive_block(x: Tensor, block: patch_mixer.Block) -> Tensor:
    tokens = x.permute(0, 2, 1)
    tokens = norm(linear(tokens, block.tokens_in), block.tokens_norm).clamp(min=0)
    mixed = linear(tokens, block.tokens_out).permute(0, 2, 1)
    mixed = norm(linear(mixed, block.features_in), block.features_norm).clamp(min=0)
    return (x + linear(mixed, block.features_out)).clamp(min=0)


def naive_classifier(x: Tensor, classifier: nn.Sequential) -> Tensor:
    """Compute the classifier without dropout."""
    first, second, last = (layer for layer in classifier if isinstance(layer, nn.Linear))
    features = sum(x[:, token] for token in range(x.shape[1])) / x.shape[1]
    assert isinstance(features, Tensor)
    return linear(linear(linear(features, first).clamp(min=0), second).clamp(min=0), last)


def small_mixer(*, train: bool) -> patch_mixer.PatchMixer:
    torch.manual_seed(0)
    mixer = patch_mixer.build((2, 8, 8), 10, patch_size=4, width=6, hidden=[5, 7]).double()
    assert isinstance(mixer, patch_mixer.PatchMixer)
    with torch.no_grad():
        for module in mixer.modules():
            if isinstance(module, nn.BatchNorm1d):
                module.weight.uniform_(0.5, 2)
                module.bias.normal_()
                assert module.running_mean is not None
                assert module.running_var is not None
                module.running_mean.normal_()
                module.running_var.uniform_(0.5, 2)
            if isinstance(module, nn.Dropout):
                module.p = 0.0
    return mixer.train(train)


@pytest.mark.parametrize("train", [True, False])
def test_every_block_of_the_mixer_is_as_defined(train: bool) -> None:
    mixer = small_mixer(train=train)
    images = torch.rand(5, 2, 8, 8, dtype=torch.float64)
    x, expected = mixer.stem(images), naive_stem(images, mixer.stem)
    torch.testing.assert_close(x.transpose(0, 1), expected, rtol=1e-12, atol=1e-13)
    for block in mixer.blocks:
        assert isinstance(block, patch_mixer.Block)
        expected = naive_block(x.transpose(0, 1), block)
        x = block(x)
        torch.testing.assert_close(x.transpose(0, 1), expected, rtol=1e-12, atol=1e-13)
    logits, expected = mixer(images), naive_classifier(x.transpose(0, 1), mixer.classifier)
    torch.testing.assert_close(logits, expected, rtol=1e-12, atol=1e-13)


def test_gradients_of_the_mixer_are_those_of_its_definition() -> None:
    images = torch.rand(5, 2, 8, 8, dtype=torch.float64)
    labels = torch.arange(5)
    mixer = small_mixer(train=True)
    functional.cross_entropy(mixer(images), labels).backward()  # type: ignore[no-untyped-call]
    naive = small_mixer(train=True)
    x = naive_stem(images, naive.stem)
    for block in naive.blocks:
        assert isinstance(block, patch_mixer.Block)
        x = naive_block(x, block)
    functional.cross_entropy(naive_classifier(x, naive.classifier), labels).backward()  # type: ignore[no-untyped-call]
    for (name, own), (_, theirs) in zip(mixer.named_parameters(), naive.named_parameters(), strict=True):
        assert own.grad is not None, name
        torch.testing.assert_close(own.grad, theirs.grad, rtol=1e-9, atol=1e-14, msg=name)


# experiment: patch size, width, hidden sizes, parameters
CONFIGURATIONS = {
    "exp-1": (2, 128, [64], 85_898),
    "exp-2": (4, 128, [64], 61_898),
    "exp-3": (8, 128, [64], 61_658),
    "exp-4": (4, 256, [64, 128, 256], 429_130),
    "exp-5": (8, 256, [64, 128, 256], 397_882),
    "final": (4, 256, [64, 64, 128, 128, 256, 256], 719_626),
}


def counted(patch_size: int, width: int, hidden: list[int]) -> int:
    """Count the parameters by hand: weights and biases of linear layers, two for each norm's channel."""
    tokens = (32 // patch_size) ** 2
    total = patch_size**2 * width + width + 2 * tokens
    for size in hidden:
        total += tokens * size + size + 2 * width + size * tokens + tokens
        total += width * size + size + 2 * tokens + size * width + width
    return total + 2 * (width * width + width) + width * 10 + 10


@pytest.mark.parametrize("experiment", CONFIGURATIONS)
def test_parameters_of_the_report(experiment: str) -> None:
    patch_size, width, hidden, parameters = CONFIGURATIONS[experiment]
    mixer = patch_mixer.build((1, 32, 32), 10, patch_size=patch_size, width=width, hidden=hidden)
    assert sum(each.numel() for each in mixer.parameters()) == parameters
    assert counted(patch_size, width, hidden) == parameters


@pytest.mark.parametrize("name", SHIPPED)
def test_an_empty_batch_goes_through(name: str) -> None:
    built = model_registry.build(SHIPPED[name], (1, 8, 8), 10).eval()
    logits = built(torch.zeros(0, 1, 8, 8))
    assert logits.shape == (0, 10)
    logits.sum().backward()


@pytest.mark.parametrize("name", SHIPPED)
def test_declared_settings_are_those_of_build(name: str) -> None:
    assert set(SHIPPED) == set(model_registry.shipped())
    source = Path(inspect.getfile(patch_mixer)).parent / f"{name}.py"
    build = next(
        node
        for node in ast.parse(source.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef) and node.name == "build"
    )
    types: dict[str, Any] = {"int": "integer", "float": "number", "list[int]": "array"}
    annotated = {
        each.arg: types[ast.unparse(each.annotation)] for each in build.args.kwonlyargs if each.annotation
    }
    declared = model_registry.declared_settings(name)
    assert {key: value["type"] for key, value in declared.items()} == annotated
    defaults = {
        each.arg: ast.literal_eval(default)
        for each, default in zip(build.args.kwonlyargs, build.args.kw_defaults, strict=True)
        if default
    }
    assert {key: value["default"] for key, value in declared.items() if "default" in value} == defaults


@pytest.mark.parametrize("name", SHIPPED)
def test_a_model_takes_features_or_says_that_it_takes_images_only(name: str) -> None:
    if name in {"fashion_mlp", "mlp", "mlp_3x1024"}:
        assert model_registry.build(SHIPPED[name], (5,), 3)(torch.zeros(2, 5)).shape == (2, 3)
    else:
        with pytest.raises(ModelError, match="found 5 features, expected images"):
            model_registry.build(SHIPPED[name], (5,), 3)


@pytest.mark.parametrize(
    ("shape", "settings", "message"),
    [
        ((1, 8, 8), {"name": "patch_mixer", "patch_size": 3, "width": 4, "hidden": [4]}, "a divisor of"),
        ((1, 8, 6), {"name": "patch_mixer", "patch_size": 2, "width": 4, "hidden": [4]}, "square"),
        ((1, 8, 8), {"name": "convnet", "channels": [4] * 4, "dropout": 0.0}, "3 or fewer"),
        ((1, 33, 8), {"name": "lenet5"}, "32 x 32 or less"),
        ((1, 5, 8), {"name": "kmnist_cnn"}, "6 x 6 or more"),
        ((1, 8, 6), {"name": "mlp_mixer", "patch_size": 4}, "a divisor of the sides 8 and 6"),
        ((1, 8, 6), {"name": "vit_tiny", "patch_size": 4}, "a divisor of the sides 8 and 6"),
        ((1, 8, 8), {"name": "vit_tiny", "patch_size": 4, "width": 10, "heads": 4}, "a multiple of the 4"),
    ],
)
def test_settings_that_do_not_fit_the_image(
    shape: tuple[int, int, int], settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        model_registry.build(settings, shape, 10)
