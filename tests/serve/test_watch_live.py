"""An engine that wellfed started is watched live: on the page, through the API's events, and in a browser."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="needs the serve extra")
pytest.importorskip("xllamacpp", reason="needs the embedded engine")

import httpx

from make_gguf import write
from wellfed.launch.process import free_port

pytestmark = pytest.mark.engine
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@dataclass(frozen=True)
class Running:
    """The server's address and the engine's name."""

    url: str
    name: str


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server, and an engine with a tiny model that somebody asks all the time."""
    folder = tmp_path_factory.mktemp("live")
    environment = {
        **os.environ,
        "XDG_STATE_HOME": str(folder / "state"),
        "XDG_DATA_HOME": str(folder / "data"),
        "NO_COLOR": "1",
    }
    model, port = write(folder / "tiny.gguf", "tiny", "q8_0"), free_port()

    def wellfed(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "wellfed", *words],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=180,
        )

    started = wellfed(
        "run", str(model), "--context", "512", "--threads", "1", "--port", str(port), "--no-key", "--detach"
    )
    assert started.returncode == 0, started.stderr
    server = subprocess.Popen(
        [sys.executable, "-m", "wellfed", "serve", "--port", "0"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert server.stdout is not None
    ended = threading.Event()
    asking = threading.Thread(target=_ask, args=(port, ended), daemon=True)
    asking.start()
    try:
        name = json.loads(wellfed("ps", "--json").stdout)["engines"][0]["name"]
        yield Running(server.stdout.readline().strip(), name)
    finally:
        ended.set()
        asking.join(30)
        server.send_signal(signal.SIGINT)
        server.wait(20)
        wellfed("stop", "--all")


def _ask(port: int, ended: threading.Event) -> None:
    body = {"prompt": "once upon a time", "max_tokens": 200, "temperature": 1.0}
    while not ended.is_set():
        try:
            httpx.post(f"http://127.0.0.1:{port}/v1/completions", json=body, timeout=60)
        except httpx.HTTPError:
            ended.wait(0.2)


def _until(seen: Any, seconds: float = 60.0) -> str:
    """The first page on which `seen` holds."""
    end, text = time.monotonic() + seconds, ""
    while time.monotonic() < end:
        text = seen()
        if text:
            return text
        time.sleep(0.5)
    raise AssertionError("it was not seen in time")


def test_the_page_lists_it_and_shows_what_it_does(running: Running) -> None:
    assert running.name in httpx.get(f"{running.url}watch").text

    def looked() -> str:
        page = httpx.get(f"{running.url}watch", params={"name": running.name}, timeout=60)
        assert page.status_code == 200, page.text
        return page.text if 'class="diagnosis' in page.text and page.text.count('class="chart"') >= 2 else ""

    text = _until(looked)
    assert 'hx-trigger="every 2s"' in text and "CPU cores busy" in text
    assert running.name in text


def test_the_events_tell_its_tokens(running: Running) -> None:
    """Looks come, and in the end one of them counts tokens."""
    rates: list[float] = []
    query = {"name": running.name, "interval": 0.5, "window": 5}
    with httpx.stream("GET", f"{running.url}api/v1/watch", params=query, timeout=60) as answer:
        for line in answer.iter_lines():
            if line.startswith("data: {"):
                look = json.loads(line.removeprefix("data: "))
                assert look["schema"] == "wellfed.watch/1", look
                rates.append((look["engine"] or {}).get("tok_s") or 0.0)
                if rates[-1] > 0 or len(rates) > 80:
                    break
    assert rates[-1] > 0


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None or importlib.util.find_spec("playwright") is None, reason="needs Chromium")
def test_a_browser_sees_it_move(running: Running) -> None:
    from playwright.sync_api import expect, sync_playwright

    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        said: list[str] = []
        page.on("console", lambda line: said.append(line.text) if line.type == "error" else None)
        page.goto(f"{running.url}watch")
        page.get_by_role("link", name=running.name).click()
        head = page.locator("#diagnosis-head")
        expect(head).to_be_visible(timeout=60_000)
        first = head.inner_text()
        expect(head).not_to_have_text(first, timeout=60_000)  # without a click: seconds pass
        if folder := os.environ.get("WELLFED_SHOTS"):
            page.screenshot(path=Path(folder) / "live.png", full_page=True)
        page.get_by_role("link", name="Stop").click()
        expect(page.locator("#diagnosis-head")).to_have_count(0)
        assert said == []
        browser.close()
