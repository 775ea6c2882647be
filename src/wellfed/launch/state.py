"""What is running: one small JSON file per engine under the user's state folder."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from wellfed.errors import BadInput


@dataclass(frozen=True, slots=True)
class Running:
    """One engine that wellfed started. `started` is the process's own start time: a reused pid is not ours."""

    name: str
    pid: int
    started: float
    url: str
    model: str
    engine: str
    command: str
    log: str
    shared: tuple[str, ...] = ()  # files in /dev/shm that its processes map

    @property
    def alive(self) -> bool:
        """Whether that very process still runs."""
        try:
            status: str = psutil.Process(self.pid).status()
            return self.owns_pid and status != "zombie"
        except psutil.Error:
            return False

    @property
    def owns_pid(self) -> bool:
        """Whether the pid is that process's, running or not yet reaped, or nobody's: no stranger has it now."""
        try:
            began: float = psutil.Process(self.pid).create_time()
            return abs(began - self.started) < 1.0
        except psutil.NoSuchProcess:
            return True
        except psutil.Error:
            return False


def folder() -> Path:
    """$XDG_STATE_HOME/wellfed; made on first use."""
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    path = Path(base) / "wellfed"
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"cannot write {path}: {error.strerror}", "set XDG_STATE_HOME to a writable folder") from error
    return path


def save(running: Running) -> None:
    """Remember it, atomically."""
    path = folder() / f"{running.name}.json"
    draft = path.with_suffix(".tmp")
    draft.write_text(json.dumps(asdict(running), indent=1))
    draft.replace(path)


def forget(name: str) -> None:
    """Forget it; its log stays."""
    (folder() / f"{name}.json").unlink(missing_ok=True)


def listed() -> Iterator[Running]:
    """Everything remembered, alive or not; unreadable files are passed over."""
    for path in sorted(folder().glob("*.json")):
        try:
            yield Running(**json.loads(path.read_text()))
        except (OSError, ValueError, TypeError):
            continue


def find(name: str) -> Running:
    """One by its name. Raises BadInput with the names there are."""
    known = {running.name: running for running in listed()}
    if name not in known:
        hint = f"running: {', '.join(known)}" if known else "nothing is running: `wellfed ps`"
        raise BadInput(f"no engine named {name!r}", hint)
    return known[name]


def fresh_name(model: str) -> str:
    """The model's id, numbered when taken by one that is alive."""
    base = "".join(c if c.isalnum() or c in "-._" else "-" for c in model).strip("-.") or "engine"
    taken = {running.name for running in listed() if running.alive}
    numbered = (f"{base}-{n}" for n in range(2, 10_000))
    return base if base not in taken else next(name for name in numbered if name not in taken)
