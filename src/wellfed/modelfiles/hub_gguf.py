"""The model in a GGUF file on a hub that is not at hand: the header of each part by range requests, never the data.

The parts are laid into a temporary folder as files that have their real size and their header, and nothing else on
disk, so that the reader of local files counts every tensor and byte of them.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from wellfed.errors import BadInput
from wellfed.frozen import dataclass
from wellfed.message import message, sentence
from wellfed.modelfiles.safe_file import parse_json_value

if TYPE_CHECKING:
    import httpx

    from wellfed.modelfiles.gguf_file import GgufFile

_FIRST_BYTES = 1 << 20  # most headers without a vocabulary end before; those with one have 5 to 20 MB
_MOST_HEADER_BYTES = 64 << 20
_MOST_LISTING_BYTES = 16 << 20
_MOST_PARTS = 64
_BESIDE = ("mmproj", "imatrix", "mtp-", "draft")
_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Remote:
    """A GGUF file of a repository: its path there, and its bytes."""

    path: str
    bytes: int


def fetch_gguf(repository: str, fits: Callable[[str], bool], seconds: float = 10.0) -> GgufFile | None:
    """The one GGUF model of `repository` on Hugging Face (or a mirror, by HF_ENDPOINT) whose file's name `fits`.

    None where no file's or several files' names do. Raises BadInput, with the reason, where the hub does not give it
    within `seconds` (gated, too many requests, unreachable), and what `read_gguf` raises.
    """
    import httpx

    from wellfed.modelfiles.gguf_file import read_gguf

    until = time.monotonic() + seconds
    with httpx.Client(timeout=_TIMEOUT_S, follow_redirects=True, headers=_token()) as client:
        parts = chosen(_listed(client, repository), fits)
        if not parts:
            return None
        with TemporaryDirectory(prefix="wellfed-gguf-") as folder:
            for part in parts:
                _lay(client, repository, part, Path(folder), until)
            return read_gguf(Path(folder) / Path(parts[0].path).name)


def chosen(files: Mapping[str, int], fits: Callable[[str], bool]) -> tuple[Remote, ...]:
    """The parts of the one model among `files` (path: bytes) whose name `fits`; none where several do."""
    fitting = [
        Remote(path, size)
        for path, size in sorted(files.items())
        if _NAME.fullmatch(Path(path).name) and not Path(path).name.lower().startswith(_BESIDE) and fits(path)
    ]
    stems = {_PART.sub("", part.path) for part in fitting}
    return tuple(fitting) if len(stems) == 1 and len(fitting) <= _MOST_PARTS else ()


_NAME = re.compile(r"[\w.+-]{1,180}\.gguf", re.IGNORECASE)
_PART = re.compile(r"-\d{5}-of-\d{5}(?=\.gguf$)", re.IGNORECASE)


def _endpoint() -> str:
    return (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")


def _token() -> dict[str, str]:
    token = os.environ.get("HF_TOKEN")
    return {"Authorization": f"Bearer {token}"} if token else {}


def _listed(client: httpx.Client, repository: str) -> dict[str, int]:
    """Path and bytes of every file of the newest version."""
    url = f"{_endpoint()}/api/models/{repository}/tree/main?recursive=true"
    rows = parse_json_value(_start(client, url, _MOST_LISTING_BYTES, repository), "the list of files")
    if not isinstance(rows, list):
        raise BadInput(message("hub.no-listing", "{name}: the hub gives no list of its files", name=repository))
    return {
        row["path"]: row["size"]
        for row in rows
        if isinstance(row, dict) and isinstance(row.get("path"), str) and isinstance(row.get("size"), int)
    }


def _lay(client: httpx.Client, repository: str, part: Remote, folder: Path, until: float) -> None:
    """A file in `folder` that has the part's header and its size. What is fetched doubles until the header is whole."""
    from wellfed.modelfiles.gguf_header import header_bytes

    url = f"{_endpoint()}/{repository}/resolve/main/{quote(part.path)}"
    wanted = _FIRST_BYTES
    while True:
        if time.monotonic() > until:
            raise BadInput(message("hub.slow", "{name} did not answer in time", name=urlsplit(url).netloc))
        content = _start(client, url, min(wanted, part.bytes), repository)
        path = folder / Path(part.path).name
        path.write_bytes(content)
        os.truncate(path, part.bytes)
        end = header_bytes(path, len(content))
        if end is not None:
            return
        if wanted >= min(_MOST_HEADER_BYTES, part.bytes):
            problem = message(
                "hub.gguf-header", "{name}: its header does not end within its first bytes", name=part.path
            )
            raise BadInput(problem, sentence("hub-gguf.file-damaged-gguf", "the file is damaged, or no GGUF file"))
        wanted *= 4


def _start(client: httpx.Client, url: str, count: int, repository: str) -> bytes:
    """The first `count` bytes of what lies at `url`; a hub that ignores the range is not read further."""
    import httpx

    try:
        with client.stream("GET", url, headers={"Range": f"bytes=0-{count - 1}"}) as response:
            if response.status_code >= 400:
                raise _refused(response.status_code, repository)
            body = bytearray()
            for chunk in response.iter_bytes():
                body += chunk
                if len(body) >= count:
                    break
    except httpx.HTTPError as error:
        text = "{host} gives no answer ({error})"
        raise BadInput(
            message("hub.broken", text, host=urlsplit(url).netloc, error=type(error).__name__),
            sentence("hub-gguf.set-hf-endpoint", "set HF_ENDPOINT to a mirror, or name the model by the catalogue"),
        ) from error
    return bytes(body[:count])


def _refused(status: int, repository: str) -> BadInput:
    if status in (401, 403):
        text = "{name} is given only to those who have agreed to its terms (HTTP {status})"
        return BadInput(
            message("hub.gated", text, name=repository, status=status), message("hub.gated.hint", "set HF_TOKEN")
        )
    if status == 429:
        text = "the hub has had too many requests (HTTP 429): it gives nothing of {name} now"
        return BadInput(
            message("hub.too-many", text, name=repository),
            sentence("hub-gguf.ask-again-later", "ask again later, or set HF_TOKEN"),
        )
    text = "the hub answers HTTP {status} for {name}"
    return BadInput(
        message("hub.http", text, status=status, name=repository), sentence("hub-gguf.check-name", "check the name")
    )
