"""Data that are replaced by others: said, records stale and kept, trials trained again, never a mix."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from harness.data import cache
from harness.results.record import Record
from tests.support.runs import SUITE, records, run, torchrun


@pytest.fixture
def _suite(folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a suite of two trials in the folder, and a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    Path("suite.yaml").write_text(
        SUITE.replace("epochs: 2", "epochs: 1").partition("  mlp")[0], encoding="utf-8"
    )


def replace_data() -> str:
    """Put other training labels into the cache, whole; return the digest of all."""
    (prepared,) = Path("cache/harness/resized").iterdir()
    labels = np.load(prepared / "train_labels.npy")
    np.save(prepared / "train_labels.npy", np.roll(labels, 1))
    about = json.loads((prepared / "digest.json").read_text(encoding="utf-8"))
    digest = cache.digest_of([np.load(prepared / f"{name}.npy") for name in about["arrays"]])
    (prepared / "digest.json").write_text(json.dumps({**about, "digest": digest}), encoding="utf-8")
    return digest


def data_of(path: Path) -> str:
    return Record.from_json(path.read_text(encoding="utf-8")).data_digest


@pytest.mark.usefixtures("_suite")
def test_trials_are_trained_again_on_the_new_data_and_old_records_kept() -> None:
    run("suite.yaml", "--nproc", "1")
    (old,) = {record.data_digest for record in records().values()}
    before = {path.name: path.read_bytes() for path in Path("results").glob("*/*/seed-*.json")}
    assert json.loads(Path("results/small/suite.json").read_text(encoding="utf-8"))["data_digest"] == old
    new = replace_data()
    said = (
        f"small: the data of kmnist_sample at 8 x 8 pixels are not those with which it last ran: found the "
        f"digest {new[:8]}…, expected {old[:8]}…"
    )
    stale = f"small/mixer: 2 records are stale, made from other data (digest {old[:8]}…"
    plan, status = run("plan", "suite.yaml"), run("status")
    for text in (plan, status):
        assert said in text
        assert stale in text
    assert "2 of 2 trials left" in plan
    assert "\nsmall  0     0       0         2     0           2\n" in status
    only = run("suite.yaml", "--nproc", "1", "--seeds", "2", "--save-model")
    assert said in only
    assert stale in only
    assert "seed-2: made from other data, set aside as seed-2-" in only
    assert "stale: seed 1" in Path("results/small/table.md").read_text(encoding="utf-8")
    run("suite.yaml", "--nproc", "1")
    done = {path.name: path for path in Path("results").glob("*/*/seed-*.json")}
    kept = {path.read_bytes() for name, path in done.items() if ".superseded-" in name}
    assert kept == set(before.values())
    assert {data_of(path) for name, path in done.items() if ".superseded-" not in name} == {new}
    assert "stale" not in Path("results/small/table.md").read_text(encoding="utf-8")
    assert run("plan", "suite.yaml").count("  done  ") == 2


@pytest.mark.usefixtures("_suite")
def test_records_of_another_machine_are_stale_here_under_torchrun_too() -> None:
    run("suite.yaml", "--nproc", "1")
    new = replace_data()
    output = torchrun("--standalone", "--nproc_per_node=2", "-m", "harness", "suite.yaml")
    assert output.count("small: the data of kmnist_sample") == 1
    done = [path for path in Path("results").glob("*/*/seed-*.json") if ".superseded-" not in path.name]
    assert [data_of(path) for path in done] == [new, new]
    assert len(list(Path("results/small/mixer").glob("seed-*.superseded-*.json"))) == 2
