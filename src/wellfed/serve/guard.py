"""Who may ask, and how much: Host and Origin (DNS rebinding, other pages), a token beyond loopback, sizes, headers."""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from wellfed.serve.language import language_in
from wellfed.serve.refusals import (
    NO_TOKEN,
    NO_TOKEN_HINT,
    OTHER_HOST,
    OTHER_PAGE,
    Refused,
    error_object,
    large,
    slow,
)
from wellfed.serve.settings import Settings, is_loopback

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

MOST_BODY = 32 << 20  # bytes; the largest paste that a reader takes is 16 MiB
HEADERS = (
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
        b"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


class Guard:
    """ASGI middleware around everything."""

    def __init__(self, app: App, settings: Settings) -> None:
        self._app = app
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what may pass, with limits and headers."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        headers = {name: value.decode("latin-1") for name, value in reversed(scope["headers"])}
        refusal = self._refusal(scope, headers)
        if refusal is not None:
            await _answer(send, refusal, language_in(scope))
            return
        if (token := self._token_in_link(scope)) is not None:
            await _move(send, scope["path"], token)
            return
        sending = _Sending(send)
        try:
            await self._app(scope, _limited(receive, self._settings.most_read_s), sending)
        except _Ended as ended:
            if not sending.started:
                await _answer(send, ended.refused, language_in(scope))

    def _refusal(self, scope: Scope, headers: MutableMapping[bytes, str]) -> Refused | None:
        host = headers.get(b"host", "")
        if not self._host_is_ours(host):
            return Refused(403, "forbidden", OTHER_HOST)
        origin = headers.get(b"origin")
        if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
            return Refused(403, "forbidden", OTHER_PAGE)
        if headers.get(b"sec-fetch-site") in ("cross-site", "same-site") and scope["path"].startswith(
            ("/api/", "/mcp")
        ):
            return Refused(403, "forbidden", OTHER_PAGE)
        if not self._has_token(headers) and self._token_in_link(scope) is None:
            return Refused(401, "unauthorised", NO_TOKEN, NO_TOKEN_HINT)
        length = headers.get(b"content-length", "0")
        if not length.isascii() or not length.isdecimal() or int(length) > MOST_BODY:
            return Refused(413, "too-large", large(MOST_BODY >> 20))
        return None

    def _host_is_ours(self, host: str) -> bool:
        name = urlsplit(f"//{host}").hostname or ""
        if self._settings.loopback:
            return is_loopback(name)
        return name == self._settings.host or self._settings.host in ("0.0.0.0", "::") or is_loopback(name)

    def _has_token(self, headers: MutableMapping[bytes, str]) -> bool:
        token = self._settings.token
        if token is None:
            return True
        presented = headers.get(b"authorization", "").removeprefix("Bearer ").strip() or _cookie(headers)
        return hmac.compare_digest(presented.encode(), token.encode())

    def _token_in_link(self, scope: Scope) -> str | None:
        """The right token in a link, `?token=`: it becomes a cookie, so that a browser can open the page elsewhere."""
        token = self._settings.token
        if token is None or scope["method"] != "GET":
            return None
        presented = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("token", [""])[0]
        return token if hmac.compare_digest(presented.encode(), token.encode()) else None


class _Ended(Exception):
    """A body that is not read further, and why."""

    def __init__(self, refused: Refused) -> None:
        super().__init__(str(refused))
        self.refused = refused


def _cookie(headers: MutableMapping[bytes, str]) -> str:
    for part in headers.get(b"cookie", "").split(";"):
        name, _, value = part.strip().partition("=")
        if name == "wellfed_token":
            return value
    return ""


def _limited(receive: Receive, most_read_s: float) -> Receive:
    """`receive` with limits on a body's size and on patience. Raises _Ended."""
    total, complete, end = 0, False, asyncio.get_running_loop().time() + most_read_s

    async def limited() -> MutableMapping[str, Any]:
        nonlocal total, complete
        if complete:
            return await receive()  # only the end of the connection comes after the body
        try:
            async with asyncio.timeout_at(end):
                event = await receive()
        except TimeoutError as error:
            raise _Ended(Refused(408, "too-slow", slow(most_read_s))) from error
        total += len(event.get("body", b""))
        complete = not event.get("more_body", False)
        if total > MOST_BODY:
            raise _Ended(Refused(413, "too-large", large(MOST_BODY >> 20)))
        return event

    return limited


class _Sending:
    """`send` with our headers; `started` once an answer is under way."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.started = False

    async def __call__(self, event: MutableMapping[str, Any]) -> None:
        if event["type"] == "http.response.start":
            self.started = True
            already_set = {name for name, _ in event["headers"]}
            event["headers"] = [*event["headers"], *(pair for pair in HEADERS if pair[0] not in already_set)]
        await self._send(event)


async def _move(send: Send, path: str, token: str) -> None:
    """To the same page without the token in its address."""
    target = "/" + path.lstrip("/")  # never //elsewhere
    cookie = f"wellfed_token={token}; HttpOnly; SameSite=Strict; Path=/"
    headers = [(b"location", quote(target).encode()), (b"set-cookie", cookie.encode("latin-1")), *HEADERS]
    await send({"type": "http.response.start", "status": 303, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


async def _answer(send: Send, refused: Refused, language: str) -> None:
    status = refused.status
    document = {"error": error_object(language, refused.kind, refused.message, refused.hint)}
    body = json.dumps(document, ensure_ascii=False).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), *HEADERS]
    if status in (408, 413):
        headers.append((b"connection", b"close"))
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
