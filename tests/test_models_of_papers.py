"""Shipped models from the literature: their sizes are the published ones, their parts are as defined."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from harness import model_registry
from models import lenet5, vit_tiny


def parameters(name: str, shape: tuple[int, int, int], classes: int, **settings: Any) -> int:
    """Count a model's parameters, without memory for their values."""
    with torch.device("meta"):
        built = model_registry.build({"name": name, **settings}, shape, classes)
    return sum(each.numel() for each in built.parameters())


GREY, COLOUR, LARGE = (1, 28, 28), (3, 32, 32), (3, 224, 224)


def test_lenet5_has_the_paper_s_parameters_and_a_linear_output_layer() -> None:
    assert parameters("lenet5", GREY, 10) == 60_000 + 84 * 10 + 10  # LeCun et al. (1998), section II-B


def test_kmnist_s_network_has_the_parameters_of_keras_example() -> None:
    assert parameters("kmnist_cnn", GREY, 10) == 1_199_882


def test_fashion_mnist_s_perceptron_has_its_parameters_and_keras_loss() -> None:
    assert parameters("fashion_mlp", GREY, 10) == 200_960 + 32_896 + 12_900 + 1_010  # its repository's README
    model = model_registry.build({"name": "fashion_mlp"}, GREY, 10).double().eval()
    images, labels = torch.rand(7, *GREY, dtype=torch.float64), torch.arange(7)
    units = torch.sigmoid(model[:-1](images))  # type: ignore[index]
    shares = units / units.sum(1, keepdim=True)
    expected = -shares[labels, labels].log().mean()  # keras.backend.categorical_crossentropy
    torch.testing.assert_close(functional.cross_entropy(model(images), labels), expected)


def test_the_perceptron_has_its_weights_biases_and_norms() -> None:
    assert parameters("mlp_3x1024", GREY, 10, dropout=0.2) == 2_913_290 + 3 * 2 * 1024


def test_the_residual_network_has_the_convolutions_of_the_paper_s_table() -> None:
    weights = 9 * 3 * 64  # the stem
    for inputs, outputs in ((64, 64), (64, 128), (128, 256), (256, 512)):
        weights += 9 * inputs * outputs + 3 * 9 * outputs * outputs
        weights += inputs * outputs if inputs != outputs else 0
    norms = 5 * 64 + (64 + 3 * 128) + (128 + 3 * 256) + (256 + 3 * 512) - 64 + 512
    assert parameters("preact_resnet18", COLOUR, 10) == weights + 2 * norms + 512 * 10 + 10
    assert round(parameters("preact_resnet18", COLOUR, 10) / 1e6, 1) == 11.2


# Tolstikhin et al. (2021), table 1: patch size, width, layers, hidden widths; millions of parameters, without
# the head's.
MIXERS = {
    "S/32": (32, 512, 8, 256, 2048, 19),
    "S/16": (16, 512, 8, 256, 2048, 18),
    "B/32": (32, 768, 12, 384, 3072, 60),
    "B/16": (16, 768, 12, 384, 3072, 59),
    "L/32": (32, 1024, 24, 512, 4096, 206),
    "L/16": (16, 1024, 24, 512, 4096, 207),
    "H/14": (14, 1280, 32, 640, 5120, 431),
}


@pytest.mark.parametrize("name", MIXERS)
def test_mlp_mixers_have_the_parameters_of_the_paper_s_table(name: str) -> None:
    *given, millions = MIXERS[name]
    keys = ("patch_size", "width", "depth", "tokens_hidden", "channels_hidden")
    settings = dict(zip(keys, given, strict=True))
    head = settings["width"] * 10 + 10
    assert round((parameters("mlp_mixer", LARGE, 10, **settings) - head) / 1e6) == millions
    if name == "S/16":  # what is not set
        assert parameters("mlp_mixer", LARGE, 10, patch_size=16) == parameters(
            "mlp_mixer", LARGE, 10, **settings
        )


def test_the_tiny_transformer_has_the_parameters_of_its_blocks() -> None:
    width, tokens = 192, 14 * 14 + 1
    block = (3 * width + width + 4 * width) * width + 4 * width * width + (3 + 1 + 4 + 1) * width + 4 * width
    stem, head = 3 * 16 * 16 * width + width, width * 1000 + 1000
    found = parameters("vit_tiny", LARGE, 1000, patch_size=16)
    assert found == stem + width + tokens * width + 12 * block + 2 * width + head
    assert round(found / 1e6, 1) == 5.7  # Touvron et al. (2021), where it is DeiT-Ti


def test_lenet5_has_the_maps_of_its_paper() -> None:
    model = model_registry.build({"name": "lenet5"}, GREY, 10)
    shapes = []
    for layer in model.children():
        layer.register_forward_hook(lambda *given: shapes.append(tuple(given[2].shape[1:])))
    model(torch.rand(2, *GREY))
    maps = [
        (1, 32, 32),
        (6, 28, 28),
        (6, 14, 14),
        (16, 10, 10),
        (16, 5, 5),
        (120, 1, 1),
        (120,),
        (84,),
        (10,),
    ]
    assert list(dict.fromkeys(shapes)) == maps


def test_the_maps_of_lenet5_are_connected_as_table_1_says() -> None:
    layer = lenet5.PartialConvolution().double()
    x = torch.rand(2, 6, 9, 9, dtype=torch.float64)
    torch.manual_seed(0)
    for parameter in layer.parameters():
        nn.init.normal_(parameter)
    rows = ["X...XXX..XXXX.XX", "XX...XXX..XXXX.X", "XXX...XXX..X.XXX"]
    rows += [".XXX..XXXX..X.XX", "..XXX..XXXX.XX.X", "...XXX..XXXX.XXX"]  # of S2, over the maps of C3
    weights = iter(layer.weight)
    for to in range(16):
        expected = layer.bias[to] + torch.zeros(2, 5, 5, dtype=torch.float64)
        sources = [source for source in range(6) if rows[source][to] == "X"]
        own = lenet5._SOURCES[to]
        assert sorted(own) == sources
        for source in own:
            expected = (
                expected + functional.conv2d(x[:, source : source + 1], next(weights)[None, None])[:, 0]
            )
        torch.testing.assert_close(layer(x)[:, to], expected, rtol=1e-12, atol=1e-12)


def test_attention_is_that_of_torch() -> None:
    torch.manual_seed(0)
    ours, theirs = vit_tiny.Attention(12, 3).double(), nn.MultiheadAttention(12, 3, batch_first=True).double()
    with torch.no_grad():
        theirs.in_proj_weight.copy_(ours.qkv.weight)
        theirs.in_proj_bias.copy_(ours.qkv.bias)
        theirs.out_proj.load_state_dict(ours.out.state_dict())
    x = torch.rand(2, 5, 12, dtype=torch.float64)
    torch.testing.assert_close(ours(x), theirs(x, x, x)[0], rtol=1e-12, atol=1e-12)
