"""What the page of results shows: every figure of the tables, origins, errors, commands, pictures."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

import pytest

from harness.config.suite import Suite
from harness.report.aggregate import SuiteResults
from harness.report.html import page
from harness.report.table import layout
from harness.results.atomic_files import write_whole
from harness.results.store import Store
from tests.support.filled_stores import MATRIX, full, mixed, nothing, troubled
from tests.support.html_page import SVG, Structure, page_of, stored
from tests.support.records import BEST_ON_VALIDATION, PUBLISHED, RUNS, SUITE, failed_of, record_of

CASES = {
    "experiments": (SUITE + PUBLISHED, full),
    "runs": (SUITE.partition("  two:")[0] + RUNS, full),
    "runs-troubled": (SUITE + RUNS, troubled),
    "troubled": (SUITE + PUBLISHED, troubled),
    "mixed": (SUITE, mixed),
    "nothing": (SUITE + PUBLISHED, nothing),
    "matrix": (MATRIX, full),
}


@pytest.mark.parametrize("case", CASES)
def test_it_shows_every_figure_of_the_table(case: str, tmp_path: Path) -> None:
    store, suite = stored(tmp_path, *CASES[case])
    found = Structure(page_of(store))
    words = found.words.replace("\N{NO-BREAK SPACE}", " ")
    assert "″" not in words
    table = layout(SuiteResults.of(store, suite.folder))
    for text in [*table.header, *table.notes, *table.source]:
        assert text in words
    for line in table.lines:
        for cell in line:
            assert cell.text in ("″", "–") or cell.text in words
            assert cell.after.strip() in words


@pytest.mark.parametrize("case", CASES)
def test_its_structure_is_sound(case: str, tmp_path: Path) -> None:
    store, _ = stored(tmp_path, *CASES[case])
    found = Structure(page_of(store))
    ids = [each["id"] for _, each in found.elements if each.get("id")]
    assert len(ids) == len(set(ids))
    for attribute in ("aria-labelledby", "aria-describedby"):
        assert all(each[attribute] in ids for _, each in found.elements if attribute in each)
    targets = [str(each["href"]) for each in found.all("a")]
    assert all(target[1:] in ids for target in targets if target.startswith("#"))
    assert all((store.root / unquote(target)).is_file() for target in targets if not target.startswith("#"))
    assert len(found.all("caption")) == len(found.all("table"))
    assert all(each.get("scope") in ("row", "col") for each in found.all("th"))
    assert all(
        each.get("tabindex") == "0" and each["aria-label"] for each in found.all("div") if "role" in each
    )
    assert all(each.get("type") == "button" for each in found.all("button"))
    assert len(found.all("title")) - 1 == len(found.all("svg"))


def test_a_cell_leads_to_its_seeds_settings_origin_and_commands(tmp_path: Path) -> None:
    store, _ = stored(tmp_path, SUITE, mixed)
    words = Structure(page_of(store)).words
    for text in (
        "optimizer.lr 0.02",
        "dropout 0.1",
        "A CPU",
        "A GPU",
        "2.15.0",
        "World size 1",
        "Placement ddp",
        "Engine eager",
        "Commit cccccccc",
        "eeeeeeee",
        "ffffffff",
        "2026-01-02 03:04:05",
        "1,000",
        "harness run small.yaml --only two --results results-again",
    ):
        assert text in words


def test_seeds_are_captioned_by_the_epoch_that_counts(tmp_path: Path) -> None:
    for name, text in (("last epoch", SUITE), ("best epoch on validation", BEST_ON_VALIDATION)):
        (folder := tmp_path / name).mkdir()
        assert f"Seeds of one, figures of the {name}" in page_of(stored(folder, text)[0])


def test_what_is_not_done_is_said_in_words_with_the_command_that_trains_it(tmp_path: Path) -> None:
    store, _ = stored(tmp_path, SUITE, troubled)
    text = page_of(store)
    words = Structure(text).words
    assert "2 of 6 done, 1 diverged , 1 failed , 1 missing , 1 unreadable" in words
    assert "OSError: broken" in words
    assert "NaN or infinity in epoch 2" in words
    assert "harness run small.yaml --only one --seeds 2,3 --retry-diverged" in words
    assert "harness run small.yaml --only two --seeds 2" in words
    assert str(tmp_path) not in text


def test_commands_carry_changed_settings(tmp_path: Path) -> None:
    changed = {"training.optimizer.lr": 1e-08, "model.hidden": [4, 8], "training.optimizer": {"name": "SGD"}}
    store, _ = stored(tmp_path, SUITE, nothing, changed=changed)
    words = Structure(page_of(store)).words
    assert "--set training.optimizer.lr=1.0e-08 --set 'model.hidden=[4, 8]'" in words
    assert """--set 'training.optimizer={"name": "SGD"}'""" in words


def test_figures_on_disk_are_embedded(tmp_path: Path) -> None:
    store, _ = stored(tmp_path)
    before = Structure(page_of(store))
    write_whole(store.root / "small" / "comparison.svg", SVG)
    write_whole(store.root / "small" / "one" / "curves.svg", SVG)
    images = Structure(page_of(store)).all("img")
    assert before.all("img") == []
    assert [str(each["src"])[:26] for each in images] == ["data:image/svg+xml;base64,"] * 2
    assert all(each["alt"] for each in images)


def test_more_figures_than_a_page_should_hold_are_linked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.report.html.embedded.MOST_BYTES", len(SVG))
    store, _ = stored(tmp_path)
    for path in ("comparison.svg", "one/curves.svg"):
        write_whole(store.root / "small" / path, SVG)
    found = Structure(page_of(store))
    assert len(found.all("img")) == 1
    assert {"href": "small/one/curves.svg"} in found.all("a")


def test_no_results_make_a_page_too() -> None:
    assert "There are no results yet." in Structure(page([], [], lambda path: None)).words


def test_long_errors_are_cut_and_long_curves_thinned(tmp_path: Path) -> None:
    def fill(store: Store, suite: Suite) -> None:
        one, two, *_ = suite.trials()
        epochs = [record_of(one).epochs[0].model_copy(update={"epoch": number}) for number in range(1, 2001)]
        store.save(one, record_of(one, epochs=epochs))
        store.save(two, failed_of(two, "x" * 100_000 + " the end"))

    store, _ = stored(tmp_path, SUITE, fill)
    text = page_of(store)
    assert "the end" in text
    assert "all 100,008 characters are in the record" in text
    assert len(text) < 60_000
