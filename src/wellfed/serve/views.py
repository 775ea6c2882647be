"""The rest of the API: what is known by name, pictures, reports, an engine watched live, the schemas of all answers."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, Literal
from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from wellfed.message import message
from wellfed.serve.answering import respond
from wellfed.serve.api import COMMAND, REFUSALS, body_schema, is_path, job_of
from wellfed.serve.language import language_of
from wellfed.serve.pool import Pool
from wellfed.serve.refusals import NOT_LOCAL, NOT_LOCAL_HINT, Refused, error, file_named, not_valid
from wellfed.serve.schemas import DOCUMENTS, file_name, json_schema, links
from wellfed.serve.settings import is_loopback
from wellfed.serve.worker import WRITTEN, Job

_SVG = "image/svg+xml"
_MOST_WATCHES = 8
_END_S = 3.0


class Watch(BaseModel):
    """What is watched: an engine of `wellfed ps` (`name`), a process (`pid`) or an address of this machine (`url`).

    Without any, the engine that runs. `seconds`: how long; without it, until the client goes.
    """

    model_config = ConfigDict(extra="forbid")

    name: str | None = Field(None, max_length=200)
    pid: int | None = Field(None, ge=1)
    url: str | None = Field(None, max_length=300, description="On loopback.")
    model: str | None = Field(None, max_length=300, description="Compare with the best plan for this model.")
    concurrency: int = Field(1, ge=1)
    interval: float = Field(1.0, ge=0.1, le=60, description="Seconds between looks.")
    window: float = Field(20.0, ge=2, le=3600, description="Seconds judged at once.")
    seconds: float | None = Field(None, ge=2, le=86_400)
    expect: float | None = Field(None, gt=0, allow_inf_nan=False, description="Tokens/s that a user was promised.")

    def words(self) -> tuple[str, ...]:
        """The fields as the words of `wellfed watch`."""
        set_fields = self.model_dump(exclude_none=True, exclude={"name"})
        options = [
            word for field, value in set_fields.items() for word in (_OPTION.get(field, f"--{field}"), str(value))
        ]
        return ("watch", "--json", *options, *(("--", self.name) if self.name else ()))


_OPTION = {"seconds": "--for"}


def router(pool: Pool) -> APIRouter:
    """The routes under /api/v1 that are no plain commands."""
    routes = APIRouter(prefix="/api/v1")
    _add_names(routes, pool)
    _add_pictures(routes, pool)
    _add_watch(routes)
    _add_schemas(routes)
    return routes


def _add_schemas(routes: APIRouter) -> None:
    @routes.get("/schemas", summary="The schemas of all answers")
    async def schemas() -> dict[str, str]:
        """Each `schema` that an answer names, and where its JSON Schema is."""
        return {schema: f"/api/v1/schemas/{file_name(schema)}" for schema in DOCUMENTS}

    @routes.get("/schemas/{name}", summary="A JSON Schema", response_model=None)
    async def schema(request: Request, name: str) -> Response:
        """Draft 2020-12. Within a version fields are only added."""
        for identity in DOCUMENTS:
            if file_name(identity) == name:
                return JSONResponse(json_schema(identity), media_type="application/schema+json")
        why = message("serve.no-schema", "no schema is called {name}", name=name[:100])
        return error(language_of(request), 404, "unknown", why, "/api/v1/schemas")


def _add_names(routes: APIRouter, pool: Pool) -> None:
    async def listed(request: Request, kind: str, search: str | None) -> Response:
        words = ("catalog", "--json", "--", kind, *(() if search is None else (search,)))
        return await respond(request, pool, Job(words, language_of(request)))

    answers: dict[int | str, dict[str, Any]] = {200: {"content": {"application/json": {"schema": links("catalog")}}}}

    @routes.get("/models", summary="Models that are known by name", responses=answers)
    async def models(request: Request, search: str | None = None) -> Response:
        """The document of `wellfed catalog models --json`; `search` is part of a name."""
        return await listed(request, "models", search)

    @routes.get("/machines", summary="Whole machines that are known by name, for `on`", responses=answers)
    async def machines(request: Request, search: str | None = None) -> Response:
        """The document of `wellfed catalog builds --json`."""
        return await listed(request, "builds", search)

    @routes.get("/parts/{kind}", summary="GPUs or CPUs with their data sheets", responses=answers)
    async def parts(request: Request, kind: Literal["gpus", "cpus"], search: str | None = None) -> Response:
        """The document of `wellfed catalog gpus --json`, or `cpus`."""
        return await listed(request, kind, search)


def _add_pictures(routes: APIRouter, pool: Pool) -> None:
    svg: dict[int | str, dict[str, Any]] = {**REFUSALS, 200: {"content": {_SVG: {}}}}
    html: dict[int | str, dict[str, Any]] = {**REFUSALS, 200: {"content": {"text/html": {}}}}

    @routes.post("/topology.svg", summary="A machine, drawn", openapi_extra={COMMAND: "topology"}, responses=svg)
    async def drawn(request: Request) -> Response:
        """The picture of `wellfed topology --svg`; fields as of /topology, a paste or an upload too."""
        try:
            job = await job_of(request, "topology", ("--svg", "-"))
        except Refused as refused:
            return refused.response(language_of(request))
        return await respond(request, pool, _without_json(job), _SVG)

    @routes.get("/topology.svg", summary="A machine, drawn", responses=svg)
    async def drawn_by_line(request: Request, on: str | None = None) -> Response:
        """The same for a machine in a line; without `on`, this one."""
        if on is not None and is_path(on):
            return file_named("on").response(language_of(request))
        if on is None and not request.app.state.settings.loopback:
            return error(language_of(request), 403, "forbidden", NOT_LOCAL, NOT_LOCAL_HINT)
        words = ("topology", "--svg", "-", *(() if on is None else ("--on", on)))
        return await respond(request, pool, Job(words, language_of(request)), _SVG)

    @routes.post("/report", summary="The whole answer in one page", openapi_extra={COMMAND: "plan"}, responses=html)
    async def report(request: Request) -> Response:
        """The self-contained page of `wellfed plan --report`, in the language of the request."""
        try:
            job = await job_of(request, "plan", ("--report", WRITTEN))
        except Refused as refused:
            return refused.response(language_of(request))
        return await respond(request, pool, job, "text/html; charset=utf-8")


def _without_json(job: Job) -> Job:
    return Job(tuple(word for word in job.words if word != "--json"), job.language, job.uploads)


def _add_watch(routes: APIRouter) -> None:
    watches = asyncio.Semaphore(_MOST_WATCHES)
    described = {200: {"content": {"text/event-stream": {}}}, **REFUSALS}

    async def watched(request: Request, watch: Watch) -> Response:
        refusal = _not_watched(request, watch, watches)
        if refusal is not None:
            return refusal.response(language_of(request))
        words, language = watch.words(), language_of(request)
        return StreamingResponse(_looks(request, words, language, watches), media_type="text/event-stream")

    @routes.post("/watch", summary="A running engine, live", openapi_extra=body_schema(Watch), responses=described)
    async def by_body(request: Request) -> Response:
        """Server-sent events: `look` with a line of `wellfed watch --json`, at the end `end` or `error`."""
        try:
            watch = Watch.model_validate_json(await request.body() or b"{}")
        except ValidationError as invalid:
            return not_valid(invalid).response(language_of(request))
        return await watched(request, watch)

    @routes.get("/watch", summary="The same for browsers' EventSource", responses=described)
    async def by_query(request: Request) -> Response:
        """Fields as of POST, in the query."""
        fields = {name: value for name, value in request.query_params.items() if name != "lang"}
        try:
            watch = Watch.model_validate(fields)
        except ValidationError as invalid:
            return not_valid(invalid).response(language_of(request))
        return await watched(request, watch)


def _not_watched(request: Request, watch: Watch, watches: asyncio.Semaphore) -> Refused | None:
    if not request.app.state.settings.loopback:
        why = message("serve.engines-not-told", "engines of this machine are not told beyond loopback")
        return Refused(403, "forbidden", why)
    if watch.model is not None and is_path(watch.model):
        return file_named("model")
    if watch.url is not None and not is_loopback(_host(watch.url)):
        return Refused(
            403, "forbidden", message("serve.url-elsewhere", "url: only addresses of this machine are asked")
        )
    if watches.locked():
        why = message("serve.watched-enough", "{count} engines are watched already", count=_MOST_WATCHES)
        return Refused(503, "busy", why)
    return None


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


async def _looks(request: Request, words: tuple[str, ...], language: str,
                 watches: asyncio.Semaphore) -> AsyncIterator[str]:  # fmt: skip
    """What the command prints, line by line, in a process of its own that ends with whoever listens."""
    async with watches:
        with tempfile.TemporaryDirectory(prefix="wellfed-watch-") as empty:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "wellfed", *words, cwd=empty, limit=8 << 20,
                env={**os.environ, "WELLFED_LANG": language}, stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
            )  # fmt: skip
            try:
                async for line in _lines(request, process):
                    yield line
            finally:
                with suppress(ProcessLookupError):
                    process.terminate()
                with suppress(TimeoutError):
                    await asyncio.wait_for(process.wait(), _END_S)
                if process.returncode is None:
                    process.kill()


async def _lines(request: Request, process: asyncio.subprocess.Process) -> AsyncIterator[str]:
    if process.stdout is None:
        return
    yield ": watching\n\n"  # headers go out before the first look
    reading = asyncio.ensure_future(process.stdout.readline())
    try:
        while True:
            await asyncio.wait({reading}, timeout=1.0)
            if await request.is_disconnected():
                return
            if not reading.done():
                continue
            line = reading.result()
            if not line:
                yield "event: end\ndata: {}\n\n"
                return
            yield _shown_line(line.decode("utf-8", "replace").strip())
            reading = asyncio.ensure_future(process.stdout.readline())
    finally:
        reading.cancel()


def _shown_line(line: str) -> str:
    return f"event: {'error' if line.startswith(_ERROR) else 'look'}\ndata: {line}\n\n"


_ERROR = '{"error"'
