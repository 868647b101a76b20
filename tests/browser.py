"""A real browser for the tests: Chromium without a window, which remembers what it loaded and what it complained of.

`driver` is one for all tests, as a fixture that a test module imports; without Chromium its tests are skipped.
"""

import base64
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from selenium import webdriver

LOCAL = ("file:", "data:", "about:", "chrome:", "blob:")


@pytest.fixture(scope="session")
def driver() -> Iterator[webdriver.Chrome]:
    """Chromium, ready."""
    program, control = shutil.which("chromium"), shutil.which("chromedriver")
    if not program or not control:
        pytest.skip("needs chromium and chromedriver")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for flag in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    browser = webdriver.Chrome(options, webdriver.ChromeService(control))
    yield browser
    browser.quit()


def look(driver: webdriver.Chrome, *, width: int = 1200, scheme: Literal["light", "dark"] = "light") -> None:
    """From here on, a window so wide and a reader who prefers this scheme."""
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def requested(driver: webdriver.Chrome) -> list[str]:
    """The addresses that pages have asked the network for since the last call, files and data of their own left out."""
    events = [json.loads(entry["message"])["message"] for entry in _log(driver, "performance")]
    sent = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
    return [url for url in sent if not url.startswith(LOCAL)]


def complaints(driver: webdriver.Chrome) -> list[str]:
    """What stands in the console since the last call: errors, and what the page's own policy refused."""
    return [str(entry["message"]) for entry in _log(driver, "browser")]


def photograph(driver: webdriver.Chrome, file: Path) -> None:
    """The whole page, from top to bottom, as a PNG."""
    taken = driver.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True})
    file.write_bytes(base64.b64decode(taken["data"]))


def _log(driver: webdriver.Chrome, kind: str) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = driver.get_log(kind)  # type: ignore[no-untyped-call]
    return entries
