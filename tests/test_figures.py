"""Pictures: what they show of the records, and that the same records give the same bytes anywhere."""

from __future__ import annotations

from pathlib import Path

from harness.report.contents import Contents
from harness.report.figures import digest_in, figures
from harness.store import Store
from tests.records import PUBLISHED, SUITE, record_of, suite_of


def contents_of(folder: Path, text: str = SUITE + PUBLISHED) -> Contents:
    suite = suite_of(folder, text)
    store = Store(folder / "results")
    store.save_suite(suite)
    for trial in suite.trials():
        store.save(trial, record_of(trial, 0.8 + 0.01 * trial.seed))
    return Contents.of(store, suite.folder)


def test_the_comparison_comes_first_and_each_holds_its_digest(tmp_path: Path) -> None:
    found = figures(contents_of(tmp_path))
    assert [each.path for each in found] == ["comparison", "one/curves", "two/curves"]
    assert len({each.digest for each in found}) == 3
    for each in found:
        drawn = each.draw()
        assert list(drawn) == ["svg", "png"]
        assert all(digest_in(content) == each.digest for content in drawn.values())
    assert digest_in(b"<svg/>") is None
