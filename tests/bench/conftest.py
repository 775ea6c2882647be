"""A stranger's endpoint for everybody here."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer

import pytest

from bench.stranger import Stranger


@pytest.fixture
def url() -> Iterator[str]:
    """Where the stranger listens."""
    Stranger.faults, Stranger.seen = set(), []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Stranger)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
