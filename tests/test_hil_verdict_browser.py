"""The pages in a headless Chromium: everything is drawn, nothing is complained of, nothing is asked of the network."""

from __future__ import annotations

import base64
import subprocess
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from browsing import browser, colours, complaints, requests
from hil_outcomes import RESULTS, outcome

from hil.outcome import Result
from hil.verdict import write_report
from hil.verdict.watching import Watcher

PATIENCE_S = 30.0  # of a loaded machine; nothing waits so long that works
#: A canvas on which nothing but an axis was drawn has fewer colours.
DRAWN = 50

#: A run in a process of its own: steps at a pace, and its verdict.
PUBLISHER = """
import sys, time
from hil_outcomes import outcome
from hil.verdict import Live
port, cells, pause_s = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
made = outcome(cells=cells, title=f"run of {cells}", steps=800)
live = Live(made.scenario.title, made.device, port)
for row in made.record.rows:
    time.sleep(pause_s)
    live(made.record.names, row)
live.end(made)
"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """A run, a module and a campaign, as files."""
    folder = tmp_path_factory.mktemp("pages")
    missed = Result("DETECT-1", "bias is flagged.", False, "not flagged", "within 900 s")
    write_report(outcome(), folder / "run.html")
    write_report(outcome(cells=12, title="<img src=x onerror=alert(1)>"), folder / "module.html")
    some = [outcome(name=n, seed=s, results=r) for n, r in (("open", RESULTS[:2]), ("bias", (missed,))) for s in (1, 2)]
    write_report(some, folder / "campaign.html")
    return folder


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    with browser(tmp_path_factory.mktemp("browser")) as found:
        yield found


def until(found, script):
    deadline = time.monotonic() + PATIENCE_S
    while not (value := found.execute_script(f"return {script}")):
        assert time.monotonic() < deadline, script
        time.sleep(0.05)
    return value


def opened(found, address):
    found.get("about:blank")
    complaints(found), requests(found)
    found.get(address)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("name", "charts"), [("run", 6), ("module", 6), ("campaign", 12)])
def test_a_report_is_drawn(chromium, pages, name, charts, scheme):
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    opened(chromium, (pages / f"{name}.html").as_uri())
    until(chromium, f"document.querySelectorAll('canvas').length === {charts}")
    time.sleep(0.2)  # a frame
    assert all(count > DRAWN for count in colours(chromium))
    ink = chromium.execute_script("return getComputedStyle(document.body).color")
    assert (int(ink.removeprefix("rgb(").split(",")[0]) > 128) == (scheme == "dark")
    assert complaints(chromium) == []
    assert {each.split(":")[0] for each in requests(chromium)} <= {"file", "data"}
    assert (pages / f"{name}.html").stat().st_size < 1_000_000


def test_a_narrow_page_does_not_run_off(chromium, pages):
    size = {"width": 400, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        opened(chromium, (pages / "run.html").as_uri())
        until(chromium, "document.querySelectorAll('canvas').length === 6")
        assert chromium.execute_script("return document.documentElement.scrollWidth") <= 400
    finally:
        chromium.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_the_cursor_is_shared(chromium, pages):
    from selenium.webdriver import ActionChains

    opened(chromium, (pages / "run.html").as_uri())
    until(chromium, "document.querySelectorAll('canvas').length === 6")
    over = chromium.find_element("css selector", ".u-over")
    ActionChains(chromium).move_to_element(over).perform()
    times = "[...document.querySelectorAll('.u-legend tr:first-child .u-value')].map(each => each.textContent)"
    until(chromium, f"{times}[0].length > 3")
    shown = chromium.execute_script(f"return {times}")
    assert len(shown) == 6
    assert len(set(shown)) == 1
    assert "±" in chromium.execute_script("return document.querySelector('.u-legend').textContent")


def test_a_report_is_printed(chromium, pages):
    opened(chromium, (pages / "run.html").as_uri())
    assert base64.b64decode(chromium.print_page()).startswith(b"%PDF")
    assert complaints(chromium) == []


def test_a_report_is_read_without_a_script(chromium, pages):
    chromium.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        opened(chromium, (pages / "run.html").as_uri())
        text = chromium.find_element("css selector", "body").text
    finally:
        chromium.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    for said in ("Failed. 1 of 4 requirements", "0.12 K rms", "surface: drift", "The charts need JavaScript"):
        assert said in text


def published(port, cells, pause_s):
    return subprocess.Popen(
        [sys.executable, "-c", PUBLISHER, str(port), str(cells), str(pause_s)], cwd=Path(__file__).parent
    )


def test_the_live_page_follows_runs(chromium):
    with Watcher(0) as watcher:
        opened(chromium, watcher.url)
        until(chromium, "document.getElementById('state').textContent === 'connected'")
        slow = published(watcher.port, 1, 2e-3)
        try:
            until(chromium, "document.querySelectorAll('canvas').length === 6")
            assert "Running" in chromium.find_element("id", "sentence").text
            until(chromium, "document.getElementById('sentence').textContent.startsWith('Failed. 1 of 4')")
            time.sleep(0.3)  # a frame
            assert all(count > DRAWN for count in colours(chromium))
            assert len(chromium.find_elements("css selector", "#results tr")) == 4
        finally:
            slow.wait(PATIENCE_S)
        published(watcher.port, 3, 0).wait(PATIENCE_S)  # over in a moment: it is shown whole
        until(chromium, "document.getElementById('title').textContent.startsWith('run of 3')")
        until(chromium, "document.getElementById('sentence').textContent.startsWith('Failed. 1 of 4')")
        until(chromium, "document.querySelectorAll('#earlier tr').length === 1")
        assert complaints(chromium) == []
        chromium.refresh()  # who comes late
        until(chromium, "document.querySelectorAll('canvas').length === 6")
        until(chromium, "document.getElementById('sentence').textContent.startsWith('Failed. 1 of 4')")
        assert complaints(chromium) == []
        asked = {each.split("/")[2] for each in requests(chromium) if not each.startswith("data:")}
        assert asked == {f"127.0.0.1:{watcher.port}"}
