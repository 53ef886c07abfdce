"""The report in a browser, from the disk: what is seen, what moves, and that it asks nobody for anything."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ddsweep import report
from ddsweep.backends.values import State
from ddsweep.report import Material
from tests.report.conftest import STEPS, Finished

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

SHOWN = """
const all = [...document.querySelectorAll('.synthetic img')].filter(one => one.checkVisibility());
return all.map(one => [Number(one.dataset.column), Number(one.dataset.step)])
"""
POINTS = "return document.querySelectorAll('#numbers .canvas .scatterlayer .point').length"
OVERFLOW = "const page = document.documentElement; return page.scrollWidth - page.clientWidth"
WIDE = """
const width = document.documentElement.clientWidth;
const scrolled = one => one.closest('.scroll') || one.closest('pre');
return [...document.body.querySelectorAll('*')]
  .filter(one => one.checkVisibility() && !scrolled(one) && one.getBoundingClientRect().right > width + 0.5)
  .map(one => one.outerHTML.slice(0, 120))
"""


@pytest.fixture
def chrome(tmp_path: Path) -> Iterator[Chrome]:
    """Headless Chromium that remembers its console and its requests."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for flag in (
        "headless=new", "no-sandbox", "disable-gpu", "disable-background-networking", "disable-component-update",
        "disable-sync", "no-first-run", "disable-dev-shm-usage", f"user-data-dir={tmp_path / 'profile'}",
    ):  # fmt: skip
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = webdriver.Chrome(options, webdriver.ChromeService("/usr/bin/chromedriver"))
    yield browser
    browser.quit()


def show(chrome: Chrome, one: Finished, width: int = 1400) -> str:
    """Open the report of a sweep at a width; its address."""
    path = one.runs.absolute() / "report.html"
    report.write(Material.of(one.sweep, one.runs, one.status), path)
    resize(chrome, width)
    chrome.get_log("performance")  # of the empty page
    chrome.get(path.as_uri())
    return path.as_uri()


def resize(chrome: Chrome, width: int) -> None:
    """A window is never narrower than 500 pixels; a telephone is."""
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    chrome.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def settled(chrome: Chrome, script: str, wanted: Any) -> None:
    """Wait until ``script`` returns what is wanted."""
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(chrome, 40).until(lambda b: b.execute_script(script) == wanted, script)


def requests(chrome: Chrome) -> list[str]:
    """What pages asked for, not held back by their policy; the browser's own start page is none of ours."""
    events = [json.loads(line["message"])["message"] for line in chrome.get_log("performance")]
    blocked = {event["params"]["requestId"] for event in events if event["params"].get("blockedReason") == "csp"}
    sent = [event["params"] for event in events if event["method"] == "Network.requestWillBeSent"]
    urls = [one["request"]["url"] for one in sent if one["requestId"] not in blocked]
    return [url for url in urls if not url.startswith(("chrome:", "chrome-untrusted:"))]


def test_pictures_are_there_and_nothing_is_fetched(chrome: Chrome, finished: Finished) -> None:
    address = show(chrome, finished)
    images = "return [...document.images].filter(one => one.complete && one.naturalWidth > 0).length"
    settled(chrome, images, len(chrome.execute_script("return [...document.images]")))
    assert chrome.execute_script("return document.images.length") == 22
    assert chrome.execute_script(SHOWN) == [[0, STEPS[-1]]]
    assert chrome.execute_script(POINTS) == 2 * 3
    assert {url for url in requests(chrome) if not url.startswith("data:")} == {address}
    assert chrome.get_log("browser") == []


def test_the_sliders_move_through_axis_and_time(chrome: Chrome, finished: Finished) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    show(chrome, finished)
    said = "return [...document.querySelectorAll('.said')].find(one => one.checkVisibility()).textContent"
    along, over = (
        chrome.find_element(By.CSS_SELECTOR, f".gallery:not([hidden]) .{name}") for name in ("along", "over")
    )
    along.send_keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    settled(chrome, SHOWN, [[2, 8]])
    assert chrome.execute_script(said) == "α 100"
    assert along.get_attribute("aria-valuetext") == "α 100"
    over.send_keys(Keys.ARROW_LEFT)
    settled(chrome, SHOWN, [[2, 4]])
    along.send_keys(Keys.HOME)
    settled(chrome, SHOWN, [[0, 4]])
    (choice, *_) = chrome.find_elements(By.CSS_SELECTOR, "select.setting")
    choice.send_keys("DM")
    settled(chrome, "return document.querySelectorAll('.gallery:not([hidden])').length", 1)
    settled(chrome, SHOWN, [[0, 4]])
    assert [one.get_attribute("value") for one in chrome.find_elements(By.CSS_SELECTOR, "select.setting")] == ["1", "1"]
    assert chrome.get_log("browser") == []


def test_the_chart_answers_to_pointer_and_keyboard(chrome: Chrome, finished: Finished) -> None:
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    show(chrome, finished)
    tip = "return [...document.querySelectorAll('#numbers .hoverlayer .legend text')].map(one => one.textContent)"
    (canvas,) = chrome.find_elements(By.CSS_SELECTOR, "#numbers .canvas")
    chrome.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", canvas)
    ActionChains(chrome).move_to_element_with_offset(canvas, canvas.size["width"] // 2 - 80, 0).perform()
    settled(chrome, tip, ["100", "DSA 53.0 ± 1.0 (n = 2) · +2.0", "DM 56.0 ± 1.0 (n = 2) · +2.0"])
    ActionChains(chrome).click().perform()
    settled(chrome, SHOWN, [[2, 8]])
    canvas.send_keys(Keys.ARROW_LEFT)
    settled(chrome, SHOWN, [[1, 8]])
    settled(chrome, tip, ["1", "DSA 52.0 ± 1.0 (n = 2) · +1.0", "DM 55.0 ± 1.0 (n = 2) · +1.0"])
    chrome.find_element(By.CSS_SELECTOR, "#numbers .canvas .legendtoggle").click()
    settled(chrome, POINTS, 3)
    canvas.send_keys(Keys.ARROW_LEFT)
    settled(chrome, SHOWN, [[0, 8]])
    assert chrome.execute_script(POINTS) == 3, "what is hidden stays hidden"
    assert chrome.get_log("browser") == []


def test_what_has_no_picture_says_why(chrome: Chrome, finished: Finished) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    cell = finished.cell("dsa", 100.0)
    shutil.rmtree(finished.runs / cell.key)
    finished.become(cell, State.FAILED, ("<b>no space left</b>",))
    show(chrome, finished)
    chrome.find_element(By.CSS_SELECTOR, ".gallery:not([hidden]) .along").send_keys(Keys.END)
    nothing = "return document.querySelector('.nothing').innerText"
    settled(chrome, nothing, "No images at α 100: failed: <b>no space left</b>.")
    assert chrome.execute_script(SHOWN) == []


@pytest.mark.parametrize("width", [1400, 390])
def test_a_number_shows_its_cells_to_pointer_and_keyboard(chrome: Chrome, finished: Finished, width: int) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    show(chrome, finished, width)
    shown = "return [...document.querySelectorAll('.behind')].filter(one => one.checkVisibility()).map(one => one.id)"
    assert chrome.execute_script(shown) == []
    number = chrome.find_elements(By.CSS_SELECTOR, "button.number")[-1]
    chrome.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", number)
    number.click()
    settled(chrome, shown, [number.get_attribute("popovertarget")])
    said = chrome.find_element(By.CSS_SELECTOR, ".behind:popover-open").text
    assert finished.cell("dm", 100.0).key in said
    assert chrome.execute_script("return document.activeElement.textContent") == "DM · α 100"
    assert chrome.execute_script(WIDE) == []
    chrome.switch_to.active_element.send_keys(Keys.ESCAPE)
    settled(chrome, shown, [])
    assert chrome.switch_to.active_element == number, "the reader goes on where he was"
    number.send_keys(Keys.ENTER)
    settled(chrome, shown, [number.get_attribute("popovertarget")])
    chrome.find_element(By.CSS_SELECTOR, ".behind:popover-open .close").click()
    settled(chrome, shown, [])
    assert chrome.get_log("browser") == []


@pytest.mark.parametrize("width", [1400, 390])
def test_nothing_is_wider_than_the_page(chrome: Chrome, finished: Finished, width: int) -> None:
    show(chrome, finished, width)
    chrome.execute_script("document.querySelectorAll('details').forEach(one => (one.open = true))")
    assert chrome.execute_script(WIDE) == []
    assert chrome.execute_script(OVERFLOW) == 0
    resize(chrome, 1790 - width)  # the other one: charts are drawn anew
    settled(chrome, "return innerWidth", 1790 - width)
    settled(chrome, WIDE, [])
    settled(chrome, OVERFLOW, 0)


def test_the_policy_lets_nothing_else_run(chrome: Chrome, finished: Finished) -> None:
    show(chrome, finished)
    chrome.execute_script(
        "const one = document.createElement('script'); one.textContent = 'window.ran = 1'; document.body.append(one);"
        "const two = new Image(); two.src = 'http://127.0.0.1:9/x.png'; document.body.append(two)"
    )
    assert chrome.execute_script("return window.ran") is None
    told = "\n".join(line["message"] for line in chrome.get_log("browser"))
    assert "script-src" in told
    assert "img-src" in told
    assert not [url for url in requests(chrome) if url.startswith("http")]
