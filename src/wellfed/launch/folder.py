"""The state folder: files of their owner alone, replaced whole, on the disk before anything builds on them."""

from __future__ import annotations

import fcntl
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from wellfed.errors import BadInput, WellfedError
from wellfed.homes import NOWHERE, under_home
from wellfed.message import message

_OWNER_ALONE = 0o600
_PATIENCE_S = 15.0  # that a lock of another wellfed is waited for (assumed)


def folder() -> Path:
    """$XDG_STATE_HOME/wellfed; nothing is made. Where there is no home, a folder that is never there."""
    base = os.environ.get("XDG_STATE_HOME")
    return (Path(base) if base else under_home(".local", "state")) / "wellfed"


def made_folder() -> Path:
    """The state folder, made where it is missing. Raises BadInput where it cannot be made."""
    path = folder()
    if path.is_relative_to(NOWHERE):
        why = message("state.no-home", "this user has no home folder to keep state in")
        raise BadInput(why, message("state.no-home.hint", "set XDG_STATE_HOME to a folder of your own"))
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(path, error) from error
    return path


def write_new(path: Path, text: str) -> bool:
    """Write a file that is not there; whether it was not. It appears whole or not at all."""
    draft = _draft(path, text)
    try:
        os.link(draft, path)
    except FileExistsError:
        return False
    except OSError as error:
        return _without_links(path, text, error)
    finally:
        with suppress(OSError):  # swept later
            draft.unlink(missing_ok=True)
    _settle(path.parent)
    return True


def _without_links(path: Path, text: str, why: OSError) -> bool:
    """On file systems without hard links: taken first, filled at once."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _OWNER_ALONE)
    except FileExistsError:
        return False
    except OSError as error:
        raise unwritable(path, error) from why
    os.close(descriptor)
    write_over(path, text)
    return True


def write_over(path: Path, text: str) -> None:
    """Replace a file whole. Raises BadInput where the disk refuses; the file is as it was then."""
    draft = _draft(path, text)
    try:
        draft.replace(path)
    except OSError as error:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        raise unwritable(path, error) from error
    _settle(path.parent)


def _draft(path: Path, text: str) -> Path:
    draft = path.with_name(f".{path.stem[:100]}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _OWNER_ALONE)
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="replace") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        raise unwritable(path, error) from error
    return draft


def _settle(folder_path: Path) -> None:
    """The folder's own entry on the disk, where its file system can."""
    with suppress(OSError):
        descriptor = os.open(folder_path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def locked(name: str, remove: bool = False, patience_s: float = _PATIENCE_S) -> Iterator[None]:
    """Alone with the record `name`; with `remove`, its lock goes at the end. Raises WellfedError after `patience_s`.

    A disk without room for the lock's own entry stops nobody: a record can then only be removed.
    """
    path = folder() / f".{name}.lock"
    descriptor = _lock(path, time.monotonic() + patience_s)
    if descriptor is None:
        yield
        return
    try:
        yield
        if remove:
            with suppress(OSError):
                path.unlink(missing_ok=True)
    finally:
        os.close(descriptor)


def _lock(path: Path, until: float) -> int | None:
    while True:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, _OWNER_ALONE)
        except OSError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _still(path, descriptor):
                return descriptor
        except BlockingIOError:
            pass
        except OSError:
            os.close(descriptor)
            return None  # a file system without locks
        os.close(descriptor)
        if time.monotonic() > until:
            hint = message("state.busy.hint", "look for it: `ps aux | grep wellfed`; it may be stopped (Ctrl-Z)")
            raise WellfedError(message("state.busy", "another wellfed holds {name}", name=path.name), hint)
        time.sleep(0.005)


def _still(path: Path, descriptor: int) -> bool:
    """Whether what was locked is what others would lock: its file may have been removed meanwhile."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def unwritable(path: Path, error: OSError) -> BadInput:
    """The refusal to raise where the state folder cannot be written."""
    hint = message("state.unwritable.hint", "free some space, or set XDG_STATE_HOME to a writable folder")
    why = message("state.unwritable", "cannot write {path}: {why}", path=str(path), why=error.strerror or str(error))
    return BadInput(why, hint)
