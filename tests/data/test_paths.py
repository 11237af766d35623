"""Where a dataset's files are counts for nothing, what they hold for everything."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.config.loader import load_suite
from harness.config.overrides import Assignment
from harness.config.settings import Settings
from harness.config.suite import Suite, digest_of
from harness.data import load, prepared_digest
from harness.data.kinds.folder import Folder
from harness.data.kinds.npz import Npz
from harness.data.kinds.own import Own
from harness.results.user_code_hash import UserCodes, callables_of
from tests.support.suite_mistakes import GOOD
from tests.support.tiny_data import OWN, arrays, write_images


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("suites/data").mkdir(parents=True)
    np.savez("suites/data/x.npz", allow_pickle=False, **arrays(5))


def env() -> dict[str, str]:
    return {"XDG_CACHE_HOME": str(Path.cwd() / "cache")}


def written(dataset: str, path: str = "suites/suite.yaml") -> Path:
    Path(path).write_text(GOOD.replace("{name: kmnist_sample, resize: 8}", dataset), encoding="utf-8")
    return Path(path)


def path_of(suite: Suite) -> str:
    return str(suite.dataset.model_dump()["path"])


def test_a_path_is_relative_to_the_file_that_has_it() -> None:
    written("{name: npz, path: data/x.npz}")
    Path("other.yaml").write_text("extends: suites/suite.yaml\nsuite: other\n", encoding="utf-8")
    assert path_of(load_suite(Path("suites/suite.yaml"))) == "suites/data/x.npz"
    assert path_of(load_suite(Path("other.yaml"))) == "suites/data/x.npz"
    os.chdir("suites")
    assert path_of(load_suite(Path("suite.yaml"))) == "data/x.npz"


def test_in_set_it_is_relative_to_the_current_folder() -> None:
    suite = load_suite(
        written("{name: npz, path: data/x.npz}"), [Assignment.parse("dataset.path=suites/data/x.npz")]
    )
    assert path_of(suite) == "suites/data/x.npz"


def test_in_suite_json_it_is_relative_to_the_current_folder() -> None:
    from harness.config import resolved

    suite = load_suite(written("{name: npz, path: data/x.npz}"))
    Path("results/small").mkdir(parents=True)
    Path("results/small/suite.json").write_text(resolved.to_json(suite, Path.cwd()), encoding="utf-8")
    assert path_of(load_suite(Path("results/small/suite.json"))) == "suites/data/x.npz"


def test_another_dataset_keeps_what_all_have() -> None:
    written("{name: npz, path: data/x.npz, resize: 8, split: {test: 0.5}}")
    Path("other.yaml").write_text(
        "extends: suites/suite.yaml\nsuite: other\ndataset: {name: kmnist_sample}\n", encoding="utf-8"
    )
    assert load_suite(Path("other.yaml")).dataset.model_dump() == {"name": "kmnist_sample", "resize": 8}


def test_a_path_is_in_no_digest() -> None:
    def digest(**dataset: Any) -> str:
        return digest_of({"dataset": dataset, "model": {}, "training": {}, "seed": 1})

    assert digest(name="npz", path="a", resize=None) == digest(name="npz", path="b", resize=None)
    assert digest(name="npz", path="a", resize=8) != digest(name="npz", path="a", resize=None)
    assert digest(name="own:f", path="a") != digest(name="own:f", path="b")  # a setting of the callable


def test_content_counts() -> None:
    first = load(Npz(name="npz", path="suites/data/x.npz"), env=env()).digest
    shutil.copy("suites/data/x.npz", "y.npz")
    assert load(Npz(name="npz", path="y.npz"), env=env()).digest == first
    changed = arrays(5)
    changed["x_train"][0, 0] += 1
    np.savez("y.npz", allow_pickle=False, **changed)
    assert load(Npz(name="npz", path="y.npz"), env=env()).digest != first
    assert prepared_digest(Npz(name="npz", path="suites/data/x.npz"), env=env()) == first


def test_a_changed_image_of_a_folder_is_known() -> None:
    write_images(Path("flowers/train"), 2)
    write_images(Path("flowers/test"), 2)
    settings = Folder(name="folder", path="flowers")
    first = load(settings, env=env()).digest
    shutil.copy("flowers/train/rose/001.png", "flowers/train/rose/000.png")
    assert load(settings, env=env()).digest != first


def test_paths_are_relative_to_the_folder_of_the_run() -> None:
    settings = Npz(name="npz", path="suites/data/x.npz")
    here = Path.cwd()
    os.chdir("/")
    assert len(load(settings, env={"XDG_CACHE_HOME": str(here / "cache")}, folder=here).train.labels) == 45


def test_a_changed_callable_is_called_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    settings = Own.model_validate({"name": "changing_data:flowers", "count": 60, "split": {"test": 0.25}})
    trial = {"dataset": settings.model_dump(), "model": {"name": "mlp"}, "training": _TRAINING}
    found, hashes = [], []
    for code in (OWN, OWN, OWN.replace("[:, None]", "[:, None] * 2")):
        Path("changing_data.py").write_text(code, encoding="utf-8")
        sys.modules.pop("changing_data", None)
        found.append(load(settings, env=env()).digest)
        user_code = UserCodes().of(Settings.model_validate(trial))
        hashes.append(user_code.hash if user_code else "")
    assert found[0] == found[1] != found[2]
    assert hashes[0] == hashes[1] != hashes[2]
    assert callables_of(Settings.model_validate(trial)) == ("changing_data:flowers",)


def test_a_callable_is_called_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    code = OWN.replace("    rng", "    with open('calls', 'a') as file:\n        file.write('x')\n    rng")
    Path("counted_data.py").write_text(code, encoding="utf-8")
    settings = Own.model_validate({"name": "counted_data:flowers", "count": 60, "split": {"test": 0.25}})
    for _ in range(3):
        load(settings, env=env())
    assert Path("calls").read_text() == "x"


_TRAINING = {"epochs": 1, "batch_size": 1, "optimizer": {"name": "SGD", "lr": 1.0}}
