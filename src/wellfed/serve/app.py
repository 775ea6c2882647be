"""The application: the guard around the routes of the API, of the page and of agents."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles

from wellfed import __version__
from wellfed.serve import routes
from wellfed.serve.guard import Guard
from wellfed.serve.settings import Settings
from wellfed.serve.workers import Workers

STATIC = Path(__file__).with_name("page") / "static"


def create_app(settings: Settings, workers: Workers | None = None) -> FastAPI:
    """Everything but the socket. `workers` that are started already are taken over; they end with the application."""
    there = workers or Workers(settings.workers, settings.waiting, settings.most_work_s)

    @asynccontextmanager
    async def alive(app: FastAPI) -> AsyncIterator[None]:
        there.start()
        try:
            yield
        finally:
            there.stop()

    app = FastAPI(
        title="wellfed", version=__version__, lifespan=alive, docs_url=None, redoc_url=None,
        summary="Plans, checks and explanations of language models on your own hardware.",
    )  # fmt: skip
    app.state.workers = there
    app.state.settings = settings
    app.include_router(routes.router)
    app.add_exception_handler(RequestValidationError, _not_valid)
    app.add_middleware(Guard, settings=settings)
    if STATIC.is_dir():
        app.mount("/static", StaticFiles(directory=STATIC), name="static")
    if find_spec("wellfed.serve.page") and find_spec("wellfed.serve.page.routes"):
        app.include_router(import_module("wellfed.serve.page.routes").router)
    return app


async def _not_valid(request: Request, error: Exception) -> JSONResponse:
    """422 with the error object; what was sent is not repeated."""
    found = error.errors() if isinstance(error, RequestValidationError) else []
    places = [{"field": ".".join(str(part) for part in one["loc"][1:]), "message": one["msg"]} for one in found]
    said = "; ".join(f"{place['field'] or 'body'}: {place['message']}" for place in places[:5])
    return JSONResponse(
        {"error": {"kind": "usage", "message": said, "hint": "see /openapi.json", "fields": places}}, 422
    )
