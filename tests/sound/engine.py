"""An engine for tests of its life: it listens where it is told, after a while, and takes its time to end."""

from __future__ import annotations

import sys

from wellfed.engines.spec import Endpoint, LaunchSpec
from wellfed.launch.process import free_port
from wellfed.nouns.layout import Engine

PROGRAM = """
import http.server, signal, sys, time
port, load_s, stubborn = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3] == "stubborn"
if stubborn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
time.sleep(load_s)
class Ok(http.server.BaseHTTPRequestHandler):
    def do_GET(self): self.send_response(200); self.send_header("Content-Length", "0"); self.end_headers()
    def log_message(self, *words): pass
http.server.HTTPServer(("127.0.0.1", port), Ok).serve_forever()
"""


def spec(load_s: float = 0.0, stubborn: bool = False, port: int | None = None, key: str | None = None) -> LaunchSpec:
    """A launch of it."""
    port = port or free_port()
    words = (sys.executable, "-S", "-c", PROGRAM, str(port), str(load_s), "stubborn" if stubborn else "")
    return LaunchSpec(Engine.LLAMA_CPP, words, Endpoint(port=port, api_key=key, key_is_made=key is not None))
