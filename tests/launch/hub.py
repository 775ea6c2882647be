"""A model hub on this machine's loopback that speaks enough of Hugging Face's protocol, and can go wrong."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import PurePosixPath

COMMIT = "1" * 40


@dataclass
class Hub:
    """What it has, how it answers, and what it was asked."""

    files: dict[str, bytes]
    status: int = 200
    code: str = ""  # X-Error-Code of a refusal
    cut_after: int | None = None  # bytes of a file after which every connection breaks
    damaged: bool = False  # the right number of wrong bytes
    etag: str | None = None  # in place of the checksum
    commit: str = COMMIT
    path: str | None = None  # in the listing, in place of every file's own
    endless: bool = False  # a body without end
    redirects: bool = False  # files lie on another address, as on a CDN
    ignores_ranges: bool = False  # the whole body, whatever part is asked for
    retry_after: str = ""
    told_size: int | None = None  # at the file, in place of its own
    asked: list[tuple[str, str, str]] = field(default_factory=list)  # method, path, range
    url: str = ""

    def listing(self) -> list[dict[str, object]]:
        """The tree's entries."""
        found = []
        for name, content in self.files.items():
            lfs = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 100}
            found.append({"type": "file", "path": self.path or name, "size": len(content), "oid": "0" * 40, "lfs": lfs})
        return found


@contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    """`hub` with its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.answer(body=False)

        def do_GET(self) -> None:
            self.answer(body=True)

        def answer(self, body: bool) -> None:
            hub.asked.append((self.command, self.path, self.headers.get("Range", "")))
            if hub.status != 200:
                self.refuse()
            elif "/tree/" in self.path:
                self.send(json.dumps(hub.listing()).encode(), {"Content-Type": "application/json"}, body)
            elif "/resolve/" not in self.path:
                self.send(b"", {}, body, 404)
            elif hub.redirects and not self.path.startswith("/cdn"):
                self.send(b"", {"Location": f"{hub.url}/cdn{self.path}"}, body, 302)
            else:
                self.file(PurePosixPath(self.path.split("/resolve/", 1)[1]).relative_to(self.revision()), body)

        def revision(self) -> str:
            return self.path.split("/resolve/", 1)[1].split("/", 1)[0]

        def refuse(self) -> None:
            self.send_response(hub.status)
            if hub.retry_after:
                self.send_header("Retry-After", hub.retry_after)
            if hub.code:
                self.send_header("X-Error-Code", hub.code)
                self.send_header("X-Error-Message", "no")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def file(self, name: PurePosixPath, body: bool) -> None:
            if str(name) not in hub.files:
                self.send(b"", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT}, body, 404)
                return
            whole = hub.files[str(name)]
            digest = hashlib.sha256(whole).hexdigest()
            digest = hub.etag or digest
            headers = {"ETag": f'"{digest}"', "X-Repo-Commit": hub.commit, "X-Linked-Etag": f'"{digest}"'}
            headers |= {"X-Linked-Size": str(hub.told_size or len(whole)), "Accept-Ranges": "bytes"}
            if hub.endless and body:
                self.without_end(headers)
                return
            content = bytes(len(whole)) if hub.damaged else whole
            wanted = "" if hub.ignores_ranges else self.headers.get("Range", "")
            if not wanted:
                self.send(content, headers, body)
                return
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            end = int(last) + 1 if last else len(content)
            headers["Content-Range"] = f"bytes {first}-{end - 1}/{len(content)}"
            self.send(content[int(first) : end], headers, body, 206)

        def without_end(self, headers: dict[str, str]) -> None:
            self.send_response(206)
            for key, value in headers.items():
                self.send_header(key, value)
            self.end_headers()
            self.close_connection = True
            with suppress(OSError):
                while True:
                    self.wfile.write(bytes(65536))

        def send(self, content: bytes, headers: dict[str, str], body: bool, status: int = 200) -> None:
            self.send_response(status)
            for key, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(key, value)
            self.end_headers()
            if body:
                cut = hub.cut_after if "/resolve/" in self.path else None
                self.wfile.write(content if cut is None else content[:cut])
                self.close_connection = True

        def log_message(self, format: str, *words: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
