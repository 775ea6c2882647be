"""One engine's life: its phases, its record, and what this machine says of it now."""

from __future__ import annotations

import os
from enum import StrEnum
from typing import Any, get_type_hints

from wellfed.frozen import dataclass
from wellfed.launch import identity
from wellfed.launch.folder import folder as folder
from wellfed.message import Message, message


class Phase(StrEnum):
    """Phases of an engine's life, in their order."""

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
            return self.phase if self.keeper_alive else Phase.ENDED
        process = self.process()
        if process is not None and process.runs:
            return Phase.SERVING if self.phase in (Phase.ENDED, Phase.STARTING) else self.phase
        return Phase.ENDED

    @property
    def alive(self) -> bool:
        """Whether that very process runs."""
        return self.pid is not None and self.status in (Phase.LOADING, Phase.SERVING, Phase.STOPPING)

    @property
    def keeper_alive(self) -> bool:
        """Whether the wellfed that started it is still there."""
        return self._is_same_process(self.keeper, self.keeper_ticks)

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

    def _is_same_process(self, pid: int, ticks: int) -> bool:
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
            template = "its record does not tell which process {pid} it means"
            return message("state.lost.identity", template, pid=str(self.pid))
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


def checked(values: Any) -> Running:
    """A record's JSON as a Running. Raises ValueError for a field of another type or a pid that is none to signal."""
    if not isinstance(values, dict):
        raise ValueError("it holds no object")
    hints = get_type_hints(Running)
    strange = sorted(set(values) - set(hints))
    if strange:
        raise ValueError(f"it has a field {strange[0]!r}")
    fields: dict[str, Any] = {}
    for name, value in values.items():
        fields[name] = _typed(name, hints[name], value)
    if "name" not in fields or not fields["name"]:
        raise ValueError("it has no name")
    for name in ("pid", "keeper"):
        pid = fields.get(name)
        if pid is not None and not (name == "keeper" and pid == 0) and not 1 < pid < 2**31:
            raise ValueError(f"its {name} is {pid}")
    if fields.get("pid") in (os.getpid(), os.getpgrp()):
        raise ValueError("its pid is that of this very command")
    return Running(**fields)


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
