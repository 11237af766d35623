"""Hash of user code: by name and content of all its modules, and not by place."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from harness.config.suite import Suite, Trial
from harness.results.user_code_hash import UserCodes, job_code
from tests.support.records import SUITE, suite_of

OWN = SUITE.replace("model: {name: mlp, hidden: [8], dropout: 0.1}", "model: {name: 'net.own:net'}")
OWN = OWN.replace("model: {hidden: [16]}", "model: {name: mlp, hidden: [16], dropout: 0.1}")


@pytest.fixture
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Suite:
    """Have a suite whose first experiment is of a package of three modules, and whose second is shipped."""
    monkeypatch.chdir(tmp_path)
    Path("net").mkdir()
    Path("net/__init__.py").touch()
    Path("net/own.py").write_text("from .blocks import act", encoding="utf-8")
    Path("net/blocks.py").write_text("act = 1", encoding="utf-8")
    return suite_of(tmp_path, OWN)


def trial_of(suite: Suite, experiment: str = "one") -> Trial:
    return next(each for each in suite.trials() if each.experiment == experiment)


def test_three_versions_are_three_hashes(suite: Suite) -> None:
    hashes = set()
    for text in ("act = 1", "act = 2", "act = 3"):
        Path("net/blocks.py").write_text(text, encoding="utf-8")
        hashes.add(UserCodes().hash_of(trial_of(suite)))
    assert len(hashes) == 3


def test_a_shipped_model_has_none(suite: Suite) -> None:
    assert UserCodes().hash_of(trial_of(suite, "two")) is None


def test_a_loss_counts_as_a_model_does(tmp_path: Path, suite: Suite) -> None:
    (tmp_path / "loss").mkdir()
    text = OWN.replace("epochs: 2", "epochs: 2\n    loss: {name: 'mine:loss'}")
    both = suite_of(tmp_path / "loss", text)
    Path("mine.py").write_text("from net.blocks import act", encoding="utf-8")
    hashes = [[UserCodes().hash_of(trial_of(both, name)) for name in ("one", "two")]]
    for file in ("mine.py", "net/blocks.py"):
        Path(file).write_text(f"{Path(file).read_text(encoding='utf-8')}\n", encoding="utf-8")
        hashes.append([UserCodes().hash_of(trial_of(both, name)) for name in ("one", "two")])
    assert all(len(set(each)) == 3 for each in zip(*hashes, strict=True))
    assert hashes[0][0] != UserCodes().hash_of(trial_of(suite))


def test_a_missing_module_is_told_from_none(suite: Suite) -> None:
    shutil.rmtree("net")
    assert UserCodes().hash_of(trial_of(suite)) == ""


def test_names_count_and_places_do_not(suite: Suite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = UserCodes().hash_of(trial_of(suite))
    shutil.copytree(tmp_path, tmp_path / "elsewhere")
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert UserCodes().hash_of(trial_of(suite)) == before
    Path("net/blocks.py").rename("net/parts.py")
    assert UserCodes().hash_of(trial_of(suite)) != before


def test_one_look_is_one_state(suite: Suite) -> None:
    codes = UserCodes()
    before = codes.hash_of(trial_of(suite))
    Path("net/blocks.py").write_text("act = 2", encoding="utf-8")
    assert codes.hash_of(trial_of(suite)) == before != UserCodes().hash_of(trial_of(suite))


def test_a_job_is_its_settings_seeds_and_user_code(suite: Suite) -> None:
    trials = list(suite.trials())
    whole = job_code(trials, UserCodes())
    assert job_code(trials[::-1], UserCodes()) == whole != job_code(trials[1:], UserCodes())
    Path("net/blocks.py").write_text("act = 2", encoding="utf-8")
    assert job_code(trials, UserCodes()) != whole


def test_a_librarys_model_is_its_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trial = trial_of(suite_of(tmp_path, OWN.replace("net.own:net", "torchvision:resnet18")))
    hashes = []
    for version in ("0.26.0+cpu", "0.26.0+cu130", "0.27.0"):
        monkeypatch.setattr("importlib.metadata.version", lambda name, found=version: found)
        code = UserCodes().of(trial.settings)
        assert code is not None
        assert code.sources.distributions == [f"torchvision=={version.partition('+')[0]}"]
        assert not code.sources.files
        hashes.append(code.hash)
    assert hashes[0] == hashes[1] != hashes[2]


def test_a_missing_library_is_told_from_none(tmp_path: Path) -> None:
    trial = trial_of(suite_of(tmp_path, OWN.replace("net.own:net", "timm:resnet18")))
    assert UserCodes().hash_of(trial) == ""
