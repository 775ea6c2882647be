"""What stands before every route: who may ask, from where, how much, how long; and what a browser may do with answers.

A page of another site must neither read answers nor trigger work: the Host header has to name this server (a name that
was re-pointed here does not), and an Origin has to be the server's own.
"""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any, TypeAlias
from urllib.parse import parse_qs, urlsplit

from wellfed.serve.settings import Settings, is_address, is_loopback

Scope: TypeAlias = MutableMapping[str, Any]
Event: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Event]]
Send: TypeAlias = Callable[[Event], Awaitable[None]]
Application: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

COOKIE = "wellfed_token"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


class Refusal(Exception):
    """A request that goes no further: its status, a kind for programs, a sentence for people."""

    def __init__(self, status: int, kind: str, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"error": {"kind": kind, "message": message, "hint": hint}}


class Guard:
    """An ASGI application around another one."""

    def __init__(self, inner: Application, settings: Settings) -> None:
        self.inner = inner
        self.settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or let pass with limits on what is read and headers on what is answered."""
        if scope["type"] == "lifespan":
            await self.inner(scope, receive, send)
            return
        if scope["type"] != "http":
            return  # websockets: there are none
        headers = _headers(scope)
        started = False

        async def sending(event: Event) -> None:
            nonlocal started
            if event["type"] == "http.response.start":
                started = True
                event = {**event, "headers": _with_headers(event.get("headers", ()))}
            await send(event)

        try:
            self._ensure_here(scope, headers)
            moved = self._ensure_allowed(scope, headers)
            if moved is not None:
                await _move(sending, *moved)
                return
            await self.inner(scope, self._limited(receive, headers), sending)
        except Refusal as refusal:
            if not started:
                await _answer(sending, refusal)

    def _ensure_here(self, scope: Scope, headers: dict[str, str]) -> None:
        """Host and Origin name this server. Raises Refusal."""
        host = headers.get("host", "")
        if not self._is_ours(_name(host)):
            raise Refusal(403, "foreign-host", f"this server is not called {host[:100]!r}", f"open {self.settings.url}")
        origin = headers.get("origin")
        own = f"{scope.get('scheme', 'http')}://{host}"
        foreign = origin is not None and origin != own
        cross = headers.get("sec-fetch-site") == "cross-site" and scope["method"] not in ("GET", "HEAD")
        if foreign or cross:
            raise Refusal(403, "foreign-origin", "requests of other sites are refused", None)

    def _is_ours(self, name: str) -> bool:
        if name == self.settings.host or is_loopback(name):
            return True
        return not is_loopback(self.settings.host) and is_address(name)

    def _ensure_allowed(self, scope: Scope, headers: dict[str, str]) -> tuple[str, str] | None:
        """The token is right; None. Given in a link: where to go without it, and the cookie. Raises Refusal."""
        token = self.settings.token
        if token is None:
            return None
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and _same(given.strip(), token):
            return None
        if _same(_cookie(headers), token):
            return None
        query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
        if scope["method"] == "GET" and _same(query.get("token", [""])[0], token):
            return scope["path"], token
        raise Refusal(401, "token", "a token is needed here", "send it as `Authorization: Bearer TOKEN`")

    def _limited(self, receive: Receive, headers: dict[str, str]) -> Receive:
        """`receive` with limits on size and patience. Raises Refusal."""
        settings = self.settings
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > settings.most_body_bytes:
            raise Refusal(413, "too-large", f"more than {settings.most_body_bytes:,} bytes are not read", None)
        total, whole, end = 0, False, asyncio.get_running_loop().time() + settings.most_read_s

        async def limited() -> Event:
            nonlocal total, whole
            if whole:
                return await receive()  # only the end of the connection comes after the body
            try:
                async with asyncio.timeout_at(end):
                    event = await receive()
            except TimeoutError as error:
                raise Refusal(408, "too-slow", f"not sent within {settings.most_read_s:.0f} s") from error
            total += len(event.get("body", b""))
            whole = not event.get("more_body", False)
            if total > settings.most_body_bytes:
                raise Refusal(413, "too-large", f"more than {settings.most_body_bytes:,} bytes are not read", None)
            return event

        return limited


def _headers(scope: Scope) -> dict[str, str]:
    """By name in small letters; one that is given twice is nobody's."""
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        key = name.decode("latin-1").lower()
        found[key] = value.decode("latin-1") if key not in found else "\0"
    return found


def _name(host: str) -> str:
    """The name in `name:port`, `[::1]:port`."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def _same(given: str, token: str) -> bool:
    """Compared in constant time."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), token.encode())


def _cookie(headers: dict[str, str]) -> str:
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return "" if morsel is None else morsel.value


def _with_headers(headers: Any) -> list[tuple[bytes, bytes]]:
    there = {name.lower() for name, _ in headers}
    return [*headers, *((name, value) for name, value in HEADERS if name not in there)]


async def _move(send: Send, path: str, token: str) -> None:
    cookie = f"{COOKIE}={token}; HttpOnly; SameSite=Strict; Path=/"
    target = "/" + path.lstrip("/")  # never //elsewhere
    headers = [(b"location", target.encode("ascii", "replace")), (b"set-cookie", cookie.encode())]
    await send({"type": "http.response.start", "status": 303, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


async def _answer(send: Send, refusal: Refusal) -> None:
    body = json.dumps(refusal.body).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if refusal.status in (408, 413):
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
