"""Digests: what is part of them, and that old records stay valid."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from harness.config.loader import load_suite
from harness.config.suite import digest_of
from tests.support import ROOT
from tests.support.golden import assert_golden
from tests.support.trials import small_trial

SUITES = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "suites").rglob("*.yaml"))


def test_digests_of_shipped_suites_never_change() -> None:
    found = {
        f"{name} {trial.experiment} {trial.seed}": trial.digest
        for name in SUITES
        for trial in load_suite(ROOT / name).trials()
    }
    assert_golden("digests.json", json.dumps(found, indent=1) + "\n")


def settings() -> dict[str, Any]:
    return {**small_trial().settings.model_dump(), "seed": 1}


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("dataset", "resize", 9),
        ("model", "width", 13),
        ("training", "epochs", 99),
        ("training", "precision", "fp32"),
        ("training", "allow_rank_dependent", True),
    ],
)
def test_every_setting_is_part_of_the_digest(section: str, key: str, value: Any) -> None:
    changed = copy.deepcopy(settings())
    changed[section][key] = value
    assert digest_of(changed) != digest_of(settings())


def test_the_seed_is_part_of_the_digest() -> None:
    assert digest_of({**settings(), "seed": 2}) != digest_of(settings())


def test_nothing_else_is_part_of_the_digest() -> None:
    assert digest_of({**settings(), "title": "another", "published": 1}) == digest_of(settings())


def test_a_field_added_later_is_left_out_at_its_default() -> None:
    before = settings()
    del before["training"]["allow_rank_dependent"]
    assert digest_of(before) == digest_of(settings())


def test_title_and_published_do_not_change_a_trial(tmp_path: Path) -> None:
    text = (ROOT / "suites" / "final.yaml").read_text(encoding="utf-8")
    head, _, _ = text.partition("published:")
    (tmp_path / "final.yaml").write_text(head.replace("title: The", "title: Our"), encoding="utf-8")
    theirs = [trial.digest for trial in load_suite(ROOT / "suites" / "final.yaml").trials()]
    assert [trial.digest for trial in load_suite(tmp_path / "final.yaml").trials()] == theirs
