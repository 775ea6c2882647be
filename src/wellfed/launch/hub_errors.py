"""What a hub's client says when it fails, in one line with what to do."""

from __future__ import annotations

import errno
import os

from wellfed.errors import WellfedError

HUGGING_FACE = "https://huggingface.co"
MIRRORS = "a mirror may: HF_ENDPOINT=https://hf-mirror.com, or --hub modelscope; or give a local file"


def endpoint() -> str:
    """Where the Hugging Face client asks."""
    return os.environ.get("HF_ENDPOINT") or HUGGING_FACE


def explained(repository: str, error: Exception, hub: str = "huggingface") -> WellfedError:
    """The failure of a listing or a download."""
    if isinstance(error, WellfedError):
        return error
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return WellfedError(f"the disk filled up: {error.strerror}", "free some space and run it again: it goes on")
    if isinstance(error, OSError) and error.errno in (errno.EACCES, errno.EROFS, errno.EPERM):
        where = error.filename or "the hub's cache"
        return WellfedError(f"may not write {where}: {error.strerror}", "point HF_HOME at a folder of your own")
    name, status = type(error).__name__, _status(error)
    if name == "GatedRepoError" or status == 403:
        hint = f"ask for access on its page ({endpoint()}/{repository}), then set HF_TOKEN"
        return WellfedError(f"{repository} is gated: its owner must let you in", hint)
    if status == 401:
        hint = "check the name; a private or gated one needs HF_TOKEN. Another repository is named by --repo"
        return WellfedError(f"{repository} is not there, or not for everybody (401)", hint)
    if name in ("RepositoryNotFoundError", "EntryNotFoundError", "RevisionNotFoundError") or status == 404:
        return WellfedError(f"{repository} is not on the hub", "check the name; another is given by --repo")
    if status is not None:
        return WellfedError(f"the hub answers {status} for {repository}", f"try again later; {MIRRORS}")
    return unreachable(repository, name, hub)


def unreachable(repository: str, why: str = "", hub: str = "huggingface") -> WellfedError:
    """Nobody answers."""
    reason = f" ({why})" if why else ""
    if hub == "modelscope":
        hint = "try again, take --hub huggingface, or give a local file"
        return WellfedError(f"cannot reach {repository} on ModelScope{reason}", hint)
    return WellfedError(f"cannot reach {repository} on the hub: {endpoint()} does not answer{reason}", MIRRORS)


def _status(error: BaseException) -> int | None:
    """The HTTP status behind it, of the client's own errors and of those that they wrap."""
    seen: BaseException | None = error
    while seen is not None:
        found = getattr(getattr(seen, "response", None), "status_code", None) or getattr(seen, "status_code", None)
        if isinstance(found, int):
            return found
        seen = seen.__cause__
    return None
