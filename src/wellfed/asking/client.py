"""One streamed request to an OpenAI-compatible endpoint, timed piece by piece, with a deadline. Never raises."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx

from wellfed.asking.address import Address, AskingError, Trouble
from wellfed.asking.question import Question
from wellfed.asking.stream import Reader, Reply
from wellfed.message import sentence

_MOST_ERROR_BYTES = 64 * 1024
_IDLE_S = 120.0  # between two pieces of an answer
_REST_S = 0.5
_AGAIN = sentence("asking.client.server-closed-kept", "the server closed a kept connection")


@asynccontextmanager
async def asking(connections: int = 1) -> AsyncIterator[httpx.AsyncClient]:
    """A client that follows no redirects, trusts no environment and unpacks nothing."""
    limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
    trusted = ssl.create_default_context()  # SSL_CERT_FILE names another authority
    async with httpx.AsyncClient(limits=limits, timeout=_IDLE_S, trust_env=False, verify=trusted) as client:
        yield client


async def ask(
    client: httpx.AsyncClient,
    address: Address,
    question: Question,
    within_s: float,
    on_token: Callable[[], None] = lambda: None,
) -> Reply:
    """The answer to a question, or why there is none `within_s`. `on_token` hears of every piece that brings one.

    A kept connection that the server has closed meanwhile says nothing of the server: asked again, once.
    """
    reply = await _ask_once(client, address, question, within_s, on_token)
    return await _ask_once(client, address, question, within_s, on_token) if reply.error == _AGAIN else reply


async def _ask_once(
    client: httpx.AsyncClient, address: Address, question: Question, within_s: float, on_token: Callable[[], None]
) -> Reply:
    clock = _Clock()
    reader = Reader(address, question.most_tokens, question.words)
    try:
        async with asyncio.timeout(within_s):
            return await _read(client, address, question, clock, reader, on_token)
    except TimeoutError:
        progress = (
            sentence("asking.client.no-token", "no token")
            if not reader.times
            else sentence("asking.client.no-end-after", "no end, after {count} pieces,", count=len(reader.times))
        )
        return _failed_reply(
            clock,
            reader,
            AskingError(
                Trouble.SILENT,
                sentence("asking.client.within-s", "{what} within {within:.0f} s", what=progress, within=within_s),
            ),
        )
    except httpx.RemoteProtocolError as error:
        nothing = not reader.times and clock.connect_s is None and not clock.answered
        return _failed_reply(
            clock, reader, AskingError(Trouble.CUT, _AGAIN if nothing else address.explained(str(error)))
        )
    except AskingError as error:
        return _failed_reply(clock, reader, error)
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
        return _failed_reply(clock, reader, address.failed(error))


def _failed_reply(clock: _Clock, reader: Reader, error: AskingError) -> Reply:
    return Reply(
        clock.asked,
        tuple(reader.times),
        error=str(error),
        trouble=error.trouble,
        connect_s=clock.connect_s,
        reads=reader.reads,
        odd=reader.odd,
    )


async def _read(
    client: httpx.AsyncClient,
    address: Address,
    question: Question,
    clock: _Clock,
    reader: Reader,
    on_token: Callable[[], None],
) -> Reply:
    headers = {**address.authorisation, "Accept": "text/event-stream", "Accept-Encoding": "identity"}
    url = address.root + question.form.path
    extensions = {"trace": clock.hear}
    async with client.stream("POST", url, json=question.body, headers=headers, extensions=extensions) as response:
        clock.answered = True
        if response.status_code != 200:
            raise address.refused(response.status_code, await _text(response))
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            raise AskingError(
                Trouble.FOREIGN,
                sentence("asking.client.sends-packed-stream", "it sends a packed stream that was not asked for"),
            )
        async for data in response.aiter_raw():
            before = len(reader.times)
            reader.feed(data, time.perf_counter() - clock.asked)
            if len(reader.times) > before:
                on_token()
            if reader.done:
                await _drain(response)
                break
    return reader.reply(clock.asked, clock.connect_s)


async def _drain(response: httpx.Response) -> None:
    """What follows the end of the stream, so that its connection can be kept; not waited for long."""
    with suppress(TimeoutError, httpx.HTTPError, RuntimeError):
        async with asyncio.timeout(_REST_S):
            bytes_left = _MOST_ERROR_BYTES
            async for data in response.aiter_raw():
                bytes_left -= len(data)
                if bytes_left < 0:
                    break


async def _text(response: httpx.Response) -> str:
    content = b""
    async for data in response.aiter_raw():
        content += data
        if len(content) > _MOST_ERROR_BYTES:
            break
    return content.decode("utf-8", "replace")


class _Clock:
    """When the connection was begun and made, and when the question was sent, as the transport tells."""

    def __init__(self) -> None:
        self.asked = self._began = time.perf_counter()
        self.connect_s: float | None = None
        self.answered = False

    async def hear(self, event: str, _: dict[str, Any]) -> None:
        """A step of the transport (httpcore's trace extension)."""
        now = time.perf_counter()
        if event == "connection.connect_tcp.started":
            self._began = now
        elif event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            self.connect_s = now - self._began
        elif event.endswith("send_request_headers.started"):
            self.asked = now
