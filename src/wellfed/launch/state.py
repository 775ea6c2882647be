"""What was started: one small JSON file per engine under the user's state folder, written before each act.

A life is `starting` (a name is taken), `loading` (a process is there), `serving`, `stopping`; a process that is no more
has `ended`. `lost`: what the record says cannot be held against this machine, so that nothing is claimed and nothing
is touched. The file is replaced whole, and is on the disk before what it tells of happens.
"""

from __future__ import annotations

import json
import os
import secrets
import stat as modes
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from wellfed import plain_file
from wellfed.errors import BadInput, WellfedError
from wellfed.frozen import dataclass
from wellfed.launch import identity
from wellfed.launch.folder import folder as folder
from wellfed.launch.folder import locked, made_folder, write_new, write_over
from wellfed.launch.life import Phase, Running, checked
from wellfed.message import Listing, message
from wellfed.printable import printable

_MOST_BYTES = 256 * 1024  # of a record; they have some kB
_NAME_BYTES = 120  # of an engine's name: file systems take 255 with what is put behind it
_MOST_KEY_BYTES = 4096  # of a file with an API key
_STALE_DRAFT_S = 3600  # after which a draft is somebody's who was killed while writing


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file among the records that tells of no engine, and why."""

    name: str
    path: str
    why: str


@dataclass(frozen=True, slots=True)
class Records:
    """Every engine's record in the state folder, and the files that are none."""

    running: tuple[Running, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()


def records() -> Records:
    """Everything remembered, alive or not, and what could not be read. Nothing is made or changed."""
    base = folder()
    running: list[Running] = []
    bad: list[Unreadable] = []
    try:
        paths = sorted(path for path in base.iterdir() if path.suffix == ".json" and not path.name.startswith("."))
    except OSError:
        paths = []
    for path in paths:
        try:
            running.append(_read(path))
        except FileNotFoundError:
            continue  # forgotten meanwhile
        except (WellfedError, OSError, ValueError) as error:
            bad.append(Unreadable(path.stem, str(path), printable(str(error), 300)))
    return Records(tuple(running), tuple(bad))


def listed() -> Iterator[Running]:
    """Everything remembered, alive or not; files that tell nothing are passed over."""
    yield from records().running


def unreadable() -> tuple[Unreadable, ...]:
    """Files among the records that tell nothing."""
    return records().unreadable


def _read(path: Path) -> Running:
    """The record in `path`. Raises ValueError, BadInput or OSError for what is none of ours."""
    about = path.lstat()
    if not modes.S_ISREG(about.st_mode):
        raise ValueError("it is not an ordinary file")
    if about.st_uid != os.geteuid():
        raise ValueError("it belongs to another user")
    running = checked(plain_file.read_json(path, _MOST_BYTES))
    if running.name != path.stem:
        raise ValueError(f"it calls itself {running.name!r}")
    return running


def find(name: str) -> Running:
    """The engine of that name. Raises BadInput with the names there are."""
    everything = records()
    by_name = {running.name: running for running in everything.running}
    if name in by_name:
        return by_name[name]
    for bad in everything.unreadable:
        if bad.name == name:
            raise refused(bad)
    hint = (
        message("state.there-are", "running: {names}", names=Listing(tuple(by_name)))
        if by_name
        else message("state.there-is-none", "nothing is running: `wellfed ps`")
    )
    raise BadInput(message("state.no-engine", "no engine named {name}", name=repr(name)), hint)


def refused(bad: Unreadable) -> BadInput:
    """The refusal to act on a record that cannot be read."""
    hint = message("state.unreadable.hint", "look for the process yourself (`ps aux`), then remove the file")
    template = "{path} is no record of an engine: {why}; nothing was touched"
    return BadInput(message("state.unreadable", template, path=bad.path, why=bad.why), hint)


def named_after(model: str) -> str:
    """A model's name as a file's: letters, digits, dots and dashes."""
    base = "".join(c if c.isalnum() or c in "-._" else "-" for c in printable(model)).strip("-.") or "engine"
    return base.encode("utf-8", "replace")[:_NAME_BYTES].decode("utf-8", "ignore").rstrip("-.") or "engine"


def reserve(model: str, **about: Any) -> Running:
    """A record of its own in the phase `starting`, on the disk: its name is nobody else's until it is forgotten.

    Named after the model, numbered where that is taken. Raises BadInput where it cannot be written.
    """
    made_folder()
    _sweep()
    base = named_after(model)
    for number in range(1, 10_000):
        name = base if number == 1 else f"{base}-{number}"
        running = _reserved(name, model, about)
        if running is not None:
            return running
    raise BadInput(message("state.no-name", "ten thousand engines are named {name}", name=base))


def _reserved(name: str, model: str, about: dict[str, Any]) -> Running | None:
    path = folder() / f"{name}.json"
    if _taken(path):
        return None
    place, me = identity.here(), identity.stat(os.getpid())
    running = Running(
        name=name,
        model=model,
        since=time.time(),
        token=secrets.token_hex(16),
        boot=place.boot,
        namespace=place.namespace,
        machine=place.machine,
        keeper=os.getpid(),
        keeper_ticks=me.ticks if me else 0,
        log=str(folder() / f"{name}.log"),
        **about,
    )
    with locked(name):
        if _taken(path):
            return None
        if path.exists():
            write_over(path, _text(running))  # of one that has ended
            return running
        return running if write_new(path, _text(running)) else None


def _taken(path: Path) -> bool:
    """Whether the name stands for something that may live: what cannot be read may, too."""
    try:
        running = _read(path)
    except FileNotFoundError:
        return False
    except (WellfedError, OSError, ValueError):
        return True
    return running.status is not Phase.ENDED or bool(running.outlived_by())


class Superseded(WellfedError):
    """The record is another launch's by now, or was told to stop, or is gone."""

    kind = "stopped"


def advance(running: Running, phase: Phase, **changes: Any) -> Running:
    """The record in its next phase, on the disk when this returns. Raises Superseded, and BadInput when it cannot be.

    Nothing leaves `stopping`, and nobody writes over another launch's record.
    """
    path = folder() / f"{running.name}.json"
    with locked(running.name):
        current = _current(path)
        if current is None or current.token != running.token:
            raise Superseded(message("state.superseded", "{name} was forgotten while it started", name=running.name))
        if current.phase is Phase.STOPPING and phase is not Phase.STOPPING:
            raise stopped(running)
        after = replace(current, phase=phase, since=time.time(), **changes)
        write_over(path, _text(after))
        return after


def stopped(running: Running) -> Superseded:
    """The error of a launch that somebody ended before it served."""
    return Superseded(message("state.stopped", "{name} was stopped while it started", name=running.name))


def _current(path: Path) -> Running | None:
    try:
        return _read(path)
    except (WellfedError, OSError, ValueError):
        return None


def is_stopping(running: Running) -> bool:
    """Whether somebody asked for its end, or has forgotten it."""
    current = _current(folder() / f"{running.name}.json")
    return current is None or current.token != running.token or current.phase is Phase.STOPPING


def forget(running: Running) -> None:
    """Forget it, and the key that was made for it; its log stays. A later launch of that name is left alone.

    Where the disk refuses, the record stays: it tells of an engine that has ended, and its name can be taken.
    """
    path = folder() / f"{running.name}.json"
    with locked(running.name, remove=True):
        current = _current(path)
        if current is not None and current.token == running.token:
            for key_file in (running.key_file, str(path.with_suffix(".key.yaml"))):
                if key_file and Path(key_file).parent == folder():
                    _removed(Path(key_file))
            _removed(path)


def _removed(path: Path) -> None:
    with suppress(OSError):
        path.unlink(missing_ok=True)


def key_of(running: Running) -> str | None:
    """The key that wellfed made for it; None where it made none, or somebody has put something else in its place."""
    path = folder() / f"{running.name}.key"
    if running.key_file != str(path):
        return None
    try:
        about = path.lstat()
        is_own = modes.S_ISREG(about.st_mode) and about.st_uid == os.geteuid()
        return plain_file.read_text(path, _MOST_KEY_BYTES).strip() or None if is_own else None
    except (OSError, WellfedError):
        return None


def key_at(url: str) -> str | None:
    """The key of the engine of ours that runs and listens at exactly this address: nobody else hears it."""
    try:
        address = _address(url)
    except ValueError:
        return None
    at_it = (running for running in listed() if running.key_file and _address(running.url) == address and running.alive)
    return next((key_of(running) for running in at_it), None)


def _address(url: str) -> tuple[str, str, int | None]:
    """Scheme, host and port; this machine's loopback by one name. Raises ValueError for no address."""
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    return parts.scheme, "127.0.0.1" if host == "localhost" else host, parts.port


def _text(running: Running) -> str:
    return json.dumps(asdict(running), indent=1)


def _sweep() -> None:
    """Drafts of those that were killed while they wrote."""
    for draft in folder().glob(".*.tmp"):
        with suppress(OSError):
            if time.time() - draft.lstat().st_mtime > _STALE_DRAFT_S:
                draft.unlink()
