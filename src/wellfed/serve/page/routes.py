"""The page's routes: a query becomes a job of a worker, its answer the page. Nothing is computed here."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse

from wellfed.errors import WellfedError
from wellfed.message import Message, message
from wellfed.messages.language import languages
from wellfed.messages.words import words
from wellfed.serve.answering import STATUS, events
from wellfed.serve.api import is_path
from wellfed.serve.language import COOKIE, language_of
from wellfed.serve.page.dumps import Dumps
from wellfed.serve.page.live import Live, engines
from wellfed.serve.page.state import Query, first, query_of, query_string, with_parts_joined
from wellfed.serve.pool import MOST_S, Busy
from wellfed.serve.refusals import BUSY, BUSY_HINT, FILE_NAMED, OTHER_PAGE, late
from wellfed.serve.settings import is_loopback
from wellfed.serve.worker import Job

router = APIRouter(include_in_schema=False)
_LONGEST_QUERY = 20_000
_PAGES = ("ask", "fit", "compare", "machine", "watch", "claims")
_NAMES_PATHS = ("model", "on", "machines")


@router.get("/")
async def ask(request: Request) -> Response:
    """The form, and the answer to what the query asks."""
    query = _query(request)
    joined = with_parts_joined(query)
    if joined is not query:
        return RedirectResponse(f"/?{query_string(joined)}", 303)
    part = request.headers.get("hx-target", "") if request.headers.get("hx-request") else ""
    return await _page(request, "views:ask", query, part=part if part in ("answer", "plans") else "")


@router.get("/whatif")
async def what_if(request: Request) -> Response:
    """The sliders' part alone, or, where no script asked, the whole page in that state."""
    query = _query(request)
    if not request.headers.get("hx-request"):
        return RedirectResponse(f"/?{query_string(query)}#whatif", 303)
    answer = await _page(request, "views:what_if", query)
    answer.headers["HX-Push-Url"] = f"/?{query_string(query)}"
    return answer


@router.get("/complete")
async def complete(request: Request) -> Response:
    """Model names that go on from what is typed."""
    return await _page(request, "views:complete", {}, text=request.query_params.get("model", ""))


@router.get("/report")
async def report(request: Request) -> Response:
    """The answer as a file to keep."""
    answer = await _page(request, "views:report", _query(request))
    if answer.status_code == 200:
        answer.headers["Content-Disposition"] = 'attachment; filename="wellfed-report.html"'
    return answer


@router.get("/fit")
async def fit(request: Request) -> Response:
    """What a machine serves well; asked by a script, how far it is, and then the part of the page."""
    query = _query(request)
    if "text/event-stream" not in request.headers.get("accept", ""):
        return await _page(request, "fit_views:fit", query, part="")
    job = _job(request, "fit_views:fit", query, part="fitting")
    if isinstance(job, Response):
        return job
    stream = events(request, request.app.state.pool, job, lambda answer: {"html": answer.text})
    return StreamingResponse(stream, media_type="text/event-stream", headers={"Cache-Control": "no-store"})


@router.get("/compare")
async def compare(request: Request) -> Response:
    """Machines side by side."""
    return await _page(request, "other_views:compare", _query(request))


@router.get("/machine")
async def machine(request: Request) -> Response:
    """A machine's drawing."""
    return await _page(request, "other_views:machine", _query(request))


@router.get("/claims")
async def claims(request: Request) -> Response:
    """The usual advice held against the figures."""
    return await _page(request, "other_views:claims", _query(request))


@router.get("/fleet")
async def fleet(request: Request) -> Response:
    """The machines of the folder that the server was started with; no request names one."""
    return await _page(request, "fleet_views:fleet", _query(request), {}, grid=request.app.state.fleet)


@router.post("/paste")
async def paste(request: Request) -> Response:
    """Keep what was pasted or uploaded and go on to the page that asked (`to`), which names it in its URL."""
    async with request.form(max_files=1, max_fields=80, max_part_size=16 << 20) as form:
        pairs = [(name, value) for name, value in form.multi_items() if isinstance(value, str)]
        uploads = [await value.read() for _, value in form.multi_items() if not isinstance(value, str)]
    query = query_of(pairs)
    text = query.pop("paste", [""])[0].encode()
    page = {"machine": "/machine", "watch": "/watch"}.get((query.pop("to", [""]))[0], "/")
    content = next((upload for upload in uploads if upload.strip()), text)
    name = _dumps(request).keep(content)
    if name is not None:
        query.pop("on", None)
        query["dump"] = [name]
    return RedirectResponse(f"{page}?{query_string(query)}", 303)


@router.get("/watch")
async def watch(request: Request) -> Response:
    """The watch page: a recording that was uploaded, an engine that runs, or the choice of them."""
    query = _query(request)
    name, url = first(query, "name"), first(query, "url")
    part = request.headers.get("hx-target", "") == "watching"
    shown: dict[str, Any] = {"part": part, "live": bool(name or url), "error": None, "allowed": _is_ours(request)}
    shown["engines"] = await asyncio.to_thread(engines) if shown["allowed"] else []
    recording = _dumps(request).get(first(query, "dump"))
    if shown["live"] and shown["allowed"]:
        refusal = _not_watched(request, url)
        if refusal is not None:
            return refusal
        try:
            recording = await asyncio.to_thread(_live(request).recording, name, url)
        except WellfedError as error:
            tongue = language_of(request)
            shown |= {
                "error": {"message": words(error.message, tongue), "hint": words(error.hint or "", tongue), "near": ()},
                "live": False,
            }
    return await _page(request, "watch_views:watch", query, {"trace.jsonl": recording} if recording else {}, **shown)


def _refusal(request: Request, why: str, status: int) -> Response:
    return Response(words(why, language_of(request)), status)


def _not_watched(request: Request, url: str | None) -> Response | None:
    """Another page may not have this server ask addresses."""
    if request.headers.get("sec-fetch-site") in ("cross-site", "same-site"):
        return _error_page(request, 403, OTHER_PAGE)
    if url is not None and not _is_address(url):
        return _error_page(request, 422, message("page.no-address", "this is no address of an engine"))
    return None


def _is_address(url: str) -> bool:
    try:
        return urlsplit(url if "//" in url else f"//{url}").scheme in ("", "http", "https")
    except ValueError:
        return False


def _error_page(request: Request, status: int, *sentences: Message) -> Response:
    """A refusal in the asker's language, as plain text."""
    text = "\n".join(words(sentence, language_of(request)) for sentence in sentences)
    return Response(text, status, media_type="text/plain; charset=utf-8")


def _is_ours(request: Request) -> bool:
    """Whether only this machine can reach the server: then it may tell of this machine."""
    return is_loopback(request.app.state.settings.host)


def _pages(request: Request) -> tuple[str, ...]:
    """What the navigation leads to: the fleet's page where the server was started with a fleet."""
    return _PAGES if request.app.state.fleet is None else (*_PAGES, "fleet")


def _query(request: Request) -> Query:
    query = query_of(request.query_params.multi_items())
    query.pop("lang", None)
    return query


def _dumps(request: Request) -> Dumps:
    state = request.app.state
    if not hasattr(state, "dumps"):
        state.dumps = Dumps()
    dumps: Dumps = state.dumps
    return dumps


def _live(request: Request) -> Live:
    state = request.app.state
    if not hasattr(state, "live"):
        state.live = Live()
    live: Live = state.live
    return live


def _job(request: Request, task: str, query: Query, uploads: Mapping[str, bytes] | None = None,
         **more: Any) -> Job | Response:  # fmt: skip
    """A worker's task for a query, with what it pasted; or why it is refused."""
    if len(request.url.query) > _LONGEST_QUERY:
        return _error_page(request, 414, message("page.long-address", "the address is too long"))
    names = [text for name in _NAMES_PATHS for text in query.get(name, ())]
    if any(is_path(text) for text in names):
        return _error_page(request, 403, FILE_NAMED, message("page.paste-it", "paste its text"))
    if uploads is None:
        content = _dumps(request).get(first(query, "dump"))
        uploads = {"paste.txt": content} if content is not None else {}
    params = {"query": query, "local": _is_ours(request), "pages": _pages(request), **more}
    return Job((), language_of(request), uploads, f"wellfed.serve.page.{task}", params)


async def _page(request: Request, task: str, query: Query, uploads: Mapping[str, bytes] | None = None,
                **more: Any) -> Response:  # fmt: skip
    """A worker's page for a query."""
    job = _job(request, task, query, uploads, **more)
    if isinstance(job, Response):
        return job
    chosen = request.query_params.get("lang")
    try:
        answer = await request.app.state.pool.ask(job)
    except TimeoutError:
        return _error_page(request, 504, late(MOST_S))
    except Busy:
        return _error_page(request, 503, BUSY, BUSY_HINT)
    if answer.error is not None:
        status = STATUS.get(str(answer.error["kind"]), 422)
        return Response(f"{answer.error['message']}\n{answer.error['hint'] or ''}", status, media_type="text/plain")
    page = HTMLResponse(
        answer.text,
        answer.code,
        {"Vary": "HX-Request, HX-Target, Accept-Language, Cookie", "Cache-Control": "no-store"},
    )
    if chosen in languages():
        page.set_cookie(COOKIE, chosen, max_age=31_536_000, samesite="strict", httponly=True)
    return page
