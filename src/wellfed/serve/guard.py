"""Who may ask, and how much: Host and Origin (DNS rebinding, other pages), a token beyond loopback, sizes, headers."""

from __future__ import annotations

import hmac
import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

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
    (b"referrer-policy", b"no-referrer"),
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
        refusal = self._refusal(scope["path"], headers)
        if refusal is not None:
            await _answer(send, *refusal)
            return
        await self._app(scope, _limited(receive, send), _with_headers(send))

    def _refusal(self, path: str, headers: MutableMapping[bytes, str]) -> tuple[int, str, str] | None:
        host = headers.get(b"host", "")
        if not self._host_is_ours(host):
            return 403, "forbidden", "this name is not the server's: ask it by the address it printed"
        origin = headers.get(b"origin")
        if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
            return 403, "forbidden", "another page may not ask"
        if headers.get(b"sec-fetch-site") in ("cross-site", "same-site") and path.startswith(("/api/", "/mcp")):
            return 403, "forbidden", "another page may not ask"
        if not self._has_token(headers):
            return 401, "unauthorised", "send the token: Authorization: Bearer TOKEN"
        length = headers.get(b"content-length", "0")
        if not length.isascii() or not length.isdigit() or int(length) > MOST_BODY:
            return 413, "too-large", f"at most {MOST_BODY >> 20} MiB are taken"
        return None

    def _host_is_ours(self, host: str) -> bool:
        name = urlsplit(f"//{host}").hostname or ""
        if self._settings.loopback:
            return is_loopback(name)
        return name == self._settings.host or self._settings.host in ("0.0.0.0", "::") or is_loopback(name)

    def _has_token(self, headers: MutableMapping[bytes, str]) -> bool:
        wanted = self._settings.token
        if wanted is None:
            return True
        given = headers.get(b"authorization", "").removeprefix("Bearer ").strip() or _cookie(headers)
        return hmac.compare_digest(given.encode(), wanted.encode())


def _cookie(headers: MutableMapping[bytes, str]) -> str:
    for part in headers.get(b"cookie", "").split(";"):
        name, _, value = part.strip().partition("=")
        if name == "wellfed_token":
            return value
    return ""


def _limited(receive: Receive, send: Send) -> Receive:
    total = 0

    async def limited() -> MutableMapping[str, Any]:
        nonlocal total
        event = await receive()
        total += len(event.get("body", b""))
        if total > MOST_BODY:  # a body without a length: the rest is not read
            return {"type": "http.disconnect"}
        return event

    return limited


def _with_headers(send: Send) -> Send:
    async def sending(event: MutableMapping[str, Any]) -> None:
        if event["type"] == "http.response.start":
            own = {name for name, _ in event["headers"]}
            event["headers"] = [*event["headers"], *(pair for pair in HEADERS if pair[0] not in own)]
        await send(event)

    return sending


async def _answer(send: Send, status: int, kind: str, text: str) -> None:
    body = json.dumps({"error": {"kind": kind, "message": text, "hint": None}}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), *HEADERS]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
