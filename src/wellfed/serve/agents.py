"""The door for agents at /mcp: their SDK takes longer to import than all else, so the first of them has it imported."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from wellfed.serve.guard import App, Receive, Scope, Send
from wellfed.serve.pool import Pool
from wellfed.serve.settings import Settings


class Agents:
    """An ASGI application that becomes the MCP server when it is first asked. End it with `end`."""

    def __init__(self, pool: Pool, settings: Settings) -> None:
        self._pool, self._settings = pool, settings
        self._app: App | None = None
        self._life: asyncio.Task[None] | None = None
        self._lock = asyncio.Lock()
        self._ending = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on to the server."""
        async with self._lock:
            if self._app is None:
                self._app = await self._begun()
        await self._app(scope, receive, send)

    async def _begun(self) -> App:
        app, manager = await asyncio.to_thread(self._app_and_tools)
        ready = asyncio.Event()

        async def living() -> None:
            async with manager.run():
                ready.set()
                await self._ending.wait()

        self._life = asyncio.create_task(living())
        waiting = asyncio.create_task(ready.wait())
        await asyncio.wait({self._life, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if self._life.done():
            self._life.result()  # why it did not begin
        return app

    def _app_and_tools(self) -> tuple[App, Any]:
        from wellfed.serve.tools import mounted

        return mounted(self._pool, self._settings)

    async def end(self) -> None:
        """End its sessions."""
        self._ending.set()
        if self._life is not None:
            with suppress(asyncio.CancelledError):
                await self._life
