"""Models of libraries: built as the library builds them, for any channels; checked; told apart by version."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn
from torchvision import models  # type: ignore[import-untyped]

from harness import model_registry
from harness.errors import ModelError
from harness.model_libraries import library_of
from harness.training.model_check import check_model
from tests.support.trials import small_dataset, small_trial

# The least of each family, the settings with which it is trained exactly, and a side that it takes.
FAMILIES: dict[str, tuple[dict[str, Any], int]] = {
    "alexnet": ({}, 64),
    "convnext_tiny": ({"stochastic_depth_prob": 0.0}, 32),
    "densenet121": ({}, 32),
    "efficientnet_b0": ({"stochastic_depth_prob": 0.0}, 32),
    "googlenet": ({"aux_logits": False, "init_weights": False}, 32),
    "inception_v3": ({"aux_logits": False, "init_weights": False}, 75),
    "mnasnet0_5": ({}, 32),
    "mobilenet_v2": ({"width_mult": 0.25}, 32),
    "mobilenet_v3_small": ({}, 32),
    "regnet_x_400mf": ({}, 32),
    "resnet18": ({}, 32),
    "shufflenet_v2_x0_5": ({}, 32),
    "squeezenet1_1": ({}, 32),
    "vgg11": ({}, 32),
    "vit_b_32": ({}, 32),
}
# They draw random numbers of their own, and have no setting against it.
DRAWING: dict[str, tuple[dict[str, Any], int]] = {"maxvit_t": ({}, 224), "swin_t": ({}, 32)}
ALL = FAMILIES | DRAWING
STRIDED = (
    "densenet121",
    "efficientnet_b0",
    "googlenet",
    "mnasnet0_5",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "regnet_x_400mf",
    "resnet18",
    "shufflenet_v2_x0_5",
)


def of_torchvision(name: str, shape: tuple[int, int, int], **settings: Any) -> nn.Module:
    return model_registry.build({"name": f"torchvision:{name}", **settings}, shape, 10)


def device_for(name: str) -> torch.device:
    """Return where weights take neither memory nor time, unless the constructor computes with tensors."""
    return torch.device("cpu" if name.startswith("regnet") else "meta")


def first_convolution(model: nn.Module) -> nn.Conv2d:
    return next(each for each in model.modules() if isinstance(each, nn.Conv2d))


def test_a_model_of_each_family_is_here() -> None:
    names = models.list_models(module=models)
    assert {models.get_model_builder(name).__module__ for name in names} == {
        models.get_model_builder(name).__module__ for name in ALL
    }


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("channels", [1, 3])
def test_the_first_convolution_has_the_images_channels(name: str, channels: int) -> None:
    settings, side = ALL[name]
    with device_for(name):
        model = of_torchvision(name, (channels, side, side), **settings)
    assert first_convolution(model).in_channels == channels
    assert not any(
        each.in_channels == 3 != channels for each in model.modules() if isinstance(each, nn.Conv2d)
    )


def test_of_colour_images_the_model_is_what_torchvision_builds() -> None:
    torch.manual_seed(3)
    plain = models.squeezenet1_1(num_classes=10, dropout=0.25)
    torch.manual_seed(3)
    ours = of_torchvision("squeezenet1_1", (3, 32, 32), dropout=0.25)
    assert str(ours) == str(plain)
    for (name, one), other in zip(ours.state_dict().items(), plain.state_dict().values(), strict=True):
        assert torch.equal(one, other), name


def test_a_replaced_convolution_is_initialised_as_the_family_does() -> None:
    torch.manual_seed(3)
    first = first_convolution(of_torchvision("resnet18", (1, 8, 8), small_input=True))
    assert first.kernel_size == (3, 3)
    # He et al. (2015): a standard deviation of sqrt(2 / (9 * 64)), where torch's default is sqrt(1 / 27).
    assert first.weight.std().item() == pytest.approx((2 / (9 * 64)) ** 0.5, rel=0.1)


@pytest.mark.parametrize("name", STRIDED)
def test_a_small_input_keeps_its_size_in_the_stem(name: str) -> None:
    sizes: list[torch.Size] = []
    with device_for(name):
        model = of_torchvision(name, (1, 32, 32), small_input=True, **FAMILIES[name][0]).eval()
        first = first_convolution(model)
        first.register_forward_hook(lambda *given: sizes.append(given[2].shape))
        pools = [each for each in model.modules() if isinstance(each, nn.MaxPool2d)]
        plain = of_torchvision(name, (1, 32, 32), **FAMILIES[name][0])
        model(torch.zeros(2, 1, 32, 32))
    assert [tuple(each) for each in sizes] == [(2, first.out_channels, 32, 32)]
    before = [each for each in plain.modules() if isinstance(each, nn.MaxPool2d)]
    assert len(pools) == max(len(before) - 1, 0)


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ({"name": "torchvision:resnet19"}, "torchvision has no model 'resnet19'; did you mean 'resnet18'"),
        ({"name": "torchvision:Resnet18"}, "has no model 'Resnet18'; did you mean 'resnet18'"),
        ({"name": "torchvision:fcn_resnet50"}, "has no model 'fcn_resnet50'"),  # no classifier
        ({"name": "torchvision:resnet18", "width": 3}, "did you mean 'width_per_group'"),
        ({"name": "torchvision:resnet18", "weights": "DEFAULT"}, "unexpected keyword argument 'weights'"),
        ({"name": "torchvision:resnet18", "num_classes": 10}, "multiple values for argument 'num_classes'"),
        ({"name": "torchvision:vgg11", "small_input": True}, "unexpected keyword argument 'small_input'"),
        ({"name": "torchvision:resnet18", "small_input": "yes"}, "found 'yes', expected true or false"),
        ({"name": "torchvision:vit_b_32"}, "indivisible by patch size"),
        ({"name": "torchvision:swin_t", "stochastic_depth_prob": 0.0}, "TypeError: .*multiple values"),
    ],
    ids=str,
)
def test_mistakes_are_told(model: dict[str, Any], reason: str) -> None:
    with pytest.raises(ModelError, match=reason) as refusal:
        model_registry.build(model, (1, 28, 28), 10)
    assert str(refusal.value).startswith(f"model {model['name']!r}: ")


def test_features_are_refused() -> None:
    with pytest.raises(ModelError, match="'torchvision:vit_b_32': found 5 features, expected images"):
        model_registry.build({"name": "torchvision:vit_b_32"}, (5,), 3)


def check(name: str, settings: dict[str, Any], side: int) -> None:
    trial = small_trial({"name": f"torchvision:{name}", **settings}, batch_size=6)
    check_model(trial.settings, small_dataset(train=6, test=4, side=side))


@pytest.mark.e2e
@pytest.mark.parametrize(
    "name",
    [
        "googlenet",
        "mnasnet0_5",
        "mobilenet_v2",
        "mobilenet_v3_small",
        "regnet_x_400mf",
        "resnet18",
        "shufflenet_v2_x0_5",
        "squeezenet1_1",
    ],
)
def test_models_of_torchvision_are_trained_exactly(name: str) -> None:
    check(name, *FAMILIES[name])


@pytest.mark.parametrize("name", ["efficientnet_b0", pytest.param("swin_t", marks=pytest.mark.e2e)])
def test_stochastic_depth_is_refused_with_its_layers_name(name: str) -> None:
    with pytest.raises(ModelError, match=r"layer 'features\..*\(StochasticDepth\) draws random numbers"):
        check(name, {}, 32)


def test_auxiliary_logits_are_refused() -> None:
    with pytest.raises(ModelError, match="its forward returns a GoogLeNetOutputs of 3"):
        check("googlenet", {"init_weights": False}, 32)


TIMM = """\
from torch import nn


class Net(nn.Module):
    def __init__(self, depth, num_classes=1000, in_chans=3, img_size=224, drop_rate=0.0):
        super().__init__()
        self.given = depth, num_classes, in_chans, img_size, drop_rate
        self.layer = nn.Linear(1, 1)


def small_net(pretrained=False, **named) -> Net:
    assert pretrained is False
    return Net(depth=3, **named)


def unknown(pretrained=False, **named):
    return Net(depth=3, **named)


class models:
    model_entrypoint = globals().__getitem__


def list_models():
    return ["small_net", "unknown"]
"""


@pytest.fixture
def timm(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a made-up timm; the real one is an extra."""
    made_up = ModuleType("timm")
    exec(TIMM, vars(made_up))
    monkeypatch.setitem(sys.modules, "timm", made_up)


@pytest.mark.usefixtures("timm")
@pytest.mark.parametrize("name", ["small_net", "unknown"])
def test_timm_is_asked_for_untrained_weights_of_the_images_shape(name: str) -> None:
    built = model_registry.build({"name": f"timm:{name}", "drop_rate": 0.5}, (1, 32, 24), 7)
    size = (32, 24) if name == "small_net" else 224  # whether another takes a size is not known
    assert built.given == (3, 7, 1, size, 0.5)
    with pytest.raises(ModelError, match="drop_rat"):
        model_registry.build({"name": f"timm:{name}", "drop_rat": 0.5}, (1, 32, 24), 7)


def test_without_timm_it_is_told_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ModelError, match=r"package timm cannot be imported: .*; pip install timm"):
        model_registry.build({"name": "timm:resnet18"}, (1, 28, 28), 10)


@pytest.mark.parametrize(
    ("name", "library"),
    [
        ("torchvision:resnet18", "torchvision"),
        ("timm:resnet18", "timm"),
        ("timm", None),
        ("own.timm:net", None),
    ],
)
def test_a_library_is_known_by_its_prefix(name: str, library: str | None) -> None:
    found = library_of(name)
    assert (found.name if found else None) == library
