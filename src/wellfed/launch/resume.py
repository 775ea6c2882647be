"""Files of a hub that go on where an interrupted run stopped.

The hub's client resumes within one run only (huggingface_hub 2.4 gives each process a file of its own). Here the part
keeps its place in the client's cache, and becomes the blob that the client then finds. Files in Xet storage are left
to the client, which keeps their chunks by itself.
"""

from __future__ import annotations

import fcntl
import hashlib
import re
import time
from importlib import import_module
from pathlib import Path
from typing import IO, Any

import httpx

from wellfed.errors import WellfedError

_TRIES = 5  # without a byte of progress
_TIMEOUT_S = 30.0


def blobs_folder(cache: Path, repository: str) -> Path:
    """Where the client keeps a repository's contents, named by their checksums."""
    return cache / f"models--{repository.replace('/', '--')}" / "blobs"


def continued(repository: str, name: str, cache: Path, endpoint: str) -> bool:
    """Put the file's content into the cache, checked; whether it was done, or is for the client to do.

    Raises WellfedError when what came is not what was published, and the HTTP client's errors.
    """
    from huggingface_hub import get_hf_file_metadata, hf_hub_url

    url, headers = hf_hub_url(repository, name, endpoint=endpoint), _utilities().build_hf_headers()
    about = get_hf_file_metadata(url)
    if getattr(about, "xet_file_data", None) is not None or not about.etag or not about.size:
        return False
    folder = blobs_folder(cache, repository)
    folder.mkdir(parents=True, exist_ok=True)
    blob, part = folder / about.etag, folder / f"{about.etag}.part"
    if blob.exists():
        return False
    with part.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # another run fetches the same: wait for it
        if blob.exists():
            part.unlink(missing_ok=True)
            return True
        _fill(file, url, headers, about.size, name)
        ensure_published(part, about.etag, name)
        part.replace(blob)
    return True


def ensure_published(path: Path, sha256: str, name: str) -> None:
    """Raises WellfedError, and deletes the file, when its checksum is not `sha256`; nothing for one that is none."""
    if not re.fullmatch(r"[0-9a-f]{64}", sha256):
        return
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != sha256:
        path.resolve().unlink(missing_ok=True)
        path.unlink(missing_ok=True)
        hint = "it is deleted; run it again, with another HF_ENDPOINT if this one is a mirror"
        raise WellfedError(f"{name} is not what was published: its checksum differs", hint)


def _fill(file: IO[bytes], url: str, headers: dict[str, str], size: int, name: str) -> None:
    """Append until there are `size` bytes; broken connections are taken up again while they bring anything."""
    tries = _TRIES
    with _utilities().tqdm(total=size, initial=file.tell(), unit="B", unit_scale=True, desc=name) as bar:
        while file.tell() < size:
            before = file.tell()
            try:
                _append(file, url, headers, bar)
            except httpx.TransportError:
                tries = _TRIES if file.tell() > before else tries - 1
                if not tries:
                    raise
                time.sleep(1)
                continue
            if file.tell() == before:
                raise WellfedError(f"the hub sends no more of {name}", "run it again later")
    if file.tell() > size:
        file.truncate(0)  # of an older version, or of somebody else's making
        raise WellfedError(f"{name} became longer than it is", "it is deleted; run it again")


def _utilities() -> Any:
    return import_module("huggingface_hub.utils")


def _append(file: IO[bytes], url: str, headers: dict[str, str], bar: Any) -> None:
    wanted = {**headers, "Range": f"bytes={file.tell()}-", "Accept-Encoding": "identity"}
    with httpx.stream("GET", url, headers=wanted, timeout=_TIMEOUT_S, follow_redirects=True) as response:
        response.raise_for_status()
        if response.status_code != httpx.codes.PARTIAL_CONTENT:
            file.truncate(0)
            file.seek(0)
        try:
            for chunk in response.iter_raw():
                file.write(chunk)
                bar.update(len(chunk))
        finally:
            file.flush()
