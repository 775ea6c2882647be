"""The diagnosis and its figures for Prometheus, on an address of this machine unless told otherwise."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from wellfed.errors import BadInput
from wellfed.watching.diagnose import Diagnosis
from wellfed.watching.registry import ALL
from wellfed.watching.view import GpuView, View


def _of(part: str, what: str) -> Callable[[View], float | None]:
    """Reads one figure of a part of the view, None where the part is not there."""
    return lambda view: getattr(getattr(view, part), what, None)


_GAUGES: tuple[tuple[str, str, Callable[[View], float | None]], ...] = (
    ("tokens_per_second", "Tokens made per second.", _of("engine", "tok_s")),
    ("prompt_tokens_per_second", "Prompt tokens read per second.", _of("engine", "prompt_tok_s")),
    ("requests_running", "Requests running.", _of("engine", "running")),
    ("requests_waiting", "Requests waiting.", _of("engine", "waiting")),
    ("kv_cache_usage", "Share of the KV cache in use.", _of("engine", "kv_usage")),
    ("planned_tokens_per_second", "What the plan promises one user.", _of("promise", "decode_tok_s")),
    ("probe_first_token_seconds", "Time to first token of a probe.", _of("probe", "ttft_s")),
    ("probe_tokens_per_second", "Tokens per second that a probe gets.", _of("probe", "tok_s")),
    ("probe_failed_share", "Share of probes that failed.", _of("probe", "failed")),
    ("engine_cores", "CPU time per second of the engine.", _of("process", "cores")),
    ("engine_waiting_share", "Share of wanted CPU time waited for.", _of("process", "waiting_share")),
    ("foreign_cores", "CPU time per second of others.", _of("host", "foreign_cores")),
    ("memory_available_bytes", "RAM available.", _of("host", "memory_available_bytes")),
    ("major_faults_per_second", "Major faults of the engine.", _of("process", "major_faults_per_s")),
    ("throttled_periods", "Share of quota periods throttled.", _of("cgroup", "throttled_periods")),
    ("watcher_cores", "CPU time per second of the watch itself.", lambda v: v.watcher_cores),
)
_GPU_GAUGES: tuple[tuple[str, str, Callable[[GpuView], float | None]], ...] = (
    ("gpu_busy", "Share of time with a kernel running.", lambda g: g.busy),
    ("gpu_memory_share", "Share of GPU memory in use.", lambda g: g.memory_share),
    ("gpu_link_share", "PCIe traffic over what the negotiated link achieves.", lambda g: g.link_share),
    ("gpu_clock_share", "Clock over the highest clock.", lambda g: g.clock_share),
    ("gpu_power_share", "Power over the power limit.", lambda g: g.power_share),
)


def prometheus_text(target: str, diagnosis: Diagnosis) -> str:
    """One page. `wellfed_watch_diagnosis` is 1 for causes that are named, 0 for the others."""
    view, name = diagnosis.view, f'target="{_escape(target)}"'
    named = {cause.rule.id: cause for cause in diagnosis.causes}
    lines = _head("diagnosis", "1 for a cause that is named.")
    lines += [
        f'wellfed_watch_diagnosis{{{name},id="{rule.id}",kind="{rule.kind.value}"}} {int(rule.id in named)}'
        for rule in ALL
    ]
    lines.append(f'wellfed_watch_diagnosis{{{name},id="unknown",kind="unknown"}} {int(not named)}')
    lines += [*_head("ill", "1 when a fault is named."), f"wellfed_watch_ill{{{name}}} {int(diagnosis.ill)}"]
    for metric, text, get in _GAUGES:
        value = get(view)
        if value is not None:
            lines += [*_head(metric, text), f"wellfed_watch_{metric}{{{name}}} {float(value):g}"]
    return "\n".join([*lines, *_gpu_lines(view, name)]) + "\n"


def _gpu_lines(view: View, name: str) -> list[str]:
    lines: list[str] = []
    for metric, text, get in _GPU_GAUGES:
        values = [(gpu, get(gpu)) for gpu in view.gpus or ()]
        known = [
            f'wellfed_watch_{metric}{{{name},gpu="{gpu.index}"}} {value:g}'
            for gpu, value in values
            if value is not None
        ]
        lines += [*_head(metric, text), *known] if known else []
    return lines


def _head(metric: str, text: str) -> list[str]:
    return [f"# HELP wellfed_watch_{metric} {text}", f"# TYPE wellfed_watch_{metric} gauge"]


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


class Exporter:
    """Holds the last page; a thread serves it."""

    def __init__(self, host: str, port: int) -> None:
        self._page = b"# nothing seen yet\n"
        outer = self

        class Page(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                found = self.path.split("?")[0] == "/metrics"
                body = outer._page if found else b"/metrics\n"
                self.send_response(200 if found else 404)
                self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                return

        self._server = ThreadingHTTPServer((host, port), Page)
        self.url = f"http://{host}:{self._server.server_address[1]}/metrics"
        threading.Thread(target=self._server.serve_forever, name="wellfed-export", daemon=True).start()

    def update(self, target: str, diagnosis: Diagnosis) -> None:
        """A new page."""
        self._page = prometheus_text(target, diagnosis).encode()

    def close(self) -> None:
        """Serve no more."""
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def listen(address: str) -> Iterator[Exporter]:
    """Serve on `[HOST]:PORT`; without a host, for this machine alone. Raises BadInput for a bad or taken one."""
    host, _, port = address.rpartition(":")
    if not port.isdigit() or int(port) > 65535:
        raise BadInput(f"{address!r} is no address", "for example :9100")
    try:
        exporter = Exporter(host or "127.0.0.1", int(port))
    except OSError as error:
        raise BadInput(f"cannot listen on {address}: {error.strerror}", "choose another port") from error
    try:
        yield exporter
    finally:
        exporter.close()
