"""The page as a file: hostile texts are inert, nothing is loaded from elsewhere, bytes are reproducible."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from harness.config.suite import Suite
from harness.results.store import Store
from tests.support import ROOT
from tests.support.filled_stores import nothing, troubled
from tests.support.html_page import HOSTILE, Structure, page_of, stored
from tests.support.records import PUBLISHED, SUITE, WHEN, failed_of, record_of


def hostile(store: Store, suite: Suite) -> None:
    """Leave records in which every text is hostile."""
    for trial in suite.trials():
        record = record_of(trial) if trial.seed == 1 else failed_of(trial, HOSTILE)
        hardware = record.hardware.model_copy(
            update={"host": HOSTILE, "devices": [HOSTILE], "engine": HOSTILE}
        )
        versions = record.versions.model_copy(update={"torch": HOSTILE, "commit": HOSTILE, "python": HOSTILE})
        changes = {"hardware": hardware, "versions": versions, "started_at": HOSTILE}
        store.save(trial, record.model_copy(update={**changes, "replaced_layers": {HOSTILE: 1}}))


def test_hostile_texts_are_inert(tmp_path: Path) -> None:
    store, _ = stored(tmp_path, SUITE, hostile, title=HOSTILE, changed={HOSTILE: HOSTILE})
    text = page_of(store)
    found = Structure(text)
    assert found.all("img") == []
    assert len(found.all("script")) == len(found.all("style")) == 1
    assert "{{ 7 * 7 }}" in found.words
    assert "49" not in found.words


def test_it_refers_to_nothing_elsewhere(tmp_path: Path) -> None:
    store, _ = stored(tmp_path, SUITE + PUBLISHED, troubled)
    text = page_of(store)
    assert not re.search(r"(?:https?:)?//[a-z]", text)
    assert not re.search(r"url\(|@import|fetch\(|import\(", text)
    policy = next(str(each["content"]) for each in Structure(text).all("meta") if "http-equiv" in each)
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert "unsafe" not in policy


@pytest.mark.e2e
def test_the_same_bytes_whatever_the_locale_time_zone_and_hash_seed(tmp_path: Path) -> None:
    store, _ = stored(tmp_path, SUITE + PUBLISHED, troubled)
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from harness import report\nfrom harness.results.store import Store\n"
        "*_, page = report.outputs(Store(Path(sys.argv[1])), [], page=True)\n"
        "sys.stdout.buffer.write(page.text.encode())"
    )
    texts = {page_of(store).encode()}
    for seed, locale, zone in (("1", "C", "Asia/Kathmandu"), ("2", "de_DE.UTF-8", "America/St_Johns")):
        env = {**os.environ, "PYTHONHASHSEED": seed, "LC_ALL": locale, "TZ": zone}
        command = [sys.executable, "-c", code, str(store.root)]
        texts.add(subprocess.run(command, check=True, env=env, cwd=ROOT, capture_output=True).stdout)
    assert len(texts) == 1
    assert WHEN[:10].encode() in texts.pop()


def test_the_readmes_pictures_are_small() -> None:
    pictures = sorted((ROOT / "docs").glob("page-*.png"))
    assert [each.stem for each in pictures] == [
        f"page-{theme}-{width}" for theme in ("dark", "light") for width in ("narrow", "wide")
    ]
    assert all(each.stat().st_size < 200_000 for each in pictures)


@pytest.mark.e2e
def test_report_writes_and_checks_it(tmp_path: Path) -> None:
    store, _ = stored(tmp_path, SUITE, nothing)  # so that there are no figures to draw

    def report(*options: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "harness", "report", "--results", str(store.root), *options]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert report("--html").returncode == 0
    path = store.root / "index.html"
    text = path.read_text(encoding="utf-8")
    assert text == page_of(store)
    assert report("--check").returncode == 0
    path.write_text(text.replace("0 of 6 done", "1 of 6 done"), encoding="utf-8")
    drifted = report("--check")
    assert drifted.returncode == 1
    assert '-<p>1 suite, 2 experiments, <span class="counts">1 of 6 done' in drifted.stdout
