from __future__ import annotations

import json
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from ddsweep import sweep
from ddsweep.backends import Definition, Point, attach_image, connect
from ddsweep.backends.optuna import dashboard, notes
from ddsweep.errors import UserError

NAME = "ablation-alpha@demo"
ALPHAS = (0.0, 1.0, 100.0, 10000.0)


@pytest.fixture
def storage(tmp_path: Path) -> str:
    """A small finished sweep with a picture at every trial."""
    store = connect(tmp_path / "sweeps.db")
    backend = store.sweep(NAME)
    one = sweep.load("ablation-alpha", "demo", {"alpha": list(ALPHAS), "method": "dm", "ipc": 10})
    points = [
        Point(f"alpha={cell.recipe.alpha:g}", dict(cell.point), cell.key, f"dm · ipc 10 · α {cell.recipe.alpha:g}")
        for cell in one.cells
    ]
    backend.register(Definition(NAME, points, one.definition(), title="How strong should the guidance be?"))
    for number, accuracy in enumerate((0.48, 0.51, 0.55, 0.53)):
        claim = backend.claim("gpu0")
        assert claim is not None
        for step in (0, 500):
            png = tmp_path / "grid.png"
            Image.new("RGB", (96, 64), (60 * number, step // 2, 128)).save(png)
            attach_image(claim, png, f"synthetic_{step:05d}.png")
        claim.complete(accuracy, {"accuracy_std": 0.01})
        notes.annotate(backend, claim.point.id)
    store.close()
    return str(tmp_path / "sweeps.db")


@pytest.fixture
def start() -> Iterator[Callable[..., str]]:
    """``start(storage, allow_edit=…)`` serves in a thread and returns the URL of the host."""
    servers: list[dashboard.Server] = []

    def one(storage: str, **options: bool) -> str:
        servers.append(dashboard.listen(dashboard.application(storage, None, **options), "127.0.0.1", 0))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}"

    yield one
    for server in servers:
        server.shutdown()
        server.server_close()


def ask(method: str, url: str, body: dict[str, Any] | None = None) -> tuple[int, bytes]:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def test_one_may_look_but_not_touch(storage: str, start: Callable[..., str]) -> None:
    host = start(storage)
    status, body = ask("GET", f"{host}/api/studies")
    assert (status, json.loads(body)["study_summaries"][0]["study_name"]) == (200, NAME)
    assert ask("HEAD", f"{host}/dashboard/")[0] == 200
    for method, path in (
        ("DELETE", "/api/studies/1"),
        ("POST", "/api/studies/1/rename"),
        ("PUT", "/api/studies/1/note"),
    ):
        assert ask(method, host + path, {"study_name": "new"}) == (403, dashboard.REASON)
    assert json.loads(dashboard.REASON) == {"reason": "the dashboard is read-only; start it with --allow-edit"}
    assert connect_names(storage) == [NAME]


def test_with_allow_edit_one_may_touch(storage: str, start: Callable[..., str]) -> None:
    assert (
        ask("DELETE", f"{start(storage, allow_edit=True)}/api/studies/1", {"remove_associated_artifacts": False})[0]
        == 204
    )
    assert connect_names(storage) == []


def connect_names(storage: str) -> list[str]:
    store = connect(storage)
    try:
        return store.names()
    finally:
        store.close()


def test_a_port_in_use_is_one_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"cannot listen on 127.0.0.1 port {port}: Address already in use"):
            dashboard.listen(lambda environ, start: [], "127.0.0.1", port)
    with pytest.raises(UserError, match="port 70000"):
        dashboard.listen(lambda environ, start: [], "127.0.0.1", 70000)


def test_serve_says_when_it_is_ready(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """``serve`` runs until interrupted, so ``ready`` interrupts it, after it has been seen to listen."""
    urls = []

    def ready(url: str) -> None:
        urls.append(url)
        socket.create_connection(("127.0.0.1", int(url.split(":")[2].split("/")[0])), timeout=5).close()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        dashboard.serve(str(tmp_path / "new.db"), None, port=0, ready=ready)
    assert urls[0].startswith("http://127.0.0.1:")
    assert capfd.readouterr() == ("", "")


@pytest.mark.browser
def test_what_a_browser_shows(storage: str, start: Callable[..., str], tmp_path: Path) -> None:
    from selenium import webdriver
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    host = start(storage)
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for flag in (
        "headless=new", "no-sandbox", "disable-gpu", "disable-background-networking", "disable-component-update",
        "disable-sync", "no-first-run", "disable-dev-shm-usage", "window-size=1500,1700",
        f"user-data-dir={tmp_path / 'profile'}",
    ):  # fmt: skip
        options.add_argument(f"--{flag}")
    browser = webdriver.Chrome(options, webdriver.ChromeService("/usr/bin/chromedriver"))
    wait = WebDriverWait(browser, 40)
    try:
        browser.get(f"{host}/dashboard/studies/1/trials?numbers=2")
        widths = "return [...document.querySelectorAll('img')].map(i => [i.naturalWidth, i.naturalHeight])"
        wait.until(lambda b: [96, 64] in b.execute_script(widths))
        assert browser.execute_script(widths).count([96, 64]) == 2
        headings = [one.text for one in browser.find_elements(By.CSS_SELECTOR, "h1, h2, h3")]
        assert "dm · ipc 10 · α 100" in headings
        assert "test accuracy 55.0 ± 1.0 %" in browser.find_element(By.TAG_NAME, "body").text
        assert browser.save_screenshot(str(tmp_path / "trial.png"))

        browser.get(f"{host}/dashboard/studies/1")
        plot = f"[id='user-defined-plot:{notes.PLOT}']"
        # every α is a point, zero too, and the baseline is a dotted line with a label besides: as in the report
        wait.until(lambda b: len(b.find_elements(By.CSS_SELECTOR, f"{plot} .scatterlayer .point")) == len(ALPHAS))
        assert NAME in browser.find_element(By.CSS_SELECTOR, plot).text
        labels = [one.text for one in browser.find_elements(By.CSS_SELECTOR, f"{plot} .scatterlayer .textpoint")]
        assert "baseline" in labels
        browser.execute_script("arguments[0].scrollIntoView()", browser.find_element(By.CSS_SELECTOR, plot))
        assert browser.save_screenshot(str(tmp_path / "study.png"))

        answer = "const d = arguments[0]; fetch('/api/studies/1', {method: 'DELETE'}).then(r => d(r.status))"
        assert browser.execute_async_script(answer) == 403
    finally:
        browser.quit()
