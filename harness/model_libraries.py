"""Libraries of models, by the prefix of a model's name: `torchvision:resnet18`, `timm:resnet18`.

To add a library, add an entry to LIBRARIES. Its models are built without pretrained weights, by a callable
like a user's own. No library, and no torch, is imported before one of its models is built.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import inspect
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Any

from harness.errors import ModelError, nearest

if TYPE_CHECKING:
    from torch import nn

ImageShape = tuple[int, ...]
Build = Callable[..., "nn.Module"]

# What constructors call the size of their images, where they take images of one size only.
_SIZES: Mapping[str, Callable[[ImageShape], Any]] = {
    "image_size": lambda shape: shape[1],
    "input_size": lambda shape: shape[1:],
    "img_size": lambda shape: shape[1:],
}
# torchvision's families whose first convolution has stride 2; after some, a max pooling halves images again.
_STRIDED = (
    "DenseNet",
    "EfficientNet",
    "GoogLeNet",
    "MNASNet",
    "MobileNetV2",
    "MobileNetV3",
    "RegNet",
    "ResNet",
    "ShuffleNetV2",
)


@dataclass(frozen=True)
class Library:
    """A package of models: how its constructors are found and called.

    `reserved` are the constructors' parameters that no suite may set. `extra` are settings beside the
    constructors' parameters, as JSON Schema, of the `extra_families` (the names of their classes).
    """

    name: str
    description: str
    names: Callable[[ModuleType], list[str]]
    constructor: Callable[[ModuleType, str], Build]
    call: Callable[[Build, ImageShape, int, dict[str, Any]], nn.Module]
    reserved: frozenset[str]
    extra: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    extra_families: tuple[str, ...] = ()

    @property
    def distribution(self) -> str | None:
        """Return `name==version`, the same for all builds of a version; None if it is not installed."""
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            return f"{self.name}=={importlib.metadata.version(self.name).partition('+')[0]}"
        return None

    def builder(self, name: str) -> Build:
        """Return the callable (image_shape, num_classes, **settings) of a model; raise ModelError if none."""
        try:
            package = importlib.import_module(self.name)
        except Exception as error:  # also if what it imports does not fit
            raise ModelError(
                f"model '{self.name}:{name}': the package {self.name} cannot be imported: {error}; "
                f"pip install {self.name}"
            ) from error
        known = self.names(package)
        if name not in known:
            raise ModelError(
                f"model '{self.name}:{name}': {self.name} has no model {name!r}; {_closest(name, known)}"
            )
        constructor = self.constructor(package, name)
        signature = self._signature(constructor)

        def build(image_shape: ImageShape, num_classes: int, **settings: Any) -> nn.Module:
            if len(image_shape) != 3:
                raise ModelError(
                    f"model '{self.name}:{name}': found {image_shape[0]} features, expected images"
                )
            for key in self.extra:
                if not isinstance(found := settings.get(key, False), bool):
                    raise ModelError(
                        f"model '{self.name}:{name}': {key}: found {found!r}, expected true or false"
                    )
            sizes = {key: of(image_shape) for key, of in _SIZES.items() if key in signature.parameters}
            return self.call(constructor, image_shape, num_classes, sizes | settings)

        build.__signature__ = signature  # type: ignore[attr-defined]
        return build

    def _signature(self, constructor: Build) -> inspect.Signature:
        """Return the signature of a model's callable.

        Its settings are the optional arguments of the constructor and of the family's class, to which it
        passes them on; a constructor that does not name its class passes on whatever it is given.
        """
        family = typing.get_type_hints(constructor).get("return")
        own = dict(inspect.signature(constructor).parameters)
        if family is not None:
            own = {**inspect.signature(family).parameters, **own}
        has_extra = family is not None and family.__name__ in self.extra_families
        defaults = {key: each["default"] for key, each in self.extra.items()} if has_extra else {}
        for key, each in own.items():
            if key in _SIZES or each.default is not inspect.Parameter.empty:
                defaults[key] = each.default if isinstance(each.default, int | float | str) else None
        settings = [
            inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=defaults[key])
            for key in sorted(set(defaults) - self.reserved)
        ]
        if family is None:
            settings.append(inspect.Parameter("settings", inspect.Parameter.VAR_KEYWORD))
        first = [
            inspect.Parameter(key, inspect.Parameter.POSITIONAL_OR_KEYWORD)
            for key in ("image_shape", "num_classes")
        ]
        return inspect.Signature([*first, *settings])


def library_of(model: str) -> Library | None:
    """Return the library that a model's name names; None if it names none."""
    prefix, colon, _ = model.partition(":")
    return next((each for each in LIBRARIES if colon and each.name == prefix), None)


def _closest(name: str, known: list[str]) -> str:
    """Return a hint, with the names that resemble a name rather than hundreds of them."""
    start = name.rstrip("0123456789_")[:4]
    return nearest(name, [each for each in known if each.startswith(start)] or known)


def _torchvision_names(package: ModuleType) -> list[str]:
    return list(package.models.list_models(module=package.models))


def _call_torchvision(
    constructor: Build, image_shape: ImageShape, num_classes: int, settings: dict[str, Any]
) -> nn.Module:
    small = settings.pop("small_input", False)
    channels = image_shape[0]
    stem = contextlib.nullcontext() if channels == 3 and not small else _stem(channels, small=small)
    with stem:
        return constructor(weights=None, num_classes=num_classes, **settings)


@contextlib.contextmanager
def _stem(channels: int, *, small: bool) -> Iterator[None]:
    """Have the first convolution of the model that is built take so many channels.

    If it is `small`, it is of 3 x 3 with stride 1, and the first max pooling is left out. Replaced while the
    model is built, layers are initialised as its own.
    """
    from torch import nn
    from torch.nn.modules.module import register_module_module_registration_hook

    replaced: set[type] = set()

    def replace(parent: nn.Module, name: str, module: nn.Module | None) -> nn.Module | None:
        if type(module) in replaced:
            return None
        if isinstance(module, nn.Conv2d) and module.in_channels == 3:
            replaced.add(nn.Conv2d)
            new: Callable[..., nn.Module] = partial(nn.Conv2d, channels, module.out_channels)
            if small:
                return new(3, stride=1, padding=1, bias=module.bias is not None)
            return new(module.kernel_size, module.stride, module.padding, bias=module.bias is not None)
        if small and isinstance(module, nn.MaxPool2d):
            replaced.add(nn.MaxPool2d)
            return nn.Identity()
        return None

    hook = register_module_module_registration_hook(replace)  # type: ignore[arg-type]
    try:
        yield
    finally:
        hook.remove()
    assert nn.Conv2d in replaced  # of every classifier, as a test says


def _call_timm(
    constructor: Build, image_shape: ImageShape, num_classes: int, settings: dict[str, Any]
) -> nn.Module:
    return constructor(pretrained=False, in_chans=image_shape[0], num_classes=num_classes, **settings)


LIBRARIES = (
    Library(
        name="torchvision",
        description="A classifier of torchvision; further keys are keyword arguments of its constructor.",
        names=_torchvision_names,
        constructor=lambda package, name: package.models.get_model_builder(name),
        call=_call_torchvision,
        reserved=frozenset({"weights", "progress", "num_classes"}),
        extra={
            "small_input": {
                "type": "boolean",
                "default": False,
                "description": "Whether the first convolution is of 3 x 3 with stride 1, without a max "
                f"pooling after it, for small images; for {', '.join(_STRIDED[:-1])} and {_STRIDED[-1]}.",
            }
        },
        extra_families=_STRIDED,
    ),
    Library(
        name="timm",
        description="A model of timm, where that is installed; further keys are keyword arguments of its "
        "constructor.",
        names=lambda package: list(package.list_models()),
        constructor=lambda package, name: package.models.model_entrypoint(name),
        call=_call_timm,
        reserved=frozenset({"pretrained", "in_chans", "num_classes", "device", "dtype"}),
    ),
)
