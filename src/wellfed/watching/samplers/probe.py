"""Requests of our own, streamed: what a user gets of an engine that tells nothing of itself.

One at a time, in a thread of its own: the next is asked when the last has ended and at least half the time between
two has passed. Each asks for a few tokens and is given up when it streams many more or takes too long. No server is
assumed to know more than the OpenAI API's plainest form; what it refuses is asked in a plainer one.
Standard library only, and blocking: a thread that waits costs nothing, the import of an event loop 0.1 s.
"""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from typing import Any

from wellfed.watching.sample import Probe
from wellfed.watching.samplers.http import Address, Failure

TOKENS = 16
EVERY_S = 5.0
_LONGEST_S = 120.0
_MOST_LINE_BYTES = 65536
_REFUSED = (400, 404, 405, 415, 422, 501)  # asked in a way that it does not know
_TEXTS = ("content", "reasoning_content", "reasoning", "text")


@dataclass(frozen=True, slots=True)
class _Form:
    """A way to ask."""

    chat: bool
    usage: bool

    def body(self, model: str, number: int) -> dict[str, Any]:
        """Another number each time: an answer that somebody has kept would be no answer."""
        prompt = f"Count upwards from {100 + 7 * number % 900}, one number a line."
        asked: dict[str, Any] = {"messages": [{"role": "user", "content": prompt}]} if self.chat else {"prompt": prompt}
        usage = {"stream_options": {"include_usage": True}} if self.usage else {}
        return {"model": model, **asked, "max_tokens": TOKENS, "temperature": 0, "stream": True, **usage}

    @property
    def path(self) -> str:
        return "/v1/chat/completions" if self.chat else "/v1/completions"


_FORMS = (_Form(True, True), _Form(False, True), _Form(True, False))


class _RefusedError(Exception):
    """It does not know this way of asking."""


class ProbeSampler:
    """Asks every `every_s`; `sample` gives the last answer and how long the open question has waited. Close it."""

    def __init__(self, address: Address, every_s: float = EVERY_S, model: str | None = None) -> None:
        self._address, self._every_s, self._model = address, every_s, model
        self._forms, self._served = list(_FORMS), ""
        self._lock = threading.Lock()
        self._last: Probe | None = None
        self._waits_since: float | None = None  # for the next token of the open question
        self._streams = False
        self._connection: http.client.HTTPConnection | None = None
        self._end = threading.Event()
        threading.Thread(target=self._ask_on, name="wellfed-probe", daemon=True).start()

    def sample(self) -> Probe | None:
        """Now; None before anything was asked."""
        with self._lock:
            last, since, streams = self._last, self._waits_since, self._streams
        if since is None:
            return last
        return replace(last or Probe(number=0), waited_s=time.monotonic() - since, streams=streams)

    def close(self) -> None:
        """Ask no more, and let an open question go."""
        self._end.set()
        with self._lock:
            handle = self._connection.sock if self._connection is not None else None
        if handle is not None:
            with suppress(OSError):
                handle.shutdown(socket.SHUT_RDWR)

    def _ask_on(self) -> None:
        number = failures = 0
        while not self._end.is_set():
            begin = time.monotonic()
            found = self._asked(number)
            number, failures = number + 1, failures + (found.error is not None)
            with self._lock:
                self._last, self._waits_since = replace(found, number=number, failures=failures), None
            taken = time.monotonic() - begin
            self._end.wait(max(self._every_s - taken, self._every_s / 2))

    def _asked(self, number: int) -> Probe:
        try:
            model = self._served or self._listed()
            self._served = model
            while True:
                try:
                    return self._answer(self._forms[0].body(model, number))
                except _RefusedError as error:
                    if len(self._forms) == 1:
                        return Probe(0, error=str(error))
                    del self._forms[0]
        except Failure as error:
            return Probe(0, error=self._address.told(error))

    def _listed(self) -> str:
        """The model that was named, where the endpoint lists it, else the first that it lists."""
        with self._open() as connection:
            self._send(connection, "GET", "/v1/models")
            response = connection.getresponse()
            content = response.read(2**20)
        if response.status != 200:
            raise ValueError(f"HTTP {response.status} of /v1/models")
        try:
            names = [str(each["id"]) for each in json.loads(content)["data"]]
        except (KeyError, TypeError) as error:
            raise ValueError("/v1/models lists nothing that can be read") from error
        if not names:
            raise ValueError("it lists no models")
        return self._model if self._model in names else names[0]

    def _answer(self, body: Mapping[str, Any]) -> Probe:
        with self._open() as connection:
            begin = time.monotonic()
            connection.connect()
            asked = time.monotonic()
            self._send(connection, "POST", self._forms[0].path, json.dumps(body).encode())
            response = connection.getresponse()
            if response.status != 200:
                text = response.read(1000).decode("utf-8", "replace")
                why = self._address.told(f"HTTP {response.status}: {text}")
                if response.status in _REFUSED:
                    raise _RefusedError(why)
                return Probe(0, connect_s=asked - begin, error=why)
            return self._timed(response, asked, asked - begin)

    def _timed(self, response: http.client.HTTPResponse, asked: float, connect_s: float) -> Probe:
        times: list[float] = []
        usage: Mapping[str, Any] = {}
        for chunk in _chunks(response, asked + _LONGEST_S):
            if "error" in chunk:
                return Probe(0, connect_s=connect_s, error=self._address.told(f"in the stream: {chunk['error']}"))
            told = chunk.get("usage")
            usage = told if isinstance(told, Mapping) else usage
            if _has_token(chunk):
                times.append(time.monotonic() - asked)
                with self._lock:
                    self._waits_since, self._streams = time.monotonic(), True
                if len(times) > 4 * TOKENS:
                    break
        if not times:
            return Probe(0, connect_s=connect_s, error="it sent no token")
        tokens = _count(usage.get("completion_tokens")) or len(times)
        spread = times[-1] - times[0]
        return Probe(
            number=0,
            connect_s=connect_s,
            ttft_s=times[0],
            tpot_s=spread / (tokens - 1) if tokens > 1 and len(times) > 1 else None,
            prompt_tokens=_count(usage.get("prompt_tokens")),
            tokens=tokens,
        )

    def _open(self) -> closing[http.client.HTTPConnection]:
        connection = self._address.connection(_LONGEST_S)
        with self._lock:
            self._connection, self._waits_since, self._streams = connection, time.monotonic(), False
        return closing(connection)

    def _send(self, connection: http.client.HTTPConnection, method: str, path: str, body: bytes | None = None) -> None:
        kind = {"Content-Type": "application/json"} if body else {}
        connection.request(method, self._address.base + path, body, {**self._address.headers, **kind})


def _chunks(response: http.client.HTTPResponse, until: float) -> Iterator[Mapping[str, Any]]:
    """Events of the stream. Raises TimeoutError after `until`, ValueError for what is no JSON."""
    while line := response.readline(_MOST_LINE_BYTES):
        if time.monotonic() > until:
            raise TimeoutError(f"no end after {_LONGEST_S:.0f} s")
        data = line.strip().removeprefix(b"data:").strip()
        if not line.startswith(b"data:") or not data:
            continue
        if data == b"[DONE]":
            return
        chunk = json.loads(data)
        if isinstance(chunk, Mapping):
            yield chunk


def _has_token(chunk: Mapping[str, Any]) -> bool:
    choices = chunk.get("choices")
    for choice in choices if isinstance(choices, list) else ():
        if isinstance(choice, Mapping):
            delta = choice.get("delta")
            parts = [choice, delta] if isinstance(delta, Mapping) else [choice]
            if any(part.get(name) for part in parts for name in _TEXTS):
                return True
    return False


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 10**7 else None
