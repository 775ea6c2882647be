"""Files of a hub that go on where an interrupted run stopped.

The hub's client resumes within one run only (huggingface_hub 2.4 gives each process a file of its own). Here the part
keeps its place in the client's cache, and becomes the blob that the client then finds. Files in Xet storage are left
to the client, which keeps their chunks by itself, where the hub is Hugging Face's own.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import time
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import IO, Any

import httpx

from wellfed.errors import WellfedError
from wellfed.launch.hub_errors import HUGGING_FACE
from wellfed.message import Message, message, sentence
from wellfed.plain_file import read_text
from wellfed.printable import printable

_HASH = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")  # SHA-1 of git, SHA-256
_SHA256 = 64
_TRIES = 5  # without a byte of progress
_TIMEOUT_S = 30.0


def blobs_folder(cache: Path, repository: str) -> Path:
    """Where the client keeps a repository's contents, named by their checksums."""
    return cache / f"models--{repository.replace('/', '--')}" / "blobs"


def fetched(repository: str, name: str, cache: Path, endpoint: str, size_bytes: int | None = None) -> Path | None:
    """The file in the cache, its content checked; None where it is for the client to fetch (Xet, of the hub itself).

    What a hub says is held against what it said before (`size_bytes`, of its listing), and becomes part of a path only
    where it is a checksum. Raises WellfedError when what came is not what was published, and the HTTP client's errors.
    """
    from huggingface_hub import get_hf_file_metadata, hf_hub_url

    ensure_name(name)
    url, headers = hf_hub_url(repository, name, endpoint=endpoint), _utilities().build_hf_headers()
    about = get_hf_file_metadata(url)
    etag, commit = about.etag or "", about.commit_hash or ""
    if not _HASH.fullmatch(etag) or not _HASH.fullmatch(commit) or not about.size:
        raise _liar(name, message("hub.no-checksum", "it names neither its checksum nor its version as one does"))
    if size_bytes is not None and size_bytes != about.size:
        raise _liar(name, message("hub.two-sizes", "it tells two sizes of it"))
    if getattr(about, "xet_file_data", None) is not None and endpoint == HUGGING_FACE:
        return None
    folder = blobs_folder(cache, repository)
    folder.mkdir(parents=True, exist_ok=True)
    blob = folder / etag
    _fetch_blob(blob, url, headers, about.size, name)
    return _pointed(folder.parent, commit, name, blob)


def ensure_name(name: str) -> None:
    """Raises WellfedError for a path in a repository that leads out of it, or that no terminal can show."""
    parts = name.split("/")
    if not name or name.startswith("/") or {"", ".", ".."} & set(parts) or "\\" in name or printable(name) != name:
        raise _liar(printable(name, 200), message("hub.bad-path", "its path leads out of its repository"))


def _liar(name: str, why: Message) -> WellfedError:
    hint = message("hub.liar.hint", "nothing was kept of it; another HF_ENDPOINT may be honest")
    return WellfedError(
        message("hub.liar", "the hub is not to be trusted with {name}: {why}", name=name, why=why), hint
    )


def _fetch_blob(blob: Path, url: str, headers: dict[str, str], size: int, name: str) -> None:
    part = blob.with_name(f"{blob.name}.part")
    if blob.exists():
        return
    with part.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # another run fetches the same: wait for it
        if blob.exists():
            part.unlink(missing_ok=True)
            return
        _fill(file, url, headers, size, name)
        ensure_published(part, blob.name, name)
        part.replace(blob)
        _mark_checked(blob)


def _pointed(repository_folder: Path, commit: str, name: str, blob: Path) -> Path:
    """The file under its own name and version, as the client keeps it (huggingface_hub, cache layout)."""
    path = repository_folder / "snapshots" / commit / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        path.unlink(missing_ok=True)
        path.symlink_to(os.path.relpath(blob, path.parent))
    main = repository_folder / "refs" / "main"
    main.parent.mkdir(exist_ok=True)
    main.write_text(commit)
    return path


def ensure_checked_once(path: Path, sha256: str, name: str) -> None:
    """Hold a file that was at hand against its checksum, the published one or the one it is named by, once.

    Raises WellfedError, and deletes the file, when it differs: a copy that was cut or changed on this disk.
    """
    blob = path.resolve()
    expected = sha256 if _HASH.fullmatch(sha256) else blob.name
    if not _HASH.fullmatch(expected) or _checked_mark(blob) == _identity(blob):
        return
    ensure_published(path, expected, name)
    _mark_checked(blob)


def _identity(blob: Path) -> str:
    about = blob.stat()
    return f"{about.st_size} {about.st_mtime_ns} {about.st_ino}"


def _checked_mark(blob: Path) -> str:
    try:
        return read_text(blob.with_name(f"{blob.name}.checked"), 200)
    except WellfedError:
        return ""


def _mark_checked(blob: Path) -> None:
    with suppress(OSError):  # a cache that cannot be written is checked again next time
        blob.with_name(f"{blob.name}.checked").write_text(_identity(blob))


def ensure_published(path: Path, checksum: str, name: str) -> None:
    """Raises WellfedError, and deletes the file, when its checksum differs; nothing for one that is none.

    SHA-256 of the content, or git's SHA-1 of a blob (its kind and size come first), as hubs name contents.
    """
    if not _HASH.fullmatch(checksum):
        return
    if digest_of(path, checksum) != checksum:
        path.resolve().unlink(missing_ok=True)
        path.unlink(missing_ok=True)
        hint = sentence(
            "resume.deleted-run-again", "it is deleted; run it again, with another HF_ENDPOINT if this one is a mirror"
        )
        raise WellfedError(
            sentence("resume.what-published", "{name} is not what was published: its checksum differs", name=name), hint
        )


def digest_of(path: Path, like: str) -> str:
    """The checksum of a file, of the kind that `like` is."""
    with path.open("rb") as file:
        if len(like) == _SHA256:
            return hashlib.file_digest(file, "sha256").hexdigest()
        digest = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
        while piece := file.read(2**20):
            digest.update(piece)
        return digest.hexdigest()


def _fill(file: IO[bytes], url: str, headers: dict[str, str], size: int, name: str) -> None:
    """Append until there are `size` bytes; broken connections are taken up again while they bring anything."""
    tries = _TRIES
    with _utilities().tqdm(total=size, initial=file.tell(), unit="B", unit_scale=True, desc=name) as bar:
        while file.tell() < size:
            before = file.tell()
            try:
                _append(file, url, headers, size, bar)
            except httpx.TransportError:
                tries = _TRIES if file.tell() > before else tries - 1
                if not tries:
                    raise
                time.sleep(1)
                continue
            if file.tell() == before:
                raise WellfedError(
                    sentence("resume.hub-sends-more", "the hub sends no more of {name}", name=name),
                    sentence("resume.run-again-later", "run it again later"),
                )
    if file.tell() > size:
        file.truncate(0)  # of an older version, or of somebody else's making
        raise WellfedError(
            sentence("resume.became-longer", "{name} became longer than it is", name=name),
            sentence("resume.deleted-run-again-2", "it is deleted; run it again"),
        )


def _utilities() -> Any:
    return import_module("huggingface_hub.utils")


def _append(file: IO[bytes], url: str, headers: dict[str, str], size: int, bar: Any) -> None:
    """What comes from where the file ends; no more than one piece beyond its size."""
    request_headers = {**headers, "Range": f"bytes={file.tell()}-", "Accept-Encoding": "identity"}
    with httpx.stream("GET", url, headers=request_headers, timeout=_TIMEOUT_S, follow_redirects=True) as response:
        response.raise_for_status()
        if response.status_code != httpx.codes.PARTIAL_CONTENT:
            file.truncate(0)
            file.seek(0)
        try:
            for chunk in response.iter_raw():
                file.write(chunk)
                bar.update(len(chunk))
                if file.tell() > size:
                    break
        finally:
            file.flush()
