"""A real Chromium without a window, driven by Selenium; both are Debian's packages."""

from __future__ import annotations

import base64
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

Driver = Any  # selenium's types are not checked


def skip_where_missing() -> None:
    """Skip a test where there is no Chromium; continuous integration must have one."""
    missing = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    if missing:
        assert os.environ.get("CI") != "true", f"missing: {missing}"
        pytest.skip(f"there is no {' and no '.join(missing)} on this machine")


@contextmanager
def browser(folder: Path) -> Iterator[Driver]:
    """Start a Chromium whose profile is in the folder; end it however the block is left."""
    from selenium import webdriver
    from selenium.webdriver.common.proxy import Proxy, ProxyType

    chromium, chromedriver = shutil.which("chromium"), shutil.which("chromedriver")
    assert chromium
    assert chromedriver
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in (
        "--headless=new",
        "--no-sandbox",  # Chromium refuses root otherwise
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--hide-scrollbars",
        "--force-device-scale-factor=1",
        f"--user-data-dir={folder / 'profile'}",
    ):
        options.add_argument(argument)
    options.proxy = Proxy({"proxyType": ProxyType.DIRECT})  # whatever the environment says
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = webdriver.ChromeService(executable_path=chromedriver)
    driver = webdriver.Chrome(options=options, service=service)
    try:
        yield driver
    finally:
        driver.quit()


def show(
    driver: Driver,
    *,
    width: int,
    height: int = 900,
    theme: str = "light",
    motion: str = "reduce",
    media: str = "screen",
) -> None:
    """Give the window a size, and the page a system of one theme and wish for motion."""
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    features = [
        {"name": "prefers-color-scheme", "value": theme},
        {"name": "prefers-reduced-motion", "value": motion},
    ]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": features})


def picture(driver: Driver) -> bytes:
    """Return what the window shows as a PNG file."""
    shot = driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})
    return base64.b64decode(shot["data"])
