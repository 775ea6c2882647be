"""A worker's answer over HTTP: awaited while who asked is there, told step by step, its errors with their status."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict
from typing import Any

from fastapi import Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from wellfed.progress import Progress
from wellfed.serve.pool import MOST_S, Busy, Pool
from wellfed.serve.refusals import BUSY, BUSY_HINT, INTERRUPTED, error, error_object, late
from wellfed.serve.worker import Answer, Job

STATUS = {"unknown": 404, "forbidden": 403, "internal": 500, "interrupted": 499}


def document(answer: Answer) -> Any:
    """The JSON value that an answer is."""
    if answer.error is not None:
        return {"error": dict(answer.error)}
    try:
        return json.loads(answer.text)
    except ValueError:
        return {"text": answer.text}


async def respond(request: Request, pool: Pool, job: Job, media: str = "application/json") -> Response:
    """The answer, or with `Accept: text/event-stream` how far it is, and then the answer."""
    if "text/event-stream" in request.headers.get("accept", ""):
        return StreamingResponse(events(request, pool, job), media_type="text/event-stream")
    try:
        return response(await _while_connected(request, pool, job), media)
    except TimeoutError:
        return error(job.language, 504, "timeout", late(MOST_S))
    except Busy:
        return error(job.language, 503, "busy", BUSY, BUSY_HINT)


async def _while_connected(request: Request, pool: Pool, job: Job) -> Answer:
    """The answer, unless who asked goes away: then its computing ends."""
    answering = asyncio.create_task(pool.ask(job))
    gone = asyncio.create_task(_gone(request))
    try:
        await asyncio.wait({answering, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not answering.done():
            return Answer(130, "", error_object(job.language, "interrupted", INTERRUPTED))
        return answering.result()
    finally:
        for task in (answering, gone):
            if not task.done():
                task.cancel()
        await asyncio.gather(answering, gone, return_exceptions=True)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def events(
    request: Request, pool: Pool, job: Job, shown: Callable[[Answer], Any] = document
) -> AsyncIterator[str]:
    """Server-sent events: `progress` (what, done, of; or the seconds so far), then `result` as `shown`, or `error`."""
    progress: asyncio.Queue[Progress] = asyncio.Queue()
    work = asyncio.create_task(pool.ask(job, listener=progress.put_nowait))
    start = asyncio.get_running_loop().time()
    try:
        while not work.done():
            news = asyncio.create_task(progress.get())
            await asyncio.wait({work, news}, timeout=0.5, return_when=asyncio.FIRST_COMPLETED)
            seconds = round(asyncio.get_running_loop().time() - start, 2)
            yield event("progress", {"seconds": seconds, **(asdict(news.result()) if news.done() else {})})
            news.cancel()
            if await request.is_disconnected():
                return
        answer = work.result()
        yield event("error", document(answer)) if answer.error else event("result", shown(answer))
    except TimeoutError:
        yield event("error", {"error": error_object(job.language, "timeout", late(MOST_S))})
    except Busy:
        yield event("error", {"error": error_object(job.language, "busy", BUSY, BUSY_HINT)})
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)


def event(name: str, value: Any) -> str:
    """One server-sent event."""
    return f"event: {name}\ndata: {json.dumps(value, ensure_ascii=False)}\n\n"


def response(answer: Answer, media: str = "application/json") -> Response:
    """A command's answer over HTTP: 200 for answers (exit 1, "does not fit", is one), else the error's status."""
    if answer.error is not None:
        return JSONResponse({"error": dict(answer.error)}, STATUS.get(str(answer.error["kind"]), 422))
    is_document = media != "application/json" or answer.text.lstrip().startswith(("{", "["))
    return Response(answer.text, media_type=media if is_document else "text/plain")  # an export is a file's text
