"""One pinned file from a package index, by our own client: where neither pip nor uv is at hand.

The index is that of PIP_INDEX_URL, UV_DEFAULT_INDEX, UV_INDEX_URL, or pip's configuration files, else PyPI. Its page
of a project is JSON (PEP 691) or HTML (PEP 503).
"""

from __future__ import annotations

import configparser
import hashlib
import os
import re
import sys
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import IO, TYPE_CHECKING
from urllib.parse import urljoin, urlsplit, urlunsplit

from wellfed.errors import WellfedError
from wellfed.frozen import dataclass
from wellfed.homes import under_home
from wellfed.message import message

if TYPE_CHECKING:
    import httpx

_PYPI = "https://pypi.org/simple"
_ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"
_PAGE_BYTES = 8 << 20
_TIMEOUT_S = 20.0
_TRIES = 5  # connections that bring nothing, in a row
_LINK = re.compile(r"""<a\s[^>]*?href\s*=\s*(?:"([^"]*)"|'([^']*)')""", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class IndexFile:
    """A file of a project on a package index, pinned by size and checksum."""

    project: str
    name: str
    size_bytes: int
    sha256: str


def index_url() -> str:
    """The simple index that this user's tools are set up for."""
    for name in ("PIP_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX_URL"):
        if os.environ.get(name):
            return os.environ[name]
    return next(_configured(), _PYPI)


def _configured() -> Iterator[str]:
    """`index-url` of pip's configuration files, the most particular first."""
    places = [os.environ.get("PIP_CONFIG_FILE", ""), f"{sys.prefix}/pip.conf"]
    places += [
        str(under_home(".config/pip/pip.conf")),
        str(under_home(".pip/pip.conf")),
        "/etc/xdg/pip/pip.conf",
        "/etc/pip.conf",
    ]
    for place in places:
        parser = configparser.RawConfigParser()
        try:
            if place and place != os.devnull and Path(place).is_file():
                parser.read(place, encoding="utf-8")
        except (configparser.Error, OSError, UnicodeError):
            continue  # pip's own tools tell the user of it
        for section in ("install", "download", "global"):
            if parser.has_option(section, "index-url"):
                yield parser.get(section, "index-url")


def fetch_from_index(file: IndexFile, folder: Path) -> Path:
    """The file in `folder`, resumed where an earlier run stopped, checked against its checksum.

    Raises WellfedError when the index cannot be reached, lacks the file, or sends something else.
    """
    import httpx

    index = index_url()
    path, part = folder / file.name, folder / f"{file.name}.part"
    with httpx.Client(timeout=_TIMEOUT_S, follow_redirects=True) as client:
        try:
            url = _file_url(client, index, file)
            _append_all(client, url, part, file)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            why = str(error) or type(error).__name__
            raise WellfedError(
                message("index.failed", "{index}: {why}", index=_without_password(index), why=why)
            ) from error
    if sha256(part) != file.sha256:
        part.unlink()
        raise WellfedError(message("index.checksum", "{name} is not what was published; it is deleted", name=file.name))
    part.replace(path)
    return path


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _file_url(client: httpx.Client, index: str, file: IndexFile) -> str:
    page = f"{index.rstrip('/')}/{file.project}/"
    body = b""
    with client.stream("GET", page, headers={"Accept": _ACCEPT}) as response:
        response.raise_for_status()
        for chunk in response.iter_bytes():
            body += chunk
            if len(body) > _PAGE_BYTES:
                why = message("index.page", "{index}: its page never ends", index=_without_password(index))
                raise WellfedError(why)
        base, kind = str(response.url), response.headers.get("content-type", "")
    for link in _json_links(body) if "json" in kind else _html_links(body):
        if urlsplit(link).path.rpartition("/")[2] == file.name:
            return urljoin(base, link)
    raise WellfedError(message("index.lacks", "{index} has no {name}", index=_without_password(index), name=file.name))


def _json_links(body: bytes) -> Iterator[str]:
    import json

    try:
        listed = json.loads(body)["files"]
        yield from (entry["url"] for entry in listed if isinstance(entry["url"], str))
    except (ValueError, KeyError, TypeError) as error:
        raise WellfedError(message("index.json", "the index answers with JSON that is no list of files")) from error


def _html_links(body: bytes) -> Iterator[str]:
    for match in _LINK.finditer(body.decode("utf-8", "replace")):
        yield unescape(match[1] or match[2] or "")


def _append_all(client: httpx.Client, url: str, part: Path, file: IndexFile) -> None:
    """Append to `part` until the pinned size; connections that break are taken up again."""
    import httpx

    tries = _TRIES
    with part.open("ab") as out:
        while out.tell() < file.size_bytes:
            before = out.tell()
            try:
                _append(client, url, out, file)
            except httpx.TransportError:
                if out.tell() == before and tries == 1:
                    raise
            tries = _TRIES if out.tell() > before else tries - 1
            if not tries:
                raise WellfedError(message("index.ends", "the index sends no more of {name}", name=file.name))


def _append(client: httpx.Client, url: str, out: IO[bytes], file: IndexFile) -> None:
    headers = {"Range": f"bytes={out.tell()}-", "Accept-Encoding": "identity"}
    with client.stream("GET", url, headers=headers) as response:
        response.raise_for_status()
        if response.status_code != 206:
            out.truncate(0)
            out.seek(0)
        for chunk in response.iter_raw():
            if out.tell() + len(chunk) > file.size_bytes:
                out.truncate(0)
                raise WellfedError(message("index.long", "{name} is longer than it is published", name=file.name))
            out.write(chunk)
            _progress(out.tell(), file)


def _progress(done_bytes: int, file: IndexFile) -> None:
    if sys.stderr.isatty():
        ending = "\n" if done_bytes == file.size_bytes else ""
        print(f"\r{file.name}  {done_bytes / file.size_bytes:4.0%}", end=ending, file=sys.stderr, flush=True)


def sha256(path: Path) -> str:
    """A file's SHA-256 in hexadecimal digits."""
    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()
