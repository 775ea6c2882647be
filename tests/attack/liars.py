"""Endpoints that lie: raw bytes over loopback, one behaviour each, and what may be said of it."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

Writer = asyncio.StreamWriter
MODELS = b'{"data": [{"id": "m"}]}'
SENT = 16  # tokens that an honest stream brings
OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"


def token(text: str = "x", **more: Any) -> bytes:
    """A piece of a stream."""
    return event({"choices": [{"text": text, "finish_reason": None}], **more})


def event(value: object) -> bytes:
    """An event with a JSON value."""
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def end(usage: object = None) -> bytes:
    """The end of an honest stream."""
    last = {"choices": [{"text": "", "finish_reason": "length"}], "usage": usage}
    return event(last) + b"data: [DONE]\n\n"


USAGE = {"prompt_tokens": 20, "completion_tokens": SENT}


@dataclass(frozen=True)
class Liar:
    """How it answers a question, and what may be said: `refused`, `unknown` (no rate), or `counted` (what was sent)."""

    name: str
    answer: Callable[[Writer], Awaitable[None]]
    may: str
    models: bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 23\r\nConnection: close\r\n\r\n" + MODELS


def said(name: str, *parts: bytes, may: str, pause_s: float = 0.0, models: bytes | None = None) -> Liar:
    """One that says these bytes, and ends."""

    async def answer(writer: Writer) -> None:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause_s)

    return Liar(name, answer, may) if models is None else Liar(name, answer, may, models)


def forever(name: str, begin: bytes, piece: bytes, may: str = "refused", pause_s: float = 0.0) -> Liar:
    """One that never ends."""

    async def answer(writer: Writer) -> None:
        writer.write(begin)
        while True:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause_s)

    return Liar(name, answer, may)


async def _mute(writer: Writer) -> None:
    await asyncio.sleep(3600)


def _odd(name: str, *values: object, may: str = "counted") -> Liar:
    """Odd pieces between those of an honest stream."""
    pieces = [token() for _ in range(SENT)]
    return said(name, OK, *pieces[:8], *map(event, values), *pieces[8:], end(USAGE), may=may, pause_s=0.003)


_HONEST = [token() for _ in range(SENT)]
_LIE = {**USAGE, "completion_tokens": 86 * 10**9}
_HALF = b"data: {half\n\n"
_DEEP = b"data: " + b"[" * 50_000 + b"\n\n"
LIARS: tuple[Liar, ...] = (
    said("honest", OK, *_HONEST, end(USAGE), may="counted", pause_s=0.003),
    said("no usage", OK, *_HONEST, end(None), may="counted", pause_s=0.003),
    said("usage of billions", OK, *_HONEST, end(_LIE), may="counted", pause_s=0.003),
    said("usage below zero", OK, *_HONEST, end({**USAGE, "completion_tokens": -5}), may="counted", pause_s=0.003),
    said("usage as text", OK, *_HONEST, end({"completion_tokens": "16"}), may="counted", pause_s=0.003),
    said("usage as a list", OK, *_HONEST, end([1]), may="counted", pause_s=0.003),
    said("usage beyond the text", OK, token(), end({**USAGE, "completion_tokens": SENT}), may="unknown"),
    said("usage of a huge prompt", OK, *_HONEST, end({**USAGE, "prompt_tokens": 10**15}), may="counted", pause_s=0.003),
    said("all at once", OK + b"".join(_HONEST) + end(USAGE), may="unknown"),
    said("two bursts", OK + b"".join(_HONEST[:8]), b"".join(_HONEST[8:]) + end(USAGE), may="unknown", pause_s=0.05),
    said("cut", OK, *_HONEST[:5], may="refused", pause_s=0.003),
    said("cut in a chunk", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n", token(), may="refused"),
    said("cut at its length", b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n", *_HONEST, may="refused"),
    forever("endless tokens", OK, token()),
    forever("endless line", OK, b"data: " + b"x" * 65536),
    forever("endless comments", OK, b": ping\n" * 1000),
    forever("endless headers", b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n"),
    forever("endless status", b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    forever("dribble", OK, b"d", pause_s=0.2),
    Liar("mute", _mute, "refused"),
    _odd("choices null", {"choices": None}),
    _odd("data null", None),
    _odd("data a list", [1, 2]),
    _odd("data a number", 7),
    _odd("data a text", "x"),
    _odd("choices of null", {"choices": [None]}),
    _odd("choices a number", {"choices": 3}),
    _odd("text null", {"choices": [{"text": None}]}),
    _odd("delta null", {"choices": [{"delta": None}]}),
    _odd("error null", {"error": None, "choices": []}),
    _odd("usage null", {"usage": None, "choices": []}),
    _odd("no keys", {}),
    said("broken JSON", OK, *_HONEST[:8], _HALF, _DEEP, *_HONEST[8:], end(USAGE), may="counted", pause_s=0.003),
    said("CRLF", OK, *(part.replace(b"\n", b"\r\n") for part in _HONEST), end(USAGE), may="counted", pause_s=0.003),
    said("no space", OK, *(part.replace(b": {", b":{") for part in _HONEST), end(USAGE), may="counted", pause_s=0.003),
    said("error in the stream", OK, *_HONEST[:3], event({"error": {"message": "\x1b[31mno"}}), may="refused"),
    said("429", b"HTTP/1.1 429 No\r\nContent-Length: 2\r\n\r\nno", may="refused"),
    said("500 with the key", b"HTTP/1.1 500 No\r\nContent-Length: 12\r\n\r\nsk-very-secr", may="refused"),
    said("a page", b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>", may="refused"),
    said("no stream", b"HTTP/1.1 200 OK\r\n\r\n", json.dumps({"choices": [{"text": "x"}]}).encode(), may="refused"),
    said("packed", b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n", b"\x1f\x8b" + bytes(100), may="refused"),
    said("no HTTP", b"SSH-2.0-x\r\n", may="refused"),
    said("nothing", may="refused"),
    said("redirect", b"HTTP/1.1 307 X\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", may="refused"),
    said("models null", may="refused", models=b'HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\n{"data": null}'),
    said("models odd", may="refused", models=b'HTTP/1.1 200 OK\r\nContent-Length: 19\r\n\r\n{"data": [{"a": 1}]}'),
    said("models cut", may="refused", models=b'HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n{"data": [{"id": "m"}]}'),
    said("models hostile", may="refused", models=b'HTTP/1.1 200 OK\r\n\r\n{"data": [{"id": "\\u001b]0;x\\u0007"}]}'),
)  # fmt: skip


@contextmanager
def serving(liar: Liar, pages: Mapping[bytes, bytes] = {}) -> Iterator[str]:
    """Its address; `pages` are whole answers by path."""
    loop = asyncio.new_event_loop()
    ready: list[int] = []
    up, over = threading.Event(), asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: Writer) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            path = head.split(b" ")[1]
            if path in pages:
                writer.write(pages[path])
                await writer.drain()
            elif path.endswith(b"/models"):
                writer.write(liar.models)
                await writer.drain()
            else:
                await liar.answer(writer)
        writer.close()

    async def run() -> None:
        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        ready.append(server.sockets[0].getsockname()[1])
        up.set()
        await over.wait()
        server.close()
        for task in asyncio.all_tasks():
            if task is not asyncio.current_task():
                task.cancel()

    thread = threading.Thread(target=lambda: loop.run_until_complete(run()), daemon=True)
    thread.start()
    up.wait(10)
    try:
        yield f"http://127.0.0.1:{ready[0]}"
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(5)
