"""The page, as text and in a real browser: what it shows, that input is inert, by mouse and by keyboard."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from harness.config.suite import Suite, Trial
from harness.report.aggregate import SuiteResults
from harness.report.html import page
from harness.report.table import layout
from harness.results.atomic_files import write_whole
from harness.results.store import Store
from tests.support import ROOT
from tests.support.browser import Driver, browser, picture, show, skip_where_missing
from tests.support.filled_stores import MATRIX, full, mixed, nothing, troubled
from tests.support.records import PUBLISHED, RUNS, SUITE, WHEN, failed_of, record_of, suite_of

SVG = (
    b'<svg xmlns="http://www.w3.org/2000/svg" width="300" height="100">'
    b'<path id="a" d="M0 0L300 100" stroke="red"/></svg>'
)
HOSTILE = "</script></style></title><img src=x onerror=\"document.title='owned'\">{{ 7 * 7 }}"


def page_of(store: Store) -> str:
    """Return the page of all that the store holds."""
    contents = [SuiteResults.of(store, folder) for folder in store.folders()]
    return page(contents, [layout(each) for each in contents], lambda path: read(store.root / path))


def read(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def stored(folder: Path, text: str = SUITE, fill: Any = full, **changes: Any) -> tuple[Store, Suite]:
    """Store a suite and its records."""
    suite = suite_of(folder, text).model_copy(update=changes)
    store = Store(folder / "results")
    store.save_suite(suite)
    fill(store, suite)
    return store, suite


class Structure(HTMLParser):
    """Collects elements with their attributes, and complains where they are not closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "link", "img", "path"):
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] not in ("style", "script"):
            self.text.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())


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
        "2 × A GPU",
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


# In a browser.


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    skip_where_missing()
    with browser(tmp_path_factory.mktemp("browser")) as driver:
        yield driver


def accuracy_of(trial: Trial) -> float:
    return {1: 0.095, 2: 0.8, 3: 0.45}[trial.seed] + (0.01 if trial.experiment == "two" else 0)


def uneven(store: Store, suite: Suite) -> None:
    """Leave one trial missing, one failed; the rest with figures that sort otherwise as text."""
    for trial in suite.trials():
        if (trial.experiment, trial.seed) == ("two", 3):
            store.save(trial, failed_of(trial, HOSTILE))
        elif (trial.experiment, trial.seed) != ("two", 2):
            store.save(
                trial, record_of(trial, accuracy_of(trial), samples_per_second=10.0 ** (2 * trial.seed))
            )


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("page")
    store, _ = stored(folder, SUITE + PUBLISHED + "    two: {test_accuracy: 0.2}\n", uneven, title=HOSTILE)
    for name in ("comparison.svg", "one/curves.svg"):
        write_whole(store.root / "small" / name, SVG)
    path = store.root / "index.html"
    path.write_text(page_of(store), encoding="utf-8")
    return path.as_uri()


@pytest.fixture
def opened(driver: Driver, address: str) -> Iterator[Driver]:
    """Open the page afresh; afterwards nothing may have been complained about or asked of a network."""
    show(driver, width=1280)
    driver.get("about:blank")
    for log in ("browser", "performance"):
        driver.get_log(log)
    driver.get(address)
    yield driver
    assert driver.get_log("browser") == []
    requests = [
        found
        for entry in driver.get_log("performance")
        for found in re.findall(r'"method":"Network\.requestWillBeSent".*?"url":"([^"]+)"', entry["message"])
    ]
    assert [each for each in requests if not each.startswith(("file:", "data:"))] == []
    driver.execute_script("try { localStorage.clear() } catch {}")


def wait(driver: Driver, is_so: Callable[[], bool]) -> None:
    """Wait for what a browser does in its own time."""
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(driver, 30, poll_frequency=0.05).until(lambda _: is_so())


def column(driver: Driver, table: str, number: int) -> list[str]:
    script = (
        "return [...document.querySelectorAll(arguments[0] + ' tbody tr')]"
        ".map(row => row.cells[arguments[1]].innerText.trim())"
    )
    found: list[str] = driver.execute_script(script, table, number)
    return found


def header(driver: Driver, table: str, name: str) -> Any:
    script = (
        "return [...document.querySelectorAll(arguments[0] + ' thead th')]"
        ".find(th => th.innerText.trim().startsWith(arguments[1]))"
    )
    return driver.execute_script(script, table, name)


def test_it_opens_without_a_complaint_and_asks_for_nothing(opened: Driver, tmp_path: Path) -> None:
    assert opened.title.startswith("Results: ")
    assert opened.execute_script("return document.images.length") == 2
    assert opened.execute_script("return [...document.images].every(i => i.complete && i.naturalWidth > 0)")
    shot = tmp_path / "page.png"
    shot.write_bytes(picture(opened))
    assert shot.stat().st_size > 10_000


def test_clicking_a_header_sorts_by_number_up_down_and_back(opened: Driver) -> None:
    opened.execute_script("document.getElementById('small/one').open = true")
    seeds = "#small\\/one .seeds"
    header_cell = header(opened, seeds, "Testing accuracy")
    button = header_cell.find_element("css selector", "button")
    orders = []
    for _ in range(3):
        button.click()
        orders.append((header_cell.get_attribute("aria-sort"), column(opened, seeds, 0)))
    assert orders == [
        ("ascending", ["1", "3", "2"]),  # 9.50 % before 45.00 %
        ("descending", ["2", "3", "1"]),
        ("none", ["1", "2", "3"]),
    ]
    assert "order" in opened.find_element("id", "said").get_attribute("textContent")


def test_the_keyboard_sorts_and_cells_without_a_figure_stay_last(opened: Driver) -> None:
    from selenium.webdriver.common.keys import Keys

    opened.execute_script("document.getElementById('small/two').open = true")
    seeds = "#small\\/two .seeds"
    button = header(opened, seeds, "Images/s").find_element("css selector", "button")
    opened.execute_script("arguments[0].focus()", button)
    button.send_keys(Keys.ENTER)
    assert column(opened, seeds, 0) == ["1", "3", "2"]
    button.send_keys(Keys.SPACE)
    assert column(opened, seeds, 0)[-1] == "2"
    assert column(opened, seeds, 1)[-1] == "missing"


def test_negative_figures_sort_as_numbers(opened: Driver) -> None:
    header(opened, ".results", "Difference").find_element("css selector", "button").click()
    assert [text.split()[0] for text in column(opened, ".results", 7)] == ["-36.42", "-9.50"]


def test_a_cell_leads_to_its_experiment(opened: Driver) -> None:
    details = opened.find_element("id", "small/two")
    assert details.get_attribute("open") is None
    opened.find_element("css selector", ".results a[href='#small/two']").click()
    assert opened.execute_script("return document.activeElement.closest('details').id") == "small/two"
    assert details.get_attribute("open") == "true"
    assert "trained again" not in details.text
    assert "harness run small.yaml --only two --seeds 2,3" in details.text


def test_details_open_by_keyboard_and_hostile_errors_are_text(opened: Driver) -> None:
    from selenium.webdriver.common.keys import Keys

    summary = opened.find_element("css selector", "#small\\/two > summary")
    summary.send_keys(Keys.ENTER)
    inner = opened.find_element("css selector", "#small\\/two .seeds details summary")
    inner.send_keys(Keys.ENTER)
    assert opened.find_element("css selector", "#small\\/two .seeds details pre").text == HOSTILE
    assert opened.title.startswith("Results: ")


def test_the_theme_follows_the_system_and_the_button(opened: Driver) -> None:
    from selenium.webdriver.common.keys import Keys

    def background() -> Any:
        return opened.execute_script("return getComputedStyle(document.body).backgroundColor")

    light, button = background(), opened.find_element("id", "theme")
    show(opened, width=1280, theme="dark")
    wait(opened, lambda: button.get_attribute("aria-pressed") == "true")
    dark = background()
    assert light != dark
    button.send_keys(Keys.ENTER)
    assert (background(), button.get_attribute("aria-pressed")) == (light, "false")
    button.send_keys(Keys.SPACE)
    assert (background(), button.get_attribute("aria-pressed")) == (dark, "true")


@pytest.mark.parametrize("width", [320, 375, 768, 1280])
def test_no_width_makes_the_page_scroll_sideways(opened: Driver, width: int, tmp_path: Path) -> None:
    show(opened, width=width, theme="dark")
    opened.execute_script("for (const each of document.querySelectorAll('details')) each.open = true")
    assert opened.execute_script("return document.documentElement.scrollWidth") <= width
    (tmp_path / f"{width}.png").write_bytes(picture(opened))


def test_the_command_is_copied(opened: Driver) -> None:
    opened.execute_cdp_cmd(
        "Browser.grantPermissions", {"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]}
    )
    opened.execute_script("document.getElementById('small/one').open = true")
    button = opened.find_element("css selector", "#small\\/one .copy")
    button.click()
    said = opened.find_element("id", "said")
    wait(opened, lambda: said.get_attribute("textContent") == "Command copied")
    copied = opened.execute_async_script(
        "navigator.clipboard.readText().then(arguments[0], e => arguments[0](String(e)))"
    )
    assert copied == "harness run small.yaml --only one --results results-again"


def test_the_first_key_leads_past_the_navigation(opened: Driver) -> None:
    from selenium.webdriver.common.keys import Keys

    opened.find_element("tag name", "body").send_keys(Keys.TAB)
    opened.switch_to.active_element.send_keys(Keys.ENTER)
    assert opened.execute_script("return document.activeElement.id") == "main"


def test_paper_has_no_buttons_and_is_light(opened: Driver) -> None:
    show(opened, width=800, theme="dark", media="print")
    assert not any(each.is_displayed() for each in opened.find_elements("css selector", "nav, #theme, .copy"))
    colour = opened.execute_script("return getComputedStyle(document.querySelector('h2')).color")
    assert colour == "rgb(28, 31, 35)"


def test_it_works_without_scripts(opened: Driver, address: str) -> None:
    opened.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        opened.get(address)
        summary = opened.find_element("css selector", "#small\\/one > summary")
        summary.click()
        assert opened.find_element("id", "small/one").get_attribute("open") == "true"
        assert not opened.find_element("id", "theme").is_displayed()
    finally:
        opened.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_the_readmes_pictures_are_small() -> None:
    pictures = sorted((ROOT / "docs").glob("page-*.png"))
    assert [each.stem for each in pictures] == [
        f"page-{theme}-{width}" for theme in ("dark", "light") for width in ("narrow", "wide")
    ]
    assert all(each.stat().st_size < 200_000 for each in pictures)


# As a command.


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
