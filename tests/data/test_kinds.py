"""What holds for every kind of dataset; a new entry of KINDS is tested once it has a tiny set."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
import torch
import yaml

from harness.config.json_schema import suite_schema
from harness.config.loader import load_suite
from harness.data import KINDS, Dataset, DatasetSettings, Split, at_hand, load, prepared_digest
from harness.data.kinds.own import Own
from harness.results.record import Epoch
from harness.training.dataloader import ResidentDataset
from harness.training.distributed import ProcessGroup
from tests.support import ROOT
from tests.support.calls import Calls
from tests.support.ranks import run_ranks
from tests.support.suite_mistakes import GOOD
from tests.support.tiny_data import TINY
from tests.support.trials import figures, small_trial, train

MLP = {"name": "mlp", "hidden": [12], "dropout": 0.3}


def test_every_kind_has_a_tiny_set() -> None:
    assert set(TINY) == set(KINDS)


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__)
def settings(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> DatasetSettings:
    """Be in a folder with a tiny set of the kind; its cache is empty."""
    monkeypatch.chdir(tmp_path)
    return TINY[request.param](tmp_path, monkeypatch)


def env(cache: str = "cache") -> dict[str, str]:
    return {"XDG_CACHE_HOME": str(Path(cache).absolute())}


def loaded(settings: DatasetSettings, cache: str = "cache") -> Dataset:
    return load(settings, Path.cwd(), env(cache))


def test_the_digest_is_stable(settings: DatasetSettings) -> None:
    digest = loaded(settings).digest
    assert digest == loaded(settings, "another").digest
    assert prepared_digest(settings, Path.cwd(), env()) == digest
    found = at_hand(settings, Path.cwd(), env("third"))
    assert (found is None) == isinstance(settings, Own)  # whose code is not run for a look
    assert found is None or found.digest == digest


def test_it_is_read_once(settings: DatasetSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = loaded(settings).digest
    monkeypatch.setattr("harness.data.dataset._prepared", None)
    assert loaded(settings).digest == digest


def test_a_suite_and_its_schema_take_it(settings: DatasetSettings) -> None:
    suite = {**yaml.safe_load(GOOD), "dataset": settings.model_dump(mode="json")}
    jsonschema.Draft202012Validator(suite_schema()).validate(suite)
    Path("suite.yaml").write_text(yaml.safe_dump(suite), encoding="utf-8")
    assert load_suite(Path("suite.yaml")).dataset == settings


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_it_is_documented(kind: type[DatasetSettings]) -> None:
    page = (ROOT / "docs/data.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in page for name in kind.names())
    fields = {name: field for name, field in kind.model_fields.items() if name != "name"}
    assert all(field.examples for field in fields.values() if field.is_required())


def few(split: Split, count: int) -> Split:
    return Split(split.images[:count], split.labels[:count])


Found = dict[str, list[float]]


def trained(world: ProcessGroup, datasets: dict[str, Dataset], folder: str, stop_after: int = 0) -> Found:
    """Train on each of the datasets, broken off after so many epochs and resumed, if there are any."""

    def on_epoch(epoch: Epoch) -> None:
        if epoch.epoch == stop_after:
            raise KeyboardInterrupt

    torch.set_num_threads(1)
    trial, found = small_trial(MLP, epochs=2), {}
    for name, dataset in datasets.items():
        resident, path = ResidentDataset.of(dataset, world.device, torch.float64), Path(folder) / name
        if stop_after:
            with pytest.raises(KeyboardInterrupt):
                train(trial, resident, world, path, Calls(on_epoch=on_epoch))
        found[name] = figures(train(trial, resident, world, path).epochs)
    return found


def few_of(kind: type[DatasetSettings], folder: Path) -> Dataset:
    """Load the first samples of the kind's tiny set."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(folder)
        whole = loaded(TINY[kind](folder, monkeypatch))
    return replace(whole, train=few(whole.train, 40), test=few(whole.test, 20))


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Found]]:
    """Find what trials on each kind find: in one go, after an interruption, and on each of several ranks."""
    datasets = {kind.__name__: few_of(kind, tmp_path_factory.mktemp(kind.__name__)) for kind in KINDS}
    ways = {"alone": (1, 0), "resumed": (1, 1), "two ranks": (2, 0), "three ranks": (3, 0)}
    return {
        way: run_ranks(world_size, trained, datasets, str(tmp_path_factory.mktemp(way)), stop_after)
        for way, (world_size, stop_after) in ways.items()
    }


@pytest.mark.e2e
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_ranks_and_interruptions_change_nothing(
    kind: type[DatasetSettings], found: dict[str, list[Found]]
) -> None:
    (expected,) = (each[kind.__name__] for each in found["alone"])
    assert [each[kind.__name__] for each in found["resumed"]] == [expected]
    for each in (*found["two ranks"], *found["three ranks"]):
        assert each[kind.__name__] == pytest.approx(expected, rel=1e-9)
