"""What a hub's client says when it fails, in one line with what to do."""

from __future__ import annotations

import errno
import os

from wellfed.errors import WellfedError
from wellfed.message import sentence

HUGGING_FACE = "https://huggingface.co"
MIRRORS = sentence(
    "hub-errors.mirror-may-hf",
    "a mirror may: HF_ENDPOINT=https://hf-mirror.com, or --hub modelscope; or give a local file",
)


def endpoint() -> str:
    """The hub's address that the Hugging Face client asks: HF_ENDPOINT, else huggingface.co."""
    return os.environ.get("HF_ENDPOINT") or HUGGING_FACE


def explained(repository: str, error: Exception, hub: str = "huggingface") -> WellfedError:
    """What a hub client's exception means, as an error of ours with what to do."""
    if isinstance(error, WellfedError):
        return error
    if isinstance(error, OSError) and (of_disk := _of_disk(error)) is not None:
        return of_disk
    name, status = type(error).__name__, _status(error)
    if name == "GatedRepoError" or status == 403:
        return _gated(repository)
    if name in ("RepositoryNotFoundError", "EntryNotFoundError", "RevisionNotFoundError") and status != 401:
        status = 404
    return unreachable(repository, name, hub) if status is None else _answered(repository, status)


def _of_disk(error: OSError) -> WellfedError | None:
    """A disk that is full, or a cache folder that is another's."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return WellfedError(
            sentence("hub-errors.disk-filled-up", "the disk filled up: {strerror}", strerror=error.strerror),
            sentence("hub-errors.free-some-space", "free some space and run it again: it goes on"),
        )
    if error.errno in (errno.EACCES, errno.EROFS, errno.EPERM):
        place = error.filename or sentence("hub-errors.hub-cache", "the hub's cache")
        return WellfedError(
            sentence("hub-errors.may-write", "may not write {where}: {strerror}", where=place, strerror=error.strerror),
            sentence("hub-errors.point-hf-home", "point HF_HOME at a folder of your own"),
        )
    return None


def _gated(repository: str) -> WellfedError:
    hint = sentence(
        "hub-errors.ask-access-page",
        "ask for access on its page ({endpoint}/{repository}), then set HF_TOKEN",
        endpoint=endpoint(),
        repository=repository,
    )
    text = sentence(
        "hub-errors.gated-owner-must", "{repository} is gated: its owner must let you in", repository=repository
    )
    return WellfedError(text, hint)


def _answered(repository: str, status: int) -> WellfedError:
    """A hub that answers with an HTTP error."""
    if status == 401:
        return WellfedError(
            sentence(
                "hub-errors.there-everybody-401",
                "{repository} is not there, or not for everybody (401)",
                repository=repository,
            ),
            sentence(
                "hub-errors.check-name-private",
                "check the name; a private or gated one needs HF_TOKEN. Another repository is named by --repo",
            ),
        )
    if status == 404:
        return WellfedError(
            sentence("hub-errors.hub", "{repository} is not on the hub", repository=repository),
            sentence("hub-errors.check-name-another", "check the name; another is given by --repo"),
        )
    return WellfedError(
        sentence(
            "hub-errors.hub-answers", "the hub answers {status} for {repository}", status=status, repository=repository
        ),
        sentence("hub-errors.try-again-later", "try again later; {mirrors}", mirrors=MIRRORS),
    )


def unreachable(repository: str, why: str = "", hub: str = "huggingface") -> WellfedError:
    """The error for a hub of which nobody answers."""
    reason = f" ({why})" if why else ""
    if hub == "modelscope":
        hint = sentence("hub-errors.try-again-take", "try again, take --hub huggingface, or give a local file")
        return WellfedError(
            sentence(
                "hub-errors.cannot-reach",
                "cannot reach {repository} on ModelScope{reason}",
                repository=repository,
                reason=reason,
            ),
            hint,
        )
    return WellfedError(
        sentence(
            "hub-errors.cannot-reach-hub",
            "cannot reach {repository} on the hub: {endpoint} does not answer{reason}",
            repository=repository,
            endpoint=endpoint(),
            reason=reason,
        ),
        MIRRORS,
    )


def _status(error: BaseException) -> int | None:
    """The HTTP status behind it, of the client's own errors and of those that they wrap."""
    cause: BaseException | None = error
    while cause is not None:
        status = getattr(getattr(cause, "response", None), "status_code", None) or getattr(cause, "status_code", None)
        if isinstance(status, int):
            return status
        cause = cause.__cause__
    return None
