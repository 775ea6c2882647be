"""An OpenAI-compatible server with known delays and faults."""

from __future__ import annotations

import json
import time
from http.server import BaseHTTPRequestHandler
from typing import ClassVar


class Stranger(BaseHTTPRequestHandler):
    """Answers like an OpenAI-compatible server; `faults` says how it misbehaves."""

    faults: ClassVar[set[str]] = set()
    seen: ClassVar[list[dict[str, object]]] = []

    def do_GET(self) -> None:
        self._send(200, json.dumps({"data": [{"id": "first"}, {"id": "second"}]}))

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.seen.append({**body, "key": self.headers.get("Authorization")})
        if "refuses" in self.faults or ("sometimes" in self.faults and len(self.seen) % 2 == 0):
            self._send(503, "overloaded")
            return
        self.send_response(200)
        self.end_headers()
        for index in range(int(body["max_tokens"])):
            time.sleep(0.002)
            self._chunk({"choices": [{"text": "" if index % 3 == 1 else "x", "finish_reason": None}]})
            if "fails" in self.faults and index == 1:
                self._chunk({"error": {"message": "out of cache", "code": 500}})
                return
            if "dies" in self.faults and index == 2:
                self.wfile.write(b"data: {half")
                return
        usage = {"prompt_tokens": len(body["prompt"].split()) * 2, "completion_tokens": body["max_tokens"]}
        self._chunk({"choices": [{"text": "", "finish_reason": "length"}], "usage": usage})
        self.wfile.write(b"data: [DONE]\n\n")

    def _chunk(self, content: object) -> None:
        self.wfile.write(f"data: {json.dumps(content)}\n\n".encode())

    def _send(self, code: int, text: str) -> None:
        self.send_response(code)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *words: object) -> None:
        """Quiet."""
