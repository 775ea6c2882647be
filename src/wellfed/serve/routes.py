"""The REST API: POST a verb's long options as JSON, get what its `--json` prints."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel

from wellfed.cli.plan import command as plan_command
from wellfed.serve.fields import request_type
from wellfed.serve.workers import Busy, TaskError, Workers

router = APIRouter(prefix="/api/v1", tags=["verbs"])

# What only a terminal is asked: files to write, forms of printing.
_OF_TERMINALS = ("json", "explain", "report", "prices")
PlanRequest: Any = request_type("PlanRequest", plan_command, without=_OF_TERMINALS)

STATUS = {"unknown": 404, "internal": 500}  # of kinds of errors; the others are requests that cannot be answered: 422


@router.post("/plan", summary="Does it fit, how fast, what limits it: CPU, GPU or both")
async def plan(body: PlanRequest, request: Request) -> Response:
    """Every sensible way to run a model: the document of `wellfed plan --json` (schema wellfed.plan/1)."""
    return await answered(request, "wellfed.serve.tasks:plan", body)


async def answered(request: Request, task: str, body: BaseModel) -> Response:
    """What the task returns for the fields that were given; ended when the client is gone."""
    workers: Workers = request.app.state.workers
    work = asyncio.ensure_future(workers.run_raw(task, **body.model_dump(exclude_unset=True)))
    gone = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            return Response(status_code=499)  # nobody reads it
        return Response(work.result(), media_type="application/json")
    except TaskError as error:
        return JSONResponse({"error": error.error}, STATUS.get(error.error["kind"], 422))
    except Busy:
        return failure(503, "busy", "too many requests wait already", "ask again in some seconds")
    except TimeoutError:
        return failure(504, "too-long", f"not answered within {workers.most_work_s:.0f} s", "ask for less at a time")
    finally:
        for future in (work, gone):
            future.cancel()


def failure(status: int, kind: str, message: str, hint: str | None) -> JSONResponse:
    """An error object."""
    return JSONResponse({"error": {"kind": kind, "message": message, "hint": hint}}, status)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
