"""Promise 1 for every entry of the registries: where a trial ran changes nothing but the rounding of sums."""

from __future__ import annotations

import pytest

from tests.support.ranks import run_ranks
from tests.support.training_settings import SETTINGS, all_trained

Found = dict[int, dict[str, list[float]]]


@pytest.fixture(scope="module")
def by_ranks(tmp_path_factory: pytest.TempPathFactory) -> Found:
    """Train all on one, two and three ranks, which have unequal shares."""
    folder = str(tmp_path_factory.mktemp("ranks"))
    return {ranks: run_ranks(ranks, all_trained, folder)[0] for ranks in (1, 2, 3)}


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("ranks", [2, 3])
def test_ranks_agree_in_float64(name: str, ranks: int, by_ranks: Found) -> None:
    assert by_ranks[ranks][name] == pytest.approx(by_ranks[1][name], rel=1e-9, abs=0)
