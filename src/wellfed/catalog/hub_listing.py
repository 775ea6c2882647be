"""The most downloaded models of a hub and single files of theirs, over HTTP: Hugging Face, a mirror of it, ModelScope.

Asked only by `wellfed catalog update`. What a hub answers is bounded in size and number; waits that it asks for are
kept, up to a minute each; its token goes to its own host only.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from email.utils import parsedate_to_datetime
from typing import Any, Protocol
from urllib.parse import urljoin, urlsplit, urlunsplit

import httpx

from wellfed.errors import BadInput
from wellfed.frozen import dataclass
from wellfed.message import Amount, Message, message, sentence

TIMEOUT_S = 20.0
_MOST_BYTES = 32 << 20
_TRIES = 3  # of a request that the hub answers with 429 or 5xx
_LONGEST_WAIT_S = 60.0
_PAGE = 100
_MOST_PAGES = 100


@dataclass(frozen=True, slots=True)
class Listed:
    """A model in a hub's list. `parameters`: of all its tensors, None where the hub does not say."""

    repository: str
    downloads: int
    parameters: int | None = None


class Withheld(Exception):
    """A file that a hub does not give; `reason` says why. The next model may be had all the same."""

    def __init__(self, reason: Message) -> None:
        super().__init__(str(reason))
        self.reason = reason


class Hub(Protocol):
    """What an update needs of a hub."""

    name: str

    def most_downloaded(self, task: str, most: int) -> Iterator[Listed]:
        """The `most` most downloaded models for a task (in Hugging Face's words), the most downloaded first."""
        ...

    def file(self, repository: str, name: str) -> dict[str, Any]:
        """A JSON file of a repository. Raises Withheld."""
        ...


class HuggingFace:
    """huggingface.co, or a mirror of it at `endpoint`."""

    def __init__(
        self,
        endpoint: str = "https://huggingface.co",
        token: str | None = None,
        client: httpx.Client | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if urlsplit(endpoint).scheme not in {"http", "https"}:
            raise BadInput(
                f"HF_ENDPOINT is {endpoint!r}", sentence("hub-listing.write-https", "write it with https://")
            )
        self.name = urlsplit(endpoint).netloc
        self._endpoint = endpoint.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._client = client or httpx.Client(timeout=TIMEOUT_S, follow_redirects=True)
        self._sleep = sleep

    def most_downloaded(self, task: str, most: int) -> Iterator[Listed]:
        """By pages; the link to the next page is followed on this endpoint, wherever a mirror lets it point to."""
        query = {"pipeline_tag": task, "sort": "downloads", "direction": "-1", "limit": str(min(most, _PAGE))}
        expand = "&".join(f"expand[]={field}" for field in ("downloads", "gated", "safetensors"))
        url: str | None = f"{self._endpoint}/api/models?{httpx.QueryParams(query)}&{expand}"
        yielded = 0
        for _ in range(_MOST_PAGES):
            response = _answered(self._client, "GET", url or "", self._sleep, headers=self._headers)
            for row in _rows(response):
                if yielded == most:
                    return
                listed = _listed(row)
                if listed is not None:
                    yielded += 1
                    yield listed
            url = self._next(response)
            if url is None:
                return

    def _next(self, response: httpx.Response) -> str | None:
        link = response.links.get("next", {}).get("url")
        if not link:
            return None
        parts, endpoint = urlsplit(urljoin(str(response.url), link)), urlsplit(self._endpoint)
        return urlunsplit((endpoint.scheme, endpoint.netloc, endpoint.path + parts.path, parts.query, ""))

    def file(self, repository: str, name: str) -> dict[str, Any]:
        """Its newest version. Raises Withheld."""
        url = f"{self._endpoint}/{repository}/resolve/main/{name}"
        return _json_file(self._client, url, self._sleep, self._headers, repository, name)


class ModelScope:
    """modelscope.cn; its list knows no tasks, so the one that is asked for is not held."""

    def __init__(
        self,
        endpoint: str = "https://www.modelscope.cn",
        client: httpx.Client | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.name = urlsplit(endpoint).netloc
        self._endpoint = endpoint.rstrip("/")
        self._client = client or httpx.Client(timeout=TIMEOUT_S, follow_redirects=True)
        self._sleep = sleep

    def most_downloaded(self, task: str, most: int) -> Iterator[Listed]:
        """By numbered pages, until one is empty."""
        yielded = 0
        for page in range(1, _MOST_PAGES + 1):
            body = {
                "PageNumber": page,
                "PageSize": min(most, _PAGE),
                "SortBy": "DownloadsCount",
                "Criterion": [{"category": "tasks", "predicate": "contains", "values": [task]}],
            }
            url = f"{self._endpoint}/api/v1/dolphin/models"
            answer = _parsed(_answered(self._client, "PUT", url, self._sleep, json=body))
            data = answer.get("Data") if isinstance(answer, dict) else None
            model = data.get("Model") if isinstance(data, dict) else None
            rows = model.get("Models") if isinstance(model, dict) else None
            if not isinstance(rows, list) or not rows:
                return
            for row in rows:
                if yielded == most:
                    return
                if isinstance(row, dict) and row.get("Path") and row.get("Name"):
                    yielded += 1
                    downloads = row.get("Downloads")
                    yield Listed(f"{row['Path']}/{row['Name']}", downloads if isinstance(downloads, int) else 0)

    def file(self, repository: str, name: str) -> dict[str, Any]:
        """Its newest version. Raises Withheld."""
        url = f"{self._endpoint}/api/v1/models/{repository}/repo?Revision=master&FilePath={name}"
        return _json_file(self._client, url, self._sleep, {}, repository, name)


def _rows(response: httpx.Response) -> list[Any]:
    rows = _parsed(response)
    if not isinstance(rows, list):
        raise BadInput(
            sentence(
                "hub-listing.answers-something",
                "{host} answers with something else than a list of models",
                host=response.url.host,
            ),
            sentence("hub-listing.hub", "is it a hub?"),
        )
    return rows


def _listed(row: object) -> Listed | None:
    if not isinstance(row, dict) or not isinstance(row.get("id"), str):
        return None
    tensors = row.get("safetensors")
    total = tensors.get("total") if isinstance(tensors, dict) else None
    downloads = row.get("downloads")
    return Listed(row["id"], downloads if isinstance(downloads, int) else 0, total if isinstance(total, int) else None)


def _json_file(
    client: httpx.Client, url: str, sleep: Callable[[float], None], headers: dict[str, str], repository: str, name: str
) -> dict[str, Any]:
    """The file's content, or why it is withheld. A broken-off body is asked for once more."""
    for attempt in range(2):
        try:
            response = _answered(client, "GET", url, sleep, headers=headers)
            value = _parsed(response)
        except _Broken as broken:
            if attempt:
                raise Withheld(broken.reason) from broken
            continue
        except _Refused as refused:
            raise Withheld(_http_reason(refused.status, name)) from refused
        if isinstance(value, dict):
            return value
        break
    raise Withheld(message("catalog.update.not-an-object", "{name} holds something else than settings", name=name))


def _http_reason(status: int, name: str) -> Message:
    if status in (401, 403):
        text = "its publisher gives {name} only to those who have agreed to its terms (HTTP {status}): set HF_TOKEN"
        return message("catalog.update.gated", text, name=name, status=status)
    if status == 404:
        return message("catalog.update.no-file", "it has no {name}", name=name)
    return message("catalog.update.http", "the hub answers HTTP {status} for {name}", status=status, name=name)


class _Refused(BadInput):
    def __init__(self, status: int, host: str) -> None:
        hint = sentence(
            "hub-listing.set-hf-endpoint", "set HF_ENDPOINT to a mirror, or ask ModelScope (--hub modelscope)"
        )
        super().__init__(
            sentence("hub-listing.answers-http", "{host} answers HTTP {status}", host=host, status=status), hint
        )
        self.status = status


class _Broken(BadInput):
    def __init__(self, reason: Message) -> None:
        super().__init__(
            reason, sentence("hub-listing.try-again-later", "try again later, or set HF_ENDPOINT to a mirror")
        )
        self.reason = reason


def _answered(
    client: httpx.Client, method: str, url: str, sleep: Callable[[float], None], **arguments: Any
) -> httpx.Response:
    """The answer, after the waits that the hub asks for. Raises _Refused for other statuses, _Broken for no answer."""
    host = urlsplit(url).netloc
    for attempt in range(_TRIES):
        try:
            response = _read(client, method, url, **arguments)
        except httpx.HTTPError as error:
            if attempt + 1 == _TRIES:
                text = "{host} gives no whole answer ({error})"
                raise _Broken(message("catalog.update.broken", text, host=host, error=type(error).__name__)) from error
            continue
        if response.status_code == 429 or response.status_code >= 500:
            wait_s = _wait_s(response, attempt)
            if attempt + 1 == _TRIES or wait_s > _LONGEST_WAIT_S:
                text = "{host} asks to wait {wait} before more is asked"
                raise (
                    BadInput(
                        message("catalog.update.wait", text, host=host, wait=Amount(wait_s, "s")),
                        sentence(
                            "hub-listing.what-read-before",
                            "what was read before is kept; ask again later, or set HF_TOKEN",
                        ),
                    )
                    if response.status_code == 429
                    else _Refused(response.status_code, host)
                )
            sleep(wait_s)
            continue
        if response.status_code >= 400:
            raise _Refused(response.status_code, host)
        return response
    raise _Refused(503, host)


def _read(client: httpx.Client, method: str, url: str, **arguments: Any) -> httpx.Response:
    """The whole response, at most _MOST_BYTES of it."""
    with client.stream(method, url, **arguments) as response:
        body = bytearray()
        for chunk in response.iter_bytes():
            body += chunk
            if len(body) > _MOST_BYTES:
                raise BadInput(
                    sentence(
                        "hub-listing.sends-more-mib",
                        "{netloc} sends more than {most_bytes} MiB for one file",
                        netloc=urlsplit(url).netloc,
                        most_bytes=_MOST_BYTES >> 20,
                    )
                )
        headers = [(key, value) for key, value in response.headers.items() if key.lower() not in _OF_THE_WIRE]
        return httpx.Response(response.status_code, headers=headers, content=bytes(body), request=response.request)


_OF_THE_WIRE = {"content-encoding", "content-length", "transfer-encoding"}


def _parsed(response: httpx.Response) -> Any:
    try:
        return json.loads(response.content)
    except ValueError as error:
        text = "what {host} sends is not whole JSON"
        raise _Broken(message("catalog.update.not-json", text, host=response.url.host)) from error


def _wait_s(response: httpx.Response, attempt: int) -> float:
    """As Retry-After says, in seconds or as a date; else 1, 2, 4 s."""
    header = response.headers.get("retry-after", "")
    if header.isdecimal():
        return float(header)
    with suppress(ValueError, TypeError):
        return max(0.0, parsedate_to_datetime(header).timestamp() - time.time())
    return float(2**attempt)
