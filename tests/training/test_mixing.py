"""Mixed samples: shares of the Beta distribution, rectangles by torchvision's formula."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
import torch

from harness.training.augment import mixing
from harness.training.augment.augmenter import FUNCTIONS, Augmenter
from tests.support.ranks import CPU
from tests.support.training_settings import settings_of

IMAGE = torch.rand(3, 9, 11, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("alpha", [0.1, 0.4, 1.0, 8.0])
def test_shares_are_of_the_beta_distribution(alpha: float) -> None:
    table = mixing.quantiles(alpha).numpy()
    assert np.all(np.diff(table) >= 0)
    assert table.mean() == pytest.approx(0.5, abs=1e-6)
    assert table.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=1e-3)
    below = table[: len(table) // 2]  # near 1 there are fewer numbers than near 0
    assert scipy.stats.beta(alpha, alpha).cdf(below) == pytest.approx((np.arange(2**15) + 0.5) / 2**16)
    assert table[::-1] == pytest.approx(1 - table)
    settings = settings_of("mixup", alpha=alpha)
    draws = Augmenter([settings], 1, 10000, 10000, CPU).draws(torch.arange(4000), torch.tensor(0))
    ones = torch.ones(4000, 1, dtype=torch.float64)
    mixed, share = mixing.mixup(settings, ones, 0 * ones, draws, torch.from_numpy(table))  # type: ignore[arg-type]
    assert torch.equal(mixed[:, 0], share)
    assert scipy.stats.kstest(share.numpy(), table).pvalue > 0.001


@pytest.mark.parametrize("name", ["mixup", "cutmix"])
def test_samples_are_mixed_with_a_probability(name: str) -> None:
    settings = settings_of(name, alpha=1.0, p=0.25)
    draws = Augmenter([settings], 1, 10000, 10000, CPU).draws(torch.arange(4000), torch.tensor(0))
    images = IMAGE.expand(4000, *IMAGE.shape)
    mixed, share = FUNCTIONS[type(settings)].function(
        settings, images, 0 * images, draws, mixing.quantiles(1)
    )
    same = (mixed == images).flatten(1).all(1)
    assert torch.equal(same, share == 1)
    assert 0.72 < float((draws[:, 0] >= 0.25).double().mean()) < 0.78
    assert torch.equal(mixed[draws[:, 0] >= 0.25], images[draws[:, 0] >= 0.25])


def test_a_rectangle_of_cutmix_is_torchvisions() -> None:
    settings, table = settings_of("cutmix"), mixing.quantiles(1.0)
    draws = Augmenter([settings], 3, 200, 200, CPU).draws(torch.arange(200), torch.tensor(0))
    images = IMAGE.expand(200, *IMAGE.shape)
    found, shares = mixing.cutmix(settings, images, 1 - images, draws, table)  # type: ignore[arg-type]
    for image, share, (_, quantile, down, right) in zip(found, shares, draws.tolist(), strict=True):
        half = 0.5 * math.sqrt(1 - float(table[int(quantile * len(table))]))
        y, x, half_y, half_x = int(down * 9), int(right * 11), int(half * 9), int(half * 11)
        y1, y2, x1, x2 = max(y - half_y, 0), min(y + half_y, 9), max(x - half_x, 0), min(x + half_x, 11)
        expected = IMAGE.clone()
        expected[:, y1:y2, x1:x2] = 1 - IMAGE[:, y1:y2, x1:x2]
        assert torch.equal(image, expected)
        assert float(share) == 1 - (y2 - y1) * (x2 - x1) / 99


def test_mixup_takes_features() -> None:
    settings, table = settings_of("mixup", alpha=0.4), mixing.quantiles(0.4)
    draws = torch.tensor([[0.0, 0.3], [0.0, 0.8]], dtype=torch.float64)
    one, other = torch.rand(2, 2, 5, dtype=torch.float64)
    mixed, share = mixing.mixup(settings, one, other, draws, table)  # type: ignore[arg-type]
    torch.testing.assert_close(mixed, share[:, None] * one + (1 - share[:, None]) * other)
    assert not settings.problem((5,))
    assert all(each.problem((5,)) for each in (settings_of("cutmix"), settings_of("flip")))
