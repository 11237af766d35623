"""Augmentations against torchvision's own: single ones to rounding, many draws in their distribution."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar

import pytest
import scipy.stats
import torch
from torch import Tensor
from torchvision.transforms import InterpolationMode, v2  # type: ignore[import-untyped]
from torchvision.transforms.v2 import functional as theirs  # type: ignore[import-untyped]

from harness.config.augmentations import AUGMENTATIONS, AugmentationSettings
from harness.training.augment.augmenter import FUNCTIONS, Augmenter
from tests.support.ranks import CPU
from tests.support.training_settings import settings_of

IMAGE = torch.rand(3, 9, 11, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 0.9 + 0.05
BILINEAR = InterpolationMode.BILINEAR


def applied(
    settings: AugmentationSettings, draws: list[list[float]] | Tensor, image: Tensor = IMAGE
) -> Tensor:
    """Augment copies of an image, one for each row of random numbers."""
    rows = torch.as_tensor(draws, dtype=torch.float64)
    found: Tensor = FUNCTIONS[type(settings)].function(settings, image.expand(len(rows), *image.shape), rows)
    return found


def many(settings: AugmentationSettings, count: int) -> Tensor:
    """Return the image augmented as each of so many samples."""
    draws = Augmenter([settings], 1, 10000, 10000, CPU).draws(torch.arange(count), torch.tensor(0))
    return applied(settings, draws)


class Affine(v2.RandAugment):  # type: ignore[misc]
    """RandAugment's affine operations."""

    _AUGMENTATION_SPACE: ClassVar = {
        name: how
        for name, how in v2.RandAugment._AUGMENTATION_SPACE.items()
        if name in ("Identity", "ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate")
    }


class CutoutByLoops(torch.nn.Module):
    """Cutout, pixel by pixel."""

    def forward(self, image: Tensor) -> Tensor:
        out, size = image.clone(), 4
        row, column = (int(torch.randint(side, ())) for side in image.shape[1:])
        for y in range(row - size // 2, row + size // 2):
            for x in range(column - size // 2, column + size // 2):
                if 0 <= y < image.shape[1] and 0 <= x < image.shape[2]:
                    out[:, y, x] = 0
        return out


LIKE_THEIRS: dict[str, tuple[dict[str, Any], torch.nn.Module]] = {
    "pad_crop": ({"padding": 2}, v2.RandomCrop((9, 11), padding=2)),
    "pad_crop reflect": (
        {"padding": 3, "padding_mode": "reflect"},
        v2.RandomCrop((9, 11), padding=3, padding_mode="reflect"),
    ),
    "shift": ({"fraction": 0.25}, v2.RandomAffine(0, translate=(0.25, 0.25))),
    "rotation": ({"degrees": 40.0}, v2.RandomRotation(40, BILINEAR, fill=None)),
    "flip": ({"p": 0.3}, v2.RandomHorizontalFlip(0.3)),
    "flip vertical": ({"direction": "vertical"}, v2.RandomVerticalFlip()),
    "cutout": ({"size": 4}, CutoutByLoops()),
    "random_erasing": ({"p": 0.7}, v2.RandomErasing(0.7)),
    "random_erasing large": (
        {"p": 1.0, "scale": [0.5, 1.0], "ratio": [0.3, 2.0]},
        v2.RandomErasing(1.0, (0.5, 1.0), (0.3, 2.0)),
    ),
    "color_jitter brightness": ({"brightness": 0.6}, v2.ColorJitter(brightness=0.6)),
    "color_jitter contrast": ({"contrast": 1.5}, v2.ColorJitter(contrast=1.5)),
    "color_jitter saturation": ({"saturation": 0.8}, v2.ColorJitter(saturation=0.8)),
    "color_jitter hue": ({"hue": 0.2}, v2.ColorJitter(hue=0.2)),
    "rand_augment_affine": ({"num_ops": 1, "magnitude": 20}, Affine(1, 20, interpolation=BILINEAR)),
}


@pytest.mark.parametrize("name", LIKE_THEIRS)
def test_many_draws_have_torchvisions_mean_and_spread(name: str) -> None:
    own, transform = LIKE_THEIRS[name]
    found = many(settings_of(name.partition(" ")[0], **own), 4000)
    torch.manual_seed(0)
    expected = torch.stack([transform(IMAGE) for _ in range(800)])
    error = (found.var(0) / len(found) + expected.var(0) / len(expected)).sqrt().clamp(min=1e-6)
    assert float(((found.mean(0) - expected.mean(0)) / error).abs().max()) < 5
    assert float((found.std(0) - expected.std(0)).abs().max()) < 0.06
    assert float(found.std(0).max()) > 0.01


def test_every_augmentation_has_a_function() -> None:
    assert set(FUNCTIONS) == set(AUGMENTATIONS)


def test_crops_begin_at_all_places_equally_often() -> None:
    places = many(settings_of("pad_crop", padding=2), 10000)[:, 0]
    padded = torch.nn.functional.pad(IMAGE[0], [2] * 4)
    windows = padded.unfold(0, 9, 1).unfold(1, 11, 1).flatten(0, 1)
    counts = (places[:, None] == windows).flatten(2).all(2).sum(0)
    assert len(counts) == 25
    assert int(counts.sum()) == 10000
    assert scipy.stats.chisquare(counts.numpy()).pvalue > 0.001


@pytest.mark.parametrize("angle", [-25.0, -3.0, 0.0, 14.5, 30.0])
def test_a_rotation_is_torchvisions(angle: float) -> None:
    (found,) = applied(settings_of("rotation", degrees=30), [[(angle / 30 + 1) / 2]])
    torch.testing.assert_close(found, theirs.rotate(IMAGE, angle, BILINEAR), rtol=0, atol=1e-6)


AFFINE: list[Callable[[float], dict[str, Any]]] = [
    lambda sign: {},
    lambda sign: {"shear": [sign * math.degrees(math.atan(0.2)), 0.0], "center": [0, 0]},
    lambda sign: {"shear": [0.0, sign * math.degrees(math.atan(0.2))], "center": [0, 0]},
    lambda sign: {"translate": [sign * int(150 / 331 * 11 * 2 / 3), 0]},
    lambda sign: {"translate": [0, sign * int(150 / 331 * 9 * 2 / 3)]},
    lambda sign: {"angle": sign * 20.0},
]


@pytest.mark.parametrize("number", range(6))
def test_an_affine_operation_is_torchvisions(number: int) -> None:
    found = applied(
        settings_of("rand_augment_affine", num_ops=1, magnitude=20),
        [[(number + 0.5) / 6, sign] for sign in (0.2, 0.7)],
    )
    plain = {"angle": 0.0, "translate": [0, 0], "scale": 1.0, "shear": [0.0, 0.0]}
    expected = [
        theirs.affine(IMAGE, **{**plain, **AFFINE[number](sign)}, interpolation=BILINEAR) for sign in (1, -1)
    ]
    pairs = [sorted(each, key=lambda x: float(x.sum())) for each in (found.unbind(), expected)]
    for one, another in zip(*pairs, strict=True):
        torch.testing.assert_close(one, another, rtol=0, atol=1e-6)


def test_affine_operations_are_composed_in_their_order() -> None:
    settings = settings_of("rand_augment_affine", num_ops=2, magnitude=30)
    shear, move = 1.5 / 6, 3.5 / 6
    image = torch.zeros(1, 21, 21, dtype=torch.float64)
    image[0, 9:12, 9:12] = 1
    both = applied(settings, [[shear, move, 0.9, 0.9], [move, shear, 0.9, 0.9]], image)
    single = settings_of("rand_augment_affine", num_ops=1, magnitude=30)
    in_turn = applied(single, [[move, 0.9]], applied(single, [[shear, 0.9]], image)[0])
    torch.testing.assert_close(both[:1], in_turn, rtol=0, atol=1e-9)  # a move is of whole pixels


@pytest.mark.parametrize("part", ["brightness", "contrast", "saturation"])
def test_a_factor_of_colours_does_what_torchvisions_does(part: str) -> None:
    draws = [0.0, 0.3, 0.5, 0.9]
    found = applied(settings_of("color_jitter", **{part: 0.5}), [[each] * 4 for each in draws])
    adjust = getattr(theirs, f"adjust_{part}")
    expected = torch.stack([adjust(IMAGE, 0.5 + each) for each in draws])
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-7)
    torch.testing.assert_close(found[2], IMAGE, rtol=0, atol=1e-12)


@pytest.mark.parametrize("pixels", [IMAGE, IMAGE.round(), IMAGE[:1].expand(3, -1, -1)])
def test_a_turn_of_the_hue_does_what_torchvisions_does(pixels: Tensor) -> None:
    draws = [0.0, 0.2, 0.5, 0.7]
    found = applied(settings_of("color_jitter", hue=0.4), [[each] * 4 for each in draws], pixels)
    expected = torch.stack([theirs.adjust_hue(pixels, (2 * each - 1) * 0.4) for each in draws])
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)
    torch.testing.assert_close(found[2], pixels, rtol=0, atol=1e-12)


def test_a_grey_image_has_brightness_and_contrast() -> None:
    grey = IMAGE[:1]
    (found,) = applied(settings_of("color_jitter", brightness=0.5, contrast=0.5), [[0.9, 0.1, 0, 0]], grey)
    expected = theirs.adjust_contrast(theirs.adjust_brightness(grey, 1.4), 0.6)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-7)


@pytest.mark.parametrize(
    ("name", "others", "draws"),
    [
        ("pad_crop", {"padding": 2}, [0.5, 0.5]),
        ("pad_crop", {"padding": 2, "padding_mode": "reflect"}, [0.5, 0.5]),
        ("shift", {"fraction": 0.3}, [0.5, 0.5]),
        ("rotation", {"degrees": 90.0}, [0.5]),
        ("flip", {}, [0.5]),
        ("random_erasing", {}, [0.5, *[0.1] * 22]),
        ("rand_augment_affine", {}, [0.0, 0.1, 0.3, 0.9]),
    ],
)
def test_a_draw_of_no_change_changes_nothing(name: str, others: dict[str, Any], draws: list[float]) -> None:
    (found,) = applied(settings_of(name, **others), [draws])
    torch.testing.assert_close(found, IMAGE, rtol=0, atol=1e-12)
