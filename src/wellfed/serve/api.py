"""The REST API: each path is a command, its request the command's options, its answer what `--json` prints."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any, TypeAlias

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field, ValidationError, create_model

from wellfed.message import message
from wellfed.serve.answering import respond
from wellfed.serve.fields import command, request_model, words
from wellfed.serve.language import language_of
from wellfed.serve.pool import Pool
from wellfed.serve.refusals import NOT_LOCAL, NOT_LOCAL_HINT, Refused, file_named, not_valid
from wellfed.serve.schemas import links
from wellfed.serve.worker import FOLDER, UPLOAD, Job

COMMANDS = ("plan", "fit", "compare", "check", "topology", "resolve", "explain", "fleet plan", "fleet check")
_NAMES_PATHS = ("model", "on", "machines", "names", "models")  # fields in which a path would be a file of the server
_OF_MACHINES = ("check", "topology")  # without `on` or a paste: this one
PASTED = {"check": "--from", "topology": "--from", "plan": "--on", "fit": "--on"}  # the option that takes a dump
_OF_FOLDERS = ("fleet check",)  # of uploads, one a machine
_MOST_FILES = 1000
_EXAMPLE = "example:"  # prices that come with wellfed
Words: TypeAlias = "tuple[str, ...]"
COMMAND = "x-wellfed-command"  # until a route is described

Error = create_model(
    "Error",
    kind=(str, Field(description="Stable, in kebab case: unknown, bad-input, unsupported, usage ...")),
    message=(str, Field(description="In the language of the request.")),
    hint=(str | None, None),
)
ErrorBody = create_model("ErrorBody", error=(Error, ...))
REFUSALS: dict[int | str, dict[str, Any]] = {
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
    async def answer(request: Request) -> Response:
        try:
            return await respond(request, pool, await job_of(request, name))
        except Refused as refused:
            return refused.response(language_of(request))

    routes.add_api_route(
        "/" + name.replace(" ", "/"), answer, methods=["POST"], name=name, response_class=JSONResponse,
        openapi_extra={COMMAND: name}, responses={**REFUSALS, 200: {"content": _answers(name)}},
    )  # fmt: skip


def _answers(name: str) -> dict[str, Any]:
    """For OpenAPI: the answer, or how far it is, and then that."""
    return {"application/json": {"schema": links(name)}, "text/event-stream": {"schema": {"type": "string"}}}


def described(document: dict[str, Any]) -> dict[str, Any]:
    """The OpenAPI document with each command's help and fields, made when it is asked for: it imports them all."""
    for operations in document["paths"].values():
        for operation in operations.values():
            name = operation.pop(COMMAND, None)
            if name is not None:
                help_text = (command(name).help or name).strip()
                if operation["summary"] == name.title():
                    operation |= {"summary": help_text.splitlines()[0], "description": help_text}
                operation |= body_schema(request_of(name))
    return document


@cache
def request_of(name: str) -> type[BaseModel]:
    """The fields of a command's request, and what stands for a file of the command line."""
    more: dict[str, Any] = {}
    if name in PASTED:
        more["paste"] = (str | None, Field(None, max_length=16 << 20, description="Pasted dumps instead of `on`."))
    if name == "plan":
        help_text = "With `buy` or `cpus`: a price file's TOML text, or example:usd, example:cny."
        more["prices"] = (str | None, Field(None, max_length=1 << 20, description=help_text))
    model = request_model(name)
    return create_model(model.__name__, __base__=model, **more) if more else model


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


async def job_of(request: Request, name: str, more: Words = ()) -> Job:
    """The command that a request is, with `more` words of ours. Raises Refused."""
    values, uploads = await _values_and_uploads(request, request_of(name))
    pasted, prices = values.pop("paste", None), values.pop("prices", None)
    if pasted is not None:
        uploads = {"paste.txt": pasted.encode(), **uploads}
    _ensure_no_path(values)
    files = _file_words(request, name, values, uploads)
    if prices is not None:
        uploads = {} if prices.startswith(_EXAMPLE) else {"prices.toml": prices.encode()}
        more = (*more, "--prices", UPLOAD if uploads else prices)
    command_words, head = words(name, values), len(name.split())
    last = (FOLDER,) if name in _OF_FOLDERS else ()
    return Job((*command_words[:head], *files, *more, *command_words[head:], *last), language_of(request), uploads)


def _file_words(request: Request, name: str, values: Mapping[str, Any], uploads: Mapping[str, bytes]) -> Words:
    """How the command is told of what was uploaded. Raises Refused where files are missing, or not wanted."""
    if name in _OF_FOLDERS:
        if not uploads:
            why = message("serve.no-files", "upload the dumps, one file a machine")
            raise Refused(422, "usage", why, message("serve.no-files.hint", "as multipart/form-data"))
        return ()
    if uploads and name not in PASTED:
        raise Refused(422, "usage", message("serve.takes-no-files", "this takes no files"))
    if uploads and values.get("on") is not None:
        why = message("serve.on-and-paste", "a machine is either described (on) or pasted, not both")
        raise Refused(422, "usage", why)
    if uploads:
        return (PASTED[name], UPLOAD)
    if name in _OF_MACHINES and values.get("on") is None and not request.app.state.settings.loopback:
        raise Refused(403, "forbidden", NOT_LOCAL, NOT_LOCAL_HINT)
    return ()


async def _values_and_uploads(request: Request, model: type[BaseModel]) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The validated fields, and files of a multipart body."""
    uploads: dict[str, bytes] = {}
    if request.headers.get("content-type", "").startswith("multipart/form-data"):
        values: dict[str, Any] = {}
        async with request.form(max_files=_MOST_FILES, max_fields=64, max_part_size=1 << 20) as form:
            for key, value in form.multi_items():
                if isinstance(value, str):
                    values[key] = value
                else:
                    uploads[_unique(value.filename or "file", uploads)] = await value.read()
    else:
        try:
            values = json.loads(await request.body() or b"{}")
        except (ValueError, RecursionError) as error:
            why = "it is nested too deep" if isinstance(error, RecursionError) else str(error)
            raise Refused(422, "bad-input", message("serve.no-json", "the body is not JSON: {why}", why=why)) from error
        if not isinstance(values, dict):
            raise Refused(422, "bad-input", message("serve.no-object", "the body must be a JSON object"))
    try:
        checked = model.model_validate(values)
    except ValidationError as error:
        raise not_valid(error) from error
    return checked.model_dump(exclude_none=True), uploads


def _unique(name: str, taken_names: Mapping[str, bytes]) -> str:
    return name if name not in taken_names else f"{len(taken_names)}-{name}"


def _ensure_no_path(values: Mapping[str, Any]) -> None:
    """A path of the server is no name: refused before anything looks. Raises Refused."""
    for field in _NAMES_PATHS:
        value = values.get(field)
        for text in value if isinstance(value, list) else [value]:
            if isinstance(text, str) and is_path(text):
                raise file_named(field)


def is_path(text: str) -> bool:
    """Whether a text would be a path of the server, whatever lies there."""
    plain = text.strip().replace("\\", "/")
    return plain.startswith(("/", "~", "./", "file:")) or ".." in plain.split("/") or "\0" in plain
