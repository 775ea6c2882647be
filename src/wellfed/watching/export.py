"""The diagnosis and its figures for Prometheus, on an address of this machine unless told otherwise."""

from __future__ import annotations

import asyncio
import re
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress

from wellfed.errors import BadInput
from wellfed.message import message
from wellfed.printable import printable, printable_lines
from wellfed.watching.diagnose import Diagnosis
from wellfed.watching.facts import Fact
from wellfed.watching.registry import ALL
from wellfed.watching.view import GpuView, View

_MOST_OPEN = 512  # connections at once
_WITHIN_S = 5.0  # from accepting a connection to its answer sent; slower scrapers are dropped (assumed)
_MOST_HEAD_BYTES = 16 * 1024  # of a request's head; a scraper sends some hundreds (assumed)
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_ADDRESS = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.%\w]+)\]|(?P<host>[\w.-]*)):(?P<port>\d{1,5})", re.ASCII)


def _figure_of(part: str, figure: str) -> Callable[[View], float | None]:
    """A reader of one field of a part of the view (`engine`, `kv_usage`); it gives None where the part is missing."""
    return lambda view: getattr(getattr(view, part), figure, None)


_GAUGES: tuple[tuple[str, str, Callable[[View], float | None]], ...] = (
    ("tokens_per_second", "Tokens made per second.", _figure_of("engine", "tok_s")),
    ("prompt_tokens_per_second", "Prompt tokens read per second.", _figure_of("engine", "prompt_tok_s")),
    ("requests_running", "Requests running.", _figure_of("engine", "running")),
    ("requests_waiting", "Requests waiting.", _figure_of("engine", "waiting")),
    ("kv_cache_usage", "Share of the KV cache in use.", _figure_of("engine", "kv_usage")),
    ("user_tokens_per_second", "Tokens per second of one running sequence.", _figure_of("engine", "user_tok_s")),
    ("planned_tokens_per_second", "What the plan promises one user.", _figure_of("promise", "decode_tok_s")),
    ("planned_low_tokens_per_second", "The low end of that promise.", _figure_of("promise", "decode_low_tok_s")),
    ("probe_first_token_seconds", "Time to first token of a probe.", _figure_of("probe", "ttft_s")),
    ("probe_tokens_per_second", "Tokens per second that a probe gets.", _figure_of("probe", "tok_s")),
    ("probe_failed_share", "Share of probes that failed.", _figure_of("probe", "failed")),
    ("engine_cores", "CPU time per second of the engine.", _figure_of("process", "cores")),
    ("engine_waiting_share", "Share of wanted CPU time waited for.", _figure_of("process", "waiting_share")),
    ("foreign_cores", "CPU time per second of others.", _figure_of("host", "foreign_cores")),
    ("memory_available_bytes", "RAM available.", _figure_of("host", "memory_available_bytes")),
    ("major_faults_per_second", "Major faults of the engine.", _figure_of("process", "major_faults_per_s")),
    ("throttled_periods", "Share of quota periods throttled.", _figure_of("cgroup", "throttled_periods")),
    ("watcher_cores", "CPU time per second of the watch itself.", lambda v: v.watcher_cores),
)
_GPU_GAUGES: tuple[tuple[str, str, Callable[[GpuView], float | None]], ...] = (
    ("gpu_busy", "Share of time with a kernel running.", lambda g: g.busy),
    ("gpu_memory_share", "Share of GPU memory in use.", lambda g: g.memory_share),
    ("gpu_link_share", "PCIe traffic over what the negotiated link achieves.", lambda g: g.link_share),
    ("gpu_clock_share", "Clock over the highest clock.", lambda g: g.clock_share),
    ("gpu_power_share", "Power over the power limit.", lambda g: g.power_share),
)


def prometheus_text(target: str, diagnosis: Diagnosis, facts: Sequence[Fact] = ()) -> str:
    """One page. `wellfed_watch_diagnosis` is 1 for causes that are named, 0 for the others; `wellfed_watch_fact` is 1
    for what the machine and its engine are made of, so that a later page tells what has changed.
    """
    view, name = diagnosis.view, f'target="{_escape(target)}"'
    causes = {cause.rule.id: cause for cause in diagnosis.causes}
    lines = _head("diagnosis", "1 for a cause that is named.")
    lines += [
        f'wellfed_watch_diagnosis{{{name},id="{rule.id}",kind="{rule.kind.value}"}} {int(rule.id in causes)}'
        for rule in ALL
    ]
    lines.append(f'wellfed_watch_diagnosis{{{name},id="unknown",kind="unknown"}} {int(not causes)}')
    lines += [*_head("ill", "1 when a fault is named."), f"wellfed_watch_ill{{{name}}} {int(diagnosis.ill)}"]
    for metric, text, get in _GAUGES:
        value = get(view)
        if value is not None:
            lines += [*_head(metric, text), f"wellfed_watch_{metric}{{{name}}} {float(value):g}"]
    return "\n".join([*lines, *_gpu_lines(view, name), *_fact_lines(facts, name)]) + "\n"


def _fact_lines(facts: Sequence[Fact], name: str) -> list[str]:
    lines = [
        f'wellfed_watch_fact{{{name},subject="{_escape(subject)}",name="{_escape(fact)}",value="{_escape(value)}"}} 1'
        for subject, fact, value in facts
    ]
    return [*_head("fact", "What this machine and its engine are made of and set to."), *lines] if lines else []


def _gpu_lines(view: View, name: str) -> list[str]:
    lines: list[str] = []
    for metric, text, get in _GPU_GAUGES:
        values = [(gpu, get(gpu)) for gpu in view.gpus or ()]
        samples = [
            f'wellfed_watch_{metric}{{{name},gpu="{gpu.index}"}} {value:g}'
            for gpu, value in values
            if value is not None
        ]
        lines += [*_head(metric, text), *samples] if samples else []
    return lines


def _head(metric: str, text: str) -> list[str]:
    return [f"# HELP wellfed_watch_{metric} {text}", f"# TYPE wellfed_watch_{metric} gauge"]


def _escape(text: str) -> str:
    return printable_lines(text).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


class Exporter:
    """Holds the last page; one thread serves it to however many ask, each for a short while."""

    def __init__(self, host: str, port: int) -> None:
        self.facts: tuple[Fact, ...] = ()
        self._page = b"# nothing seen yet\n"
        self._listener = _listening(host, port)
        shown = f"[{host}]" if ":" in host else host
        self.url = f"http://{shown}:{self._listener.getsockname()[1]}/metrics"
        self._loop = asyncio.new_event_loop()
        self._open: dict[asyncio.StreamWriter, None] = {}  # the oldest first
        self._end = asyncio.Event()
        self._thread = threading.Thread(target=self._serve, name="wellfed-export", daemon=True)
        self._thread.start()

    def update(self, target: str, diagnosis: Diagnosis) -> None:
        """Put this diagnosis on the page that is served."""
        self._page = prometheus_text(target, diagnosis, self.facts).encode("utf-8", "replace")

    def close(self) -> None:
        """Stop serving the page."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(timeout=_WITHIN_S)

    def _serve(self) -> None:
        with closing(self._loop):
            self._loop.run_until_complete(self._until_the_end())

    async def _until_the_end(self) -> None:
        server = await asyncio.start_server(self._answer, sock=self._listener, limit=_MOST_HEAD_BYTES)
        await self._end.wait()
        server.close()
        for writer in tuple(self._open):
            writer.transport.abort()
        await asyncio.sleep(0)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection: who comes when all places are taken gets that of whoever has had one longest."""
        if len(self._open) >= _MOST_OPEN:
            next(iter(self._open)).transport.abort()
        self._open[writer] = None
        try:
            async with asyncio.timeout(_WITHIN_S):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(self._reply(head))
                await writer.drain()
                writer.close()
                await writer.wait_closed()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            writer.transport.abort()
        finally:
            self._open.pop(writer, None)

    def _reply(self, head: bytes) -> bytes:
        method, _, target = head.partition(b" ")
        status, body = "405 Method Not Allowed", b""
        if method in (b"GET", b"HEAD"):
            is_metrics = target.partition(b" ")[0].partition(b"?")[0] == b"/metrics"
            status, body = ("200 OK", self._page) if is_metrics else ("404 Not Found", b"/metrics\n")
        lines = [f"HTTP/1.1 {status}", "Content-Type: text/plain; version=0.0.4; charset=utf-8"]
        lines += [f"Content-Length: {len(body)}", "Connection: close", "", ""]
        return "\r\n".join(lines).encode() + (b"" if method == b"HEAD" else body)


def _listening(host: str, port: int) -> socket.socket:
    """A socket that listens there, of whichever family the address is."""
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_MOST_OPEN)
    except OSError:
        listener.close()
        raise
    return listener


@contextmanager
def listen(address: str, insecure: bool = False) -> Iterator[Exporter]:
    """Serve on `[HOST]:PORT`; without a host, for this machine alone.

    Raises BadInput for a bad or taken one, and without `insecure` for one that other machines can reach.
    """
    host, port = _split(address)
    if not insecure and host not in _LOOPBACK:
        refusal = message("export.open", "others could read {address}, where no key is asked for", address=address)
        raise BadInput(
            refusal, message("export.open.hint", "--export :PORT serves this machine; --insecure all of them")
        )
    try:
        exporter = Exporter(host, port)
    except OSError as error:
        raise BadInput(f"cannot listen on {address}: {error.strerror}", "choose another port") from error
    try:
        yield exporter
    finally:
        exporter.close()


def _split(address: str) -> tuple[str, int]:
    """Host and port; IPv6 in brackets."""
    match = _ADDRESS.fullmatch(address)
    if match is None or int(match["port"]) > 65535:
        raise BadInput(f"{printable(address)!r} is no address", "for example :9100, 127.0.0.1:9100 or [::1]:9100")
    return match["six"] or match["host"] or "127.0.0.1", int(match["port"])
