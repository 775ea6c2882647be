"""The one application: guard, API, page, tools for agents."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

from wellfed import __version__
from wellfed.serve import api, views
from wellfed.serve.agents import Agents
from wellfed.serve.guard import App, Guard
from wellfed.serve.pool import Pool
from wellfed.serve.settings import Settings

_STATIC = Path(__file__).parent / "page/static"


def create_app(settings: Settings, pool: Pool | None = None, fleet: dict[str, Any] | None = None) -> App:
    """The ASGI application. Its workers start with it and end with it. `fleet`: a grid of machines, read before."""
    pool = pool or Pool(settings.workers)
    agents = Agents(pool, settings) if find_spec("mcp") is not None else None

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        warming = asyncio.create_task(pool.warm())
        try:
            yield
        finally:
            if agents is not None:
                await agents.end()
            await asyncio.gather(warming, return_exceptions=True)
            pool.close()

    app = FastAPI(title="wellfed", version=__version__, docs_url=None, redoc_url=None, lifespan=life)
    app.state.settings, app.state.pool, app.state.fleet = settings, pool, fleet
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        return api.described(plain())

    app.openapi = openapi  # type: ignore[method-assign]
    app.include_router(api.router(pool))
    app.include_router(views.router(pool))
    if agents is not None:
        app.mount("/mcp", agents)
    if find_spec("wellfed.serve.page") is not None:
        app.include_router(import_module("wellfed.serve.page.routes").router)
        app.mount("/static", StaticFiles(directory=_STATIC), name="static")
    return Guard(app, settings)
