"""A headless Chromium for the tests of pages: what it drew, what it said, what it asked the network for."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
)  # fmt: skip


@contextmanager
def browser(folder: Path, *, dark: bool = False, width: int = 1200, height: int = 900) -> Iterator[Any]:
    """A browser with a profile of its own in `folder`; skips where there is none."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    driver = shutil.which("chromedriver")
    if chromium is None or driver is None or find_spec("selenium") is None:
        pytest.skip("no headless browser: apt-get install chromium chromium-driver, pip install selenium")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*FLAGS, f"--user-data-dir={folder / 'profile'}", f"--window-size={width},{height}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    found = webdriver.Chrome(options=options, service=Service(driver))
    try:
        found.execute_cdp_cmd(
            "Emulation.setEmulatedMedia",
            {"features": [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]},
        )
        yield found
    finally:
        found.quit()


def complaints(found: Any) -> list[str]:
    """What the console was told since the last look."""
    return [entry["message"] for entry in found.get_log("browser")]


def requests(found: Any) -> list[str]:
    """Addresses that were asked for since the last look."""
    events = [json.loads(entry["message"])["message"] for entry in found.get_log("performance")]
    return [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]


#: Colours on each canvas of the page.
COLOURS = """return [...document.querySelectorAll("canvas")].map(canvas => {
  const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height), seen = new Set();
  for (let i = 0; i < data.length; i += 4) if (data[i + 3]) seen.add(data.slice(i, i + 4).join());
  return seen.size;
});"""


def colours(found: Any) -> list[int]:
    """How many colours were drawn on each canvas."""
    return list(found.execute_script(COLOURS))
