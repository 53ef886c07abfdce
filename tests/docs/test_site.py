"""The site, built strictly and opened from the disk: no error, nothing fetched from elsewhere, and the search finds."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.docs.page import ROOT
from tests.report.test_browser import OVERFLOW, chrome, requests, resize, settled

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

__all__ = ["chrome"]
pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]
BROKEN = "return [...document.images].filter(one => one.complete && !one.naturalWidth).map(one => one.src)"
LOADED = "return [...document.images].every(one => one.complete)"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """``mkdocs build``, in which a warning is an error."""
    folder = tmp_path_factory.mktemp("site")
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    quiet = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(build, cwd=ROOT, env=quiet, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    yield folder


@pytest.mark.parametrize("width", [1400, 390])
def test_every_page_is_whole_and_fetches_nothing(chrome: Chrome, site: Path, width: int) -> None:
    resize(chrome, width)
    for path in sorted(site.rglob("*.html")):
        if path.name == "404.html":  # it is for a server: its links start at the top of the host
            continue
        chrome.get_log("performance")
        chrome.get(path.as_uri())
        settled(chrome, LOADED, True)
        assert chrome.execute_script(BROKEN) == [], path.name
        assert {url.split(":")[0] for url in requests(chrome)} <= {"file", "data"}, path.name
        assert chrome.execute_script(OVERFLOW) == 0, path.name
        assert chrome.get_log("browser") == [], path.name


def test_the_search_works_from_the_disk(chrome: Chrome, site: Path) -> None:
    from selenium.webdriver.common.by import By

    resize(chrome, 1400)
    chrome.get_log("performance")  # of the empty page
    chrome.get((site / "index.html").as_uri())
    chrome.find_element(By.CSS_SELECTOR, "label.md-search__icon, .md-search__input").click()
    chrome.find_element(By.CSS_SELECTOR, ".md-search__input").send_keys("heartbeat")
    settled(chrome, "return document.querySelectorAll('.md-search-result__link').length > 0", True)
    links = "return [...document.querySelectorAll('.md-search-result__link')].map(one => one.href)"
    assert any("clusters.html" in link for link in chrome.execute_script(links))
    assert {url.split(":")[0] for url in requests(chrome)} <= {"file", "data"}
    assert chrome.get_log("browser") == []


def test_what_is_copied_is_what_one_types(chrome: Chrome, site: Path) -> None:
    chrome.get((site / "quickstart.html").as_uri())
    copied = """
    const code = [...document.querySelectorAll('code')].find(one => one.innerText.includes('--version'));
    code.setAttribute('data-md-copying', '');  // as the button does
    return code.innerText
    """
    assert chrome.execute_script(copied).split("\n")[1:3] == ["pip install -e .", "ddsweep --version"]
