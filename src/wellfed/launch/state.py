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
from enum import StrEnum
from pathlib import Path
from typing import Any, get_type_hints
from urllib.parse import urlsplit

from wellfed import plain_file
from wellfed.errors import BadInput, WellfedError
from wellfed.frozen import dataclass
from wellfed.launch import identity
from wellfed.launch.folder import folder as folder
from wellfed.launch.folder import locked, made_folder, write_new, write_over
from wellfed.message import Listing, Message, message
from wellfed.printable import printable

_MOST_BYTES = 256 * 1024
_NAME_BYTES = 120
_MOST_KEY_BYTES = 4096
_STALE_DRAFT_S = 3600


class Phase(StrEnum):
    """Where an engine's life stands."""

    STARTING = "starting"
    LOADING = "loading"
    SERVING = "serving"
    STOPPING = "stopping"
    ENDED = "ended"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Running:
    """One engine that wellfed started, as its file has it.

    `pid` is None until a process is there, and leads a process group of its own. `ticks` (its start in clock ticks
    since the boot), `boot`, `namespace` and `machine` say which process is meant, whatever the clock was set to;
    `started` is for people. `keeper` is the wellfed that starts it. `token` tells two launches of one name apart.
    """

    name: str
    pid: int | None = None
    started: float = 0.0
    url: str = ""
    model: str = ""
    engine: str = ""
    command: str = ""
    log: str = ""
    shared: tuple[str, ...] = ()  # files in /dev/shm that its processes map
    phase: Phase = Phase.STARTING
    since: float = 0.0
    token: str = ""
    ticks: int = 0
    boot: str = ""
    namespace: str = ""
    machine: str = ""
    keeper: int = 0
    keeper_ticks: int = 0
    health: str = "/health"
    key_file: str = ""  # of a key that wellfed made

    @property
    def status(self) -> Phase:
        """The phase held against the machine as it is now."""
        if self._why_lost() is not None:
            return Phase.LOST
        if self._elsewhen():
            return Phase.ENDED
        if self.pid is None:
            return self.phase if self.kept else Phase.ENDED
        process = self.process()
        if process is not None and process.runs:
            return Phase.SERVING if self.phase in (Phase.ENDED, Phase.STARTING) else self.phase
        return Phase.ENDED

    @property
    def alive(self) -> bool:
        """Whether that very process runs."""
        return self.pid is not None and self.status in (Phase.LOADING, Phase.SERVING, Phase.STOPPING)

    @property
    def kept(self) -> bool:
        """Whether the wellfed that started it is still there."""
        return self._is(self.keeper, self.keeper_ticks)

    @property
    def why_lost(self) -> Message | None:
        """Why nothing can be said of it here."""
        return self._why_lost()

    def process(self) -> identity.Stat | None:
        """The very process, running or not yet reaped; None when it is no more."""
        if self.pid is None or self._elsewhen():
            return None
        process = identity.stat(self.pid)
        return process if process is not None and self._same(process) else None

    def outlived_by(self) -> tuple[int, ...]:
        """Processes of its session that run on without it, its own or, once pids have come round, somebody's."""
        if self.pid is None or self._elsewhen() or self._why_lost() is not None:
            return ()
        stranger = identity.stat(self.pid)
        if stranger is not None and not self._same(stranger):
            return ()
        group = [process for process in identity.members(self.pid) if process.pid != self.pid]
        return tuple(process.pid for process in group if process.session == self.pid and process.ticks >= self.ticks)

    def left_behind(self) -> tuple[int, ...]:
        """Of those, all that are proven to be its own: by the token that one of them inherited."""
        group = self.outlived_by()
        return group if any(identity.is_marked(pid, self.token) for pid in group) else ()

    def _same(self, process: identity.Stat) -> bool:
        return self.ticks > 0 and process.ticks == self.ticks

    def _is(self, pid: int, ticks: int) -> bool:
        try:
            process = identity.stat(pid) if pid else None
        except OSError:
            return False
        return process is not None and process.runs and process.ticks == ticks

    def _elsewhen(self) -> bool:
        """Whether this machine was started anew since: its processes are gone."""
        now = identity.here()
        return bool(self.boot and now.boot and self.boot != now.boot and self.machine == now.machine)

    def _why_lost(self) -> Message | None:
        now = identity.here()
        if self.machine != now.machine and self.boot != now.boot:
            return message("state.lost.machine", "it was started on another machine, {machine}", machine=self.machine)
        if self.boot == now.boot and self.namespace != now.namespace:
            return message("state.lost.namespace", "it was started in another container or namespace of processes")
        if self.pid is not None and not self.ticks:
            what = "its record does not tell which process {pid} it means"
            return message("state.lost.identity", what, pid=str(self.pid))
        try:
            process = identity.stat(self.pid) if self.pid is not None else None
        except OSError:
            return message("state.lost.hidden", "process {pid} may not be looked at", pid=str(self.pid))
        if process is not None and self._same(process) and not _is_ours(process.pid):
            return message("state.lost.owner", "process {pid} belongs to another user", pid=str(self.pid))
        return None


def _is_ours(pid: int) -> bool:
    """Whether this user may end it; root starts engines that give up being root."""
    return os.geteuid() == 0 or identity.owner(pid) in (None, os.geteuid())


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file among the records that tells of no engine, and why."""

    name: str
    path: str
    why: str


@dataclass(frozen=True, slots=True)
class Records:
    """All that is in the folder."""

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
    running = _checked(plain_file.read_json(path, _MOST_BYTES))
    if running.name != path.stem:
        raise ValueError(f"it calls itself {running.name!r}")
    return running


def _checked(values: Any) -> Running:
    """Strictly: every field of its type, every pid one that may be signalled."""
    if not isinstance(values, dict):
        raise ValueError("it holds no object")
    hints = get_type_hints(Running)
    strange = sorted(set(values) - set(hints))
    if strange:
        raise ValueError(f"it has a field {strange[0]!r}")
    found: dict[str, Any] = {}
    for name, value in values.items():
        found[name] = _typed(name, hints[name], value)
    if "name" not in found or not found["name"]:
        raise ValueError("it has no name")
    for name in ("pid", "keeper"):
        pid = found.get(name)
        if pid is not None and not (name == "keeper" and pid == 0) and not 1 < pid < 2**31:
            raise ValueError(f"its {name} is {pid}")
    if found.get("pid") in (os.getpid(), os.getpgrp()):
        raise ValueError("its pid is that of this very command")
    return Running(**found)


def _typed(name: str, hint: Any, value: Any) -> Any:
    if hint is Phase:
        return Phase(value)
    if name == "shared" and isinstance(value, list) and all(isinstance(item, str) for item in value):
        return tuple(value)
    if hint is float and type(value) in (int, float) and 0 <= value < 1e12:
        return float(value)
    if (hint is str and type(value) is str) or (hint is int and type(value) is int and value >= 0):
        return value
    if name == "pid" and (value is None or type(value) is int):
        return value
    raise ValueError(f"its {name} is {value!r}"[:200])


def find(name: str) -> Running:
    """One by its name. Raises BadInput with the names there are."""
    everything = records()
    known = {running.name: running for running in everything.running}
    if name in known:
        return known[name]
    for bad in everything.unreadable:
        if bad.name == name:
            raise refused(bad)
    hint = (
        message("state.there-are", "running: {names}", names=Listing(tuple(known)))
        if known
        else message("state.there-is-none", "nothing is running: `wellfed ps`")
    )
    raise BadInput(message("state.no-engine", "no engine named {name}", name=repr(name)), hint)


def refused(bad: Unreadable) -> BadInput:
    """A record that cannot be read, and so cannot be acted on."""
    hint = message("state.unreadable.hint", "look for the process yourself (`ps aux`), then remove the file")
    what = "{path} is no record of an engine: {why}; nothing was touched"
    return BadInput(message("state.unreadable", what, path=bad.path, why=bad.why), hint)


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
    """Somebody ended it before it served."""
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
            for left in (running.key_file, str(path.with_suffix(".key.yaml"))):
                if left and Path(left).parent == folder():
                    _removed(Path(left))
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
        mine = modes.S_ISREG(about.st_mode) and about.st_uid == os.geteuid()
        return plain_file.read_text(path, _MOST_KEY_BYTES).strip() or None if mine else None
    except (OSError, WellfedError):
        return None


def key_at(url: str) -> str | None:
    """The key of the engine of ours that runs and listens at exactly this address: nobody else hears it."""
    try:
        wanted = _address(url)
    except ValueError:
        return None
    at_it = (running for running in listed() if running.key_file and _address(running.url) == wanted and running.alive)
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
