"""The REST API: each path is a command, its request the command's options, its answer what `--json` prints."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import BaseModel, Field, ValidationError, create_model

from wellfed.serve.fields import fields, request_model, words
from wellfed.serve.language import language_of
from wellfed.serve.pool import MOST_S, Pool
from wellfed.serve.worker import UPLOAD, Answer, Job

COMMANDS = ("plan", "fit", "compare", "check", "topology", "resolve", "fleet plan")
_NAMES_PATHS = ("model", "on", "machines", "names", "models")  # fields in which a path would be a file of the server
_STATUS = {"unknown": 404, "forbidden": 403, "internal": 500, "interrupted": 499}

Error = create_model(
    "Error",
    kind=(str, Field(description="Stable, in kebab case: unknown, bad-input, unsupported, usage ...")),
    message=(str, ...),
    hint=(str | None, None),
)
ErrorBody = create_model("ErrorBody", error=(Error, ...))
_REFUSALS: dict[int | str, dict[str, Any]] = {
    403: {"model": ErrorBody, "description": "Another page, another host, or a file of the server."},
    404: {"model": ErrorBody, "description": "No such model, part or command."},
    422: {"model": ErrorBody, "description": "A field that cannot be, or options that contradict each other."},
    504: {"model": ErrorBody, "description": "The answer took too long and its computing was ended."},
}


def router(pool: Pool) -> APIRouter:
    """The routes under /api/v1."""
    routes = APIRouter(prefix="/api/v1")
    for name in COMMANDS:
        _add(routes, pool, name)
    return routes


def _add(routes: APIRouter, pool: Pool, name: str) -> None:
    model = request_model(name)
    if name in ("check", "topology"):
        model = create_model(
            f"{name.title()}Request",
            __base__=model,
            paste=(str | None, Field(None, max_length=16 << 20, description="Pasted dumps instead of `on`.")),
        )
    summary = next(iter((_help(name)).splitlines()), name)

    async def answer(request: Request) -> Response:
        return await _respond(request, pool, name, model)

    schema = {
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": _inlined(model.model_json_schema())}},
        }
    }
    path = "/" + name.replace(" ", "/")
    routes.add_api_route(
        path, answer, methods=["POST"], summary=summary, description=_help(name), name=name,
        openapi_extra=schema, responses=_REFUSALS, response_class=JSONResponse,
    )  # fmt: skip


def _inlined(schema: dict[str, Any]) -> dict[str, Any]:
    definitions = schema.pop("$defs", {})
    if not definitions:
        return schema
    text = json.dumps(schema)
    for name, definition in definitions.items():
        text = text.replace(json.dumps({"$ref": f"#/$defs/{name}"}), json.dumps(definition))
    inlined: dict[str, Any] = json.loads(text)
    return inlined


def _help(name: str) -> str:
    from wellfed.serve.fields import command

    return (command(name).help or name).strip()


async def _respond(request: Request, pool: Pool, name: str, model: type[BaseModel]) -> Response:
    try:
        given, uploads = await _given(request, model)
    except _Refused as refused:
        return refused.response()
    pasted = given.pop("paste", None)
    if pasted is not None:
        uploads = {"paste.txt": pasted.encode(), **uploads}
    refusal = _file_named(given)
    if refusal is not None:
        return refusal
    command = words(name, given)
    if uploads:
        if given.get("on") is not None:
            return _error(422, "usage", "a machine is either described (on) or pasted, not both")
        command = (*name.split(), "--from", UPLOAD, *command[len(name.split()) :])
    elif name in ("check", "topology") and given.get("on") is None and not request.app.state.settings.loopback:
        return _error(403, "forbidden", "this machine is not told beyond loopback: give `on` or `paste`")
    job = Job(command, language_of(request), uploads)
    if "text/event-stream" in request.headers.get("accept", ""):
        return StreamingResponse(_events(request, pool, job), media_type="text/event-stream")
    try:
        return response(await _while_connected(request, pool, job))
    except TimeoutError:
        return _error(504, "timeout", f"no answer within {MOST_S:.0f} s; its computing was ended")


class _Refused(Exception):
    def __init__(self, status: int, kind: str, text: str) -> None:
        super().__init__(text)
        self.status, self.kind, self.text = status, kind, text

    def response(self) -> JSONResponse:
        return _error(self.status, self.kind, self.text)


async def _given(request: Request, model: type[BaseModel]) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The validated fields, and files of a multipart body."""
    uploads: dict[str, bytes] = {}
    if request.headers.get("content-type", "").startswith("multipart/form-data"):
        values: dict[str, Any] = {}
        async with request.form(max_files=200, max_fields=64, max_part_size=1 << 20) as form:
            for key, value in form.multi_items():
                if isinstance(value, str):
                    values[key] = value
                else:
                    uploads[value.filename or f"file{len(uploads)}"] = await value.read()
    else:
        try:
            values = json.loads(await request.body() or b"{}")
        except (ValueError, RecursionError) as error:
            raise _Refused(422, "bad-input", f"the body is not JSON: {error}") from error
        if not isinstance(values, dict):
            raise _Refused(422, "bad-input", "the body must be a JSON object")
    try:
        checked = model.model_validate(values)
    except ValidationError as error:
        raise _Refused(422, "bad-input", _first(error)) from error
    return checked.model_dump(exclude_none=True), uploads


def _first(error: ValidationError) -> str:
    first = error.errors()[0]
    place = ".".join(str(each) for each in first["loc"][:1]) or "body"
    if first["type"] == "extra_forbidden":
        return f"there is no field {place!r}"
    return f"{place}: {first['msg']}"


def _file_named(given: Mapping[str, Any]) -> JSONResponse | None:
    """A path of the server is no name: refused before anything looks."""
    for field in _NAMES_PATHS:
        value = given.get(field)
        for text in value if isinstance(value, list) else [value]:
            if isinstance(text, str) and is_path(text):
                return _error(403, "forbidden", f"{field}: a file of the server cannot be named; upload it")
    return None


def is_path(text: str) -> bool:
    """Whether a text would be a path of the server, whatever lies there."""
    plain = text.strip().replace("\\", "/")
    return plain.startswith(("/", "~", "./", "file:")) or ".." in plain.split("/") or "\0" in plain


async def _while_connected(request: Request, pool: Pool, job: Job) -> Answer:
    """The answer, unless who asked goes away: then its computing ends."""
    asked = asyncio.create_task(pool.ask(job))
    gone = asyncio.create_task(_gone(request))
    try:
        await asyncio.wait({asked, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not asked.done():
            return Answer(130, "", {"kind": "interrupted", "message": "nobody waits for the answer", "hint": None})
        return asked.result()
    finally:
        for task in (asked, gone):
            if not task.done():
                task.cancel()
        await asyncio.gather(asked, gone, return_exceptions=True)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _events(request: Request, pool: Pool, job: Job) -> AsyncIterator[str]:
    """Server-sent events: `progress` with the seconds so far, then `result`, or `error`."""
    asked = asyncio.create_task(pool.ask(job))
    try:
        seconds = 0.0
        while not asked.done():
            yield _event("progress", {"seconds": seconds})
            await asyncio.wait({asked}, timeout=0.5)
            seconds += 0.5
            if await request.is_disconnected():
                return
        answer = asked.result()
        yield _event("error" if answer.error else "result", document(answer))
    except TimeoutError:
        yield _event("error", {"error": {"kind": "timeout", "message": "no answer in time", "hint": None}})
    finally:
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)


def _event(name: str, value: Any) -> str:
    return f"event: {name}\ndata: {json.dumps(value, ensure_ascii=False)}\n\n"


def document(answer: Answer) -> Any:
    """The JSON value that an answer is."""
    if answer.error is not None:
        return {"error": dict(answer.error)}
    try:
        return json.loads(answer.text)
    except ValueError:
        return {"text": answer.text}


def response(answer: Answer) -> Response:
    """A command's answer over HTTP: 200 for answers (exit 1, "does not fit", is one), else the error's status."""
    if answer.error is not None:
        return JSONResponse({"error": dict(answer.error)}, _STATUS.get(str(answer.error["kind"]), 422))
    return Response(answer.text, media_type="application/json")


def _error(status: int, kind: str, text: str, hint: str | None = None) -> JSONResponse:
    return JSONResponse({"error": {"kind": kind, "message": text, "hint": hint}}, status)


def offered(name: str) -> list[str]:
    """The fields of a command's request."""
    return list(fields(name))
