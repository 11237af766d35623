"""Augmentations of training images: their settings, in one registry; `training/augment/` has their functions.

To add one, add a class to AUGMENTATIONS and a function to FUNCTIONS in `training/augment/augmenter.py`:
schema, suite reference and the tests of ranks, resumed trials and engines go through AUGMENTATIONS.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from harness.registry import one_of, title_of
from harness.strict import NotNegative, Positive, Strict

Pixels = Annotated[int, Field(ge=1, le=1024)]
Probability = Annotated[float, Field(gt=0, le=1)]


def _in_order(value: list[float]) -> list[float]:
    if value[0] > value[1]:
        raise ValueError(f"{value!r}, expected the smaller number first")
    return value


Range = Annotated[list[Positive], Field(min_length=2, max_length=2), AfterValidator(_in_order)]


class AugmentationSettings(Strict):
    """Settings of one augmentation."""

    model_config = ConfigDict(model_title_generator=title_of)

    takes_features: ClassVar[bool] = False

    name: str

    def problem(self, shape: tuple[int, ...]) -> str:
        """Say why samples of this shape cannot be augmented so; nothing if they can."""
        if len(shape) == 3 or self.takes_features:
            return ""
        return f"samples of shape {shape}, expected images (channels, height, width)"


class PadCrop(AugmentationSettings):
    """Pad the image on all sides and crop it at a random place: `torchvision.transforms.RandomCrop`."""

    name: Literal["pad_crop"] = Field(description="Name of the augmentation.")
    padding: Pixels = Field(description="Padding on each side, in pixels.", examples=[2])
    padding_mode: Literal["constant", "reflect"] = Field(
        default="constant", description="What the padding holds: zeros, or the image reflected at its edge."
    )

    def problem(self, shape: tuple[int, ...]) -> str:
        """Say so if there is too little to reflect."""
        if (general := super().problem(shape)) or self.padding_mode == "constant":
            return general
        side = min(shape[1:])
        return "" if self.padding < side else f"padding {self.padding} with reflect, expected below {side}"


class Shift(AugmentationSettings):
    """Shift the image by a random number of whole pixels in both directions; the rest becomes zero."""

    name: Literal["shift"] = Field(description="Name of the augmentation.")
    fraction: Annotated[float, Field(gt=0, lt=1)] = Field(
        description="Largest shift, as a fraction of height and of width.", examples=[0.2]
    )


class Rotation(AugmentationSettings):
    """Rotate the image about its centre by a random angle, bilinear; what comes from outside is zero."""

    name: Literal["rotation"] = Field(description="Name of the augmentation.")
    degrees: Annotated[float, Field(gt=0, le=180)] = Field(
        description="Largest angle in degrees, in both directions.", examples=[20.0]
    )


class Flip(AugmentationSettings):
    """Flip the image with a probability."""

    name: Literal["flip"] = Field(description="Name of the augmentation.")
    direction: Literal["horizontal", "vertical"] = Field(
        default="horizontal", description="Whether left and right are exchanged, or top and bottom."
    )
    p: Probability = Field(default=0.5, description="Probability of a flip.")


class Cutout(AugmentationSettings):
    """Set a square around a random pixel to zero, clipped at the edges (DeVries and Taylor, 2017)."""

    name: Literal["cutout"] = Field(description="Name of the augmentation.")
    size: Pixels = Field(description="Side of the square in pixels.", examples=[4])

    def problem(self, shape: tuple[int, ...]) -> str:
        """Say so if nothing of an image might be left."""
        if general := super().problem(shape):
            return general
        side = min(shape[1:])
        return "" if self.size <= side else f"size {self.size}, expected at most {side}, the side of an image"


class RandomErasing(AugmentationSettings):
    """Set a random rectangle to zero (Zhong et al., 2017): `torchvision.transforms.RandomErasing`."""

    name: Literal["random_erasing"] = Field(description="Name of the augmentation.")
    p: Probability = Field(default=0.5, description="Probability of a rectangle.")
    scale: Range = Field(default=[0.02, 0.33], description="Range of its area, as a fraction of the image's.")
    ratio: Range = Field(default=[0.3, 3.3], description="Range of the ratio of its height to its width.")


class ColorJitter(AugmentationSettings):
    """Change brightness, contrast, saturation and hue, in this order, by random factors.

    The factors and what they do are those of `torchvision.transforms.ColorJitter`, whose order is random.
    """

    name: Literal["color_jitter"] = Field(description="Name of the augmentation.")
    brightness: NotNegative = Field(
        default=0.0, description="Largest change of the brightness factor from 1.", examples=[0.4]
    )
    contrast: NotNegative = Field(
        default=0.0, description="Largest change of the contrast factor from 1.", examples=[0.4]
    )
    saturation: NotNegative = Field(
        default=0.0, description="Largest change of the saturation factor from 1.", examples=[0.4]
    )
    hue: Annotated[float, Field(ge=0, le=0.5)] = Field(
        default=0.0, description="Largest shift of the hue, as a fraction of its circle.", examples=[0.1]
    )

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if not (self.brightness or self.contrast or self.saturation or self.hue):
            raise ValueError("no change, expected brightness, contrast, saturation or hue above 0")
        return self

    def problem(self, shape: tuple[int, ...]) -> str:
        """Say so if the channels are no colours."""
        if general := super().problem(shape):
            return general
        if shape[0] == 3 or (shape[0] == 1 and not (self.saturation or self.hue)):
            return ""
        which = "3 channels for saturation and hue" if shape[0] == 1 else "1 or 3 channels"
        return f"images of {shape[0]} channel{'s' * (shape[0] > 1)}, expected {which}"


class MixingSettings(AugmentationSettings):
    """Settings of one that mixes each sample with another of the global batch."""

    alpha: Positive
    p: Probability = Field(default=1.0, description="Probability that a sample is mixed.")


class MixUp(MixingSettings):
    """Mix each sample with another of the global batch, and their losses alike (Zhang et al., 2018)."""

    takes_features: ClassVar[bool] = True

    name: Literal["mixup"] = Field(description="Name of the augmentation.")
    alpha: Positive = Field(
        description="Parameter of the distribution Beta(alpha, alpha) of a sample's share.", examples=[0.4]
    )


class CutMix(MixingSettings):
    """Replace a rectangle by another image's of the global batch, the loss by area (Yun et al., 2019)."""

    name: Literal["cutmix"] = Field(description="Name of the augmentation.")
    alpha: Positive = Field(
        default=1.0, description="Parameter of the distribution Beta(alpha, alpha) of an image's share."
    )


class RandAugmentAffine(AugmentationSettings):
    """Apply random ones of RandAugment's affine operations (Cubuk et al., 2020), resampled once, bilinear.

    They are identity, shear and translation along x or y, and rotation; what comes from outside is zero.
    """

    name: Literal["rand_augment_affine"] = Field(description="Name of the augmentation.")
    num_ops: Annotated[int, Field(ge=1, le=16)] = Field(
        default=2, description="Number of operations, one after the other."
    )
    magnitude: Annotated[int, Field(ge=1, le=30)] = Field(
        default=9, description="Strength of all operations, of 30, as torchvision's `RandAugment` scales it."
    )


AUGMENTATIONS: tuple[type[AugmentationSettings], ...] = (
    PadCrop,
    Shift,
    Rotation,
    Flip,
    Cutout,
    RandomErasing,
    ColorJitter,
    MixUp,
    CutMix,
    RandAugmentAffine,
)


def _at_most_one_mixes(found: list[AugmentationSettings]) -> list[AugmentationSettings]:
    mixing = [each.name for each in found if isinstance(each, MixingSettings)]
    if len(mixing) > 1:
        raise ValueError(f"{' and '.join(mixing)}, expected at most one that mixes samples")
    return found


if TYPE_CHECKING:
    Augmentations = list[AugmentationSettings]
else:
    Augmentations = Annotated[list[one_of(AUGMENTATIONS)], AfterValidator(_at_most_one_mixes)]
