"""An OpenAI endpoint of ours, that behaves as a test says."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Behaviour:
    """How it answers. `asked` and `keys` are what it saw; `most_at_once` how many questions were open together."""

    pause_s: float = 0.0  # before the first token
    step_s: float = 0.002
    tokens: int = 16
    refuse: dict[str, int] = field(default_factory=dict)  # path -> status
    refuse_field: str = ""
    raw: bytes | None = None  # instead of a stream
    status: int = 200
    models: bytes = b'{"data":[{"id":"first"},{"id":"second"}]}'
    usage: bool = True
    key: str | None = None
    asked: list[dict[str, Any]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    open: int = 0
    most_at_once: int = 0


@contextmanager
def serving(behaviour: Behaviour) -> Iterator[str]:
    """Its address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = behaviour.models if self.path.endswith("/models") else b"<html>"
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            behaviour.asked.append(body)
            behaviour.paths.append(self.path)
            behaviour.open += 1
            behaviour.most_at_once = max(behaviour.most_at_once, behaviour.open)
            try:
                self._answer(body)
            except OSError:
                self.close_connection = True
            finally:
                behaviour.open -= 1

        def _answer(self, body: dict[str, Any]) -> None:
            status = behaviour.refuse.get(self.path, behaviour.status)
            if behaviour.refuse_field and behaviour.refuse_field in body:
                status = 400
            if behaviour.key is not None and self.headers.get("Authorization") != f"Bearer {behaviour.key}":
                status = 401
            if status != 200:
                sent = self.headers.get("Authorization", "")
                return self._plain(status, f"no: {sent} [/bold] \x1b[31m".encode())
            if behaviour.raw is not None:
                return self._plain(200, behaviour.raw)
            return self._stream("chat" in self.path)

        def _plain(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _stream(self, chat: bool) -> None:
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            time.sleep(behaviour.pause_s)
            if chat:
                self._event({"choices": [{"delta": {"role": "assistant", "content": ""}}]})
            for _ in range(behaviour.tokens):
                self._event({"choices": [{"delta": {"content": "1"}} if chat else {"text": "1"}]})
                time.sleep(behaviour.step_s)
            if behaviour.usage:
                self._event({"choices": [], "usage": {"prompt_tokens": 31, "completion_tokens": behaviour.tokens}})
            self._chunk(b"data: [DONE]\n\n")
            self._chunk(b"")

        def _event(self, value: dict[str, Any]) -> None:
            self._chunk(b"data: " + json.dumps(value).encode() + b"\n\n")

        def _chunk(self, data: bytes) -> None:
            self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
            self.wfile.flush()

        def log_message(self, format: str, *args: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
