"""The one application: guard, API, page, tools for agents."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

from wellfed import __version__
from wellfed.serve import api, views
from wellfed.serve.guard import App, Guard
from wellfed.serve.pool import Pool
from wellfed.serve.settings import Settings

_STATIC = Path(__file__).parent / "page/static"


def create_app(settings: Settings, fleet: dict[str, Any] | None = None) -> App:
    """The ASGI application. Its workers start with it and end with it. `fleet`: a grid of machines, read before."""
    pool = Pool(settings.workers)

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            stack.callback(pool.close)
            await pool.warm()
            for manager in managers:
                await stack.enter_async_context(manager.run())
            yield

    managers = []
    app = FastAPI(title="wellfed", version=__version__, docs_url=None, redoc_url=None, lifespan=life)
    app.state.settings, app.state.pool, app.state.fleet = settings, pool, fleet
    app.include_router(api.router(pool))
    app.include_router(views.router(pool))
    if find_spec("mcp") is not None:
        from wellfed.serve.tools import mounted

        tools, manager = mounted(pool, settings)
        app.mount("/mcp", tools)
        managers.append(manager)
    if find_spec("wellfed.serve.page") is not None:
        app.include_router(import_module("wellfed.serve.page.routes").router)
        app.mount("/static", StaticFiles(directory=_STATIC), name="static")
    return Guard(app, settings)
