"""Ollama's own words: what is loaded and how much of it on GPUs; nothing of requests."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from wellfed.asking.address import Address
from wellfed.cli.watch_text import _engine_rows
from wellfed.watching import target
from wellfed.watching.sample import Engine, Sample
from wellfed.watching.samplers import ollama
from wellfed.watching.samplers.endpoint import EndpointSampler, parsed
from wellfed.watching.window_asked import engine

LOADED = {
    "models": [
        {"name": "qwen3:8b", "model": "qwen3:8b", "size": 8_000_000_000, "size_vram": 6_000_000_000,
         "context_length": 8192, "details": {"quantization_level": "Q4_K_M"}},
    ]
}  # fmt: skip


def test_what_is_loaded_is_told_and_nothing_made_up() -> None:
    said = parsed(1.0, 0.1, 404, "404 page not found", None, LOADED)
    assert (said.kind, said.loaded, said.gpu_share, said.room_tokens) == ("ollama", "qwen3:8b", 0.75, 8192)
    assert said.answers and said.error is None
    assert said.running is None and said.tokens_total is None and said.slots is None


def test_nothing_loaded_is_no_error() -> None:
    said = parsed(1.0, 0.1, 404, "", None, {"models": []})
    assert said.kind == "ollama" and said.loaded is None and said.gpu_share is None


@pytest.mark.parametrize("told", [None, [], {"models": 3}, {"data": []}, "Ollama"])
def test_other_answers_are_not_ollama_s(told: object) -> None:
    said = parsed(1.0, 0.1, 404, "", None, told)
    assert said.kind is None and said.error


@pytest.mark.parametrize(
    "model",
    [{"size": -1, "size_vram": "x"}, {"size": True}, {"size": 1, "size_vram": 10**30}, {}, {"name": "n" * 9999}],
)
def test_odd_figures_are_none(model: dict[str, Any]) -> None:
    said = ollama.engine(1.0, 0.1, {"models": [model, 7]})
    assert said.gpu_share is None or 0 <= said.gpu_share <= 1
    assert len(said.loaded or "") <= 210


def test_the_watch_shows_it() -> None:
    said = ollama.engine(1.0, 0.1, LOADED)
    view = engine(
        [Sample(t=1.0, wall=1.0, engine=said), Sample(t=2.0, wall=2.0, engine=Engine(**{**_fields(said), "t": 2.0}))]
    )
    assert view is not None and view.gpu_share == 0.75

    class Shown:
        engine = view
        promise = None
        against_promise = None

    notes = [str(row[2]) for row in _engine_rows(Shown())]  # type: ignore[arg-type]
    assert any("qwen3:8b" in note and "75" in note and "8,192" in note for note in notes)


def _fields(said: Engine) -> dict[str, Any]:
    return {name: getattr(said, name) for name in Engine.__dataclass_fields__}


class Server(BaseHTTPRequestHandler):
    """Answers as Ollama does."""

    def do_GET(self) -> None:
        body = json.dumps(LOADED).encode() if self.path == "/api/ps" else b"404 page not found"
        self.send_response(200 if self.path == "/api/ps" else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@pytest.fixture
def port() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


def test_a_running_server_is_asked(port: int) -> None:
    sampler = EndpointSampler(Address(f"http://127.0.0.1:{port}"), interval_s=0.05)
    try:
        deadline = time.monotonic() + 20
        said = None
        while said is None and time.monotonic() < deadline:
            said = sampler.sample()
            time.sleep(0.01)
        assert said is not None and said.loaded == "qwen3:8b"
    finally:
        sampler.close()


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("/usr/local/bin/ollama\0serve\0", "llama.cpp"), ("/usr/local/bin/ollama\0runner\0--model\0x\0", None),
        ("ollama\0run\0qwen3\0", None), ("llama-server\0-m\0x.gguf\0", "llama.cpp"),
    ],
)  # fmt: skip
def test_its_server_is_found_among_processes_and_its_runners_are_not(
    line: str, found: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(target, "text", lambda _: line)
    assert target.engine_of(1) == found
