"""The REST API: each path is a command, its request the command's options, its answer what `--json` prints."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict
from typing import Any, TypeAlias

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import BaseModel, Field, ValidationError, create_model

from wellfed.message import sentence
from wellfed.progress import Progress
from wellfed.serve.fields import request_model, words
from wellfed.serve.language import language_of
from wellfed.serve.pool import MOST_S, Busy, Pool
from wellfed.serve.shapes import OF_COMMANDS, file_name
from wellfed.serve.worker import UPLOAD, Answer, Job

COMMANDS = ("plan", "fit", "compare", "check", "topology", "resolve", "explain", "fleet plan")
_NAMES_PATHS = ("model", "on", "machines", "names", "models")  # fields in which a path would be a file of the server
_OF_MACHINES = ("check", "topology")  # without `on` or a paste: this one
Words: TypeAlias = "tuple[str, ...]"
_STATUS = {"unknown": 404, "forbidden": 403, "internal": 500, "interrupted": 499}

Error = create_model(
    "Error",
    kind=(str, Field(description="Stable, in kebab case: unknown, bad-input, unsupported, usage ...")),
    message=(str, ...),
    hint=(str | None, None),
)
ErrorBody = create_model("ErrorBody", error=(Error, ...))
REFUSALS: dict[int | str, dict[str, Any]] = {
    403: {
        "model": ErrorBody,
        "description": sentence(
            "serve.api.another-page-another", "Another page, another host, or a file of the server."
        ),
    },
    404: {"model": ErrorBody, "description": sentence("serve.api.no-such-model", "No such model, part or command.")},
    422: {
        "model": ErrorBody,
        "description": sentence(
            "serve.api.field-cannot-options", "A field that cannot be, or options that contradict each other."
        ),
    },
    504: {
        "model": ErrorBody,
        "description": sentence("serve.api.answer-took-too", "The answer took too long and its computing was ended."),
    },
}


def router(pool: Pool) -> APIRouter:
    """The routes under /api/v1."""
    routes = APIRouter(prefix="/api/v1")
    for name in COMMANDS:
        _add(routes, pool, name)
    return routes


def _add(routes: APIRouter, pool: Pool, name: str) -> None:
    model = request_of(name)
    summary = next(iter((_help(name)).splitlines()), name)

    async def answer(request: Request) -> Response:
        try:
            return await respond(request, pool, await job_of(request, name, model))
        except Refused as refused:
            return refused.response()

    path = "/" + name.replace(" ", "/")
    routes.add_api_route(
        path, answer, methods=["POST"], summary=summary, description=_help(name), name=name,
        openapi_extra=body_schema(model), response_class=JSONResponse,
        responses={**REFUSALS, 200: {"content": _answers(name)}},
    )  # fmt: skip


def _answers(name: str) -> dict[str, Any]:
    """What a command answers, for OpenAPI: links to the published schemas; or how far it is, and then that."""
    there = OF_COMMANDS.get(name, ())
    links = [{"$ref": f"/api/v1/schemas/{file_name(schema)}"} for schema in there]
    schema = {"anyOf": links} if len(links) > 1 else (links or [{"type": "object"}])[0]
    return {"application/json": {"schema": schema}, "text/event-stream": {"schema": {"type": "string"}}}


def request_of(name: str) -> type[BaseModel]:
    """The fields of a command's request; a machine that is looked at may be pasted."""
    model = request_model(name)
    if name not in _OF_MACHINES:
        return model
    paste: Any = (str | None, Field(None, max_length=16 << 20, description="Pasted dumps instead of `on`."))
    return create_model(f"{name.title()}Request", __base__=model, paste=paste)


def body_schema(model: type[BaseModel]) -> dict[str, Any]:
    """The request's body for OpenAPI."""
    content = {"application/json": {"schema": _inlined(model.model_json_schema())}}
    return {"requestBody": {"required": True, "content": content}}


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


async def job_of(request: Request, name: str, model: type[BaseModel], more: tuple[str, ...] = ()) -> Job:
    """The command that a request is, with `more` words of ours. Raises Refused."""
    given, uploads = await _given(request, model)
    pasted = given.pop("paste", None)
    if pasted is not None:
        uploads = {"paste.txt": pasted.encode(), **uploads}
    _ensure_no_path(given)
    return Job(_words(request, name, given, bool(uploads), more), language_of(request), uploads)


def _words(request: Request, name: str, given: Mapping[str, Any], pasted: bool, more: tuple[str, ...]) -> Words:
    command, head = words(name, given), len(name.split())
    if pasted and given.get("on") is not None:
        raise Refused(
            422, "usage", sentence("serve.api.machine-either", "a machine is either described (on) or pasted, not both")
        )
    if pasted:
        return (*command[:head], "--from", UPLOAD, *more, *command[head:])
    if name in _OF_MACHINES and given.get("on") is None and not request.app.state.settings.loopback:
        raise Refused(
            403,
            "forbidden",
            sentence("serve.api.machine-told-beyond", "this machine is not told beyond loopback: give `on` or `paste`"),
        )
    return (*command[:head], *more, *command[head:])


async def respond(request: Request, pool: Pool, job: Job, media: str = "application/json") -> Response:
    """The answer, or with `Accept: text/event-stream` how far it is, and then the answer."""
    if "text/event-stream" in request.headers.get("accept", ""):
        return StreamingResponse(_events(request, pool, job), media_type="text/event-stream")
    try:
        return response(await _while_connected(request, pool, job), media)
    except TimeoutError:
        return error(
            504,
            "timeout",
            sentence(
                "serve.api.no-answer-within", "no answer within {most:.0f} s; its computing was ended", most=MOST_S
            ),
        )
    except Busy:
        return error(
            503,
            "busy",
            sentence("serve.api.too-many-questions", "too many questions wait already"),
            sentence("serve.api.ask-again-some", "ask again in some seconds"),
        )


class Refused(Exception):
    """A request that no worker is asked: its status, a kind for programs, a sentence."""

    def __init__(self, status: int, kind: str, text: str) -> None:
        super().__init__(text)
        self.status, self.kind, self.text = status, kind, text

    def response(self) -> JSONResponse:
        """As an error object."""
        return error(self.status, self.kind, self.text)


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
            raise Refused(
                422, "bad-input", sentence("serve.api.body-json", "the body is not JSON: {error}", error=error)
            ) from error
        if not isinstance(values, dict):
            raise Refused(422, "bad-input", sentence("serve.api.body-must-json", "the body must be a JSON object"))
    try:
        checked = model.model_validate(values)
    except ValidationError as error:
        raise Refused(422, "bad-input", _first(error)) from error
    return checked.model_dump(exclude_none=True), uploads


def _first(error: ValidationError) -> str:
    first = error.errors()[0]
    place = ".".join(str(each) for each in first["loc"][:1]) or "body"
    if first["type"] == "extra_forbidden":
        return sentence("serve.api.there-field", "there is no field {place!r}", place=place)
    return f"{place}: {first['msg']}"


def _ensure_no_path(given: Mapping[str, Any]) -> None:
    """A path of the server is no name: refused before anything looks. Raises Refused."""
    for field in _NAMES_PATHS:
        value = given.get(field)
        for text in value if isinstance(value, list) else [value]:
            if isinstance(text, str) and is_path(text):
                raise Refused(
                    403,
                    "forbidden",
                    sentence(
                        "serve.api.file-server-cannot",
                        "{field}: a file of the server cannot be named; upload it",
                        field=field,
                    ),
                )


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
            return Answer(
                130,
                "",
                {
                    "kind": "interrupted",
                    "message": sentence("serve.api.nobody-waits-answer", "nobody waits for the answer"),
                    "hint": None,
                },
            )
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
    """Server-sent events: `progress` (what, done, of; or the seconds so far), then `result`, or `error`."""
    told: asyncio.Queue[Progress] = asyncio.Queue()
    work = asyncio.create_task(pool.ask(job, told=told.put_nowait))
    start = asyncio.get_running_loop().time()
    try:
        while not work.done():
            news = asyncio.create_task(told.get())
            await asyncio.wait({work, news}, timeout=0.5, return_when=asyncio.FIRST_COMPLETED)
            seconds = round(asyncio.get_running_loop().time() - start, 2)
            yield event("progress", {"seconds": seconds, **(asdict(news.result()) if news.done() else {})})
            news.cancel()
            if await request.is_disconnected():
                return
        answer = work.result()
        yield event("error" if answer.error else "result", document(answer))
    except TimeoutError:
        yield event("error", {"error": {"kind": "timeout", "message": "no answer in time", "hint": None}})
    except Busy:
        yield event("error", {"error": {"kind": "busy", "message": "too many questions wait already", "hint": None}})
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)


def event(name: str, value: Any) -> str:
    """One server-sent event."""
    return f"event: {name}\ndata: {json.dumps(value, ensure_ascii=False)}\n\n"


def document(answer: Answer) -> Any:
    """The JSON value that an answer is."""
    if answer.error is not None:
        return {"error": dict(answer.error)}
    try:
        return json.loads(answer.text)
    except ValueError:
        return {"text": answer.text}


def response(answer: Answer, media: str = "application/json") -> Response:
    """A command's answer over HTTP: 200 for answers (exit 1, "does not fit", is one), else the error's status."""
    if answer.error is not None:
        return JSONResponse({"error": dict(answer.error)}, _STATUS.get(str(answer.error["kind"]), 422))
    return Response(answer.text, media_type=media)


def error(status: int, kind: str, text: str, hint: str | None = None) -> JSONResponse:
    """An error object with its status."""
    return JSONResponse({"error": {"kind": kind, "message": text, "hint": hint}}, status)
