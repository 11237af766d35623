"""The page of results in a real browser: sorting, links, themes, widths, by mouse and by keyboard."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.config.suite import Suite, Trial
from harness.results.atomic_files import write_whole
from harness.results.store import Store
from tests.support.browser import Driver, browser, picture, show, skip_where_missing
from tests.support.html_page import HOSTILE, SVG, page_of, stored
from tests.support.records import PUBLISHED, SUITE, failed_of, record_of

pytestmark = pytest.mark.e2e


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
