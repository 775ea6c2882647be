"""From a launch to a service that answers: started, awaited, proven, remembered; and kept up if asked."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from wellfed.engines.spec import LaunchSpec
from wellfed.errors import BadInput
from wellfed.launch import state
from wellfed.launch.key_file import forget_key
from wellfed.launch.leftovers import meeting_points, remove, shared_memory
from wellfed.launch.process import EngineFailed, EngineProcess, start, stop, wait_ready
from wellfed.launch.proof import Placement, group_placement

_BACKOFF_S = (1, 2, 5, 10, 30, 60)
_STABLE_S = 300
_LOG_ROOM_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Service:
    """A started engine with its proof."""

    running: state.Running
    engine: EngineProcess
    load_s: float
    placement: Placement


def serve(
    spec: LaunchSpec,
    model: str,
    timeout_s: float,
    detach: bool = False,
    progress: Callable[[float], None] = lambda _: None,
) -> Service:
    """Start and wait. Whatever goes wrong, nothing is left running. Raises EngineFailed, BadInput."""
    ensure_safe(spec)
    ensure_files(spec)
    name = state.fresh_name(model)
    log = state.folder() / f"{name}.log"
    _ensure_writable(log)
    engine = start(spec, log, detach)
    try:
        load_s = wait_ready(engine, timeout_s, progress)
        running = state.Running(
            name=name,
            pid=engine.pid,
            started=psutil.Process(engine.pid).create_time(),
            url=spec.endpoint.url,
            model=model,
            engine=spec.engine.value,
            command=spec.command_line(),
            log=str(log),
            shared=shared_memory(engine.pid),
        )
        service = Service(running, engine, load_s, group_placement(engine.pid))
        state.save(running)
        return service
    except BaseException:  # an interrupt as it comes up, too
        stop(engine.pid, shared=meeting_points(log))
        state.forget(name)
        raise
    finally:
        forget_key(log)


def _ensure_writable(log: Path) -> None:
    """An empty log, on a disk with room for more. Raises BadInput where there is none: an engine dies of it."""
    try:
        log.touch(0o600)
        log.write_bytes(bytes(_LOG_ROOM_BYTES))
        log.write_bytes(b"")
    except OSError as error:
        log.unlink(missing_ok=True)
        hint = "free some space, or set XDG_STATE_HOME to a folder with room"
        raise BadInput(f"cannot write {log}: {error.strerror}", hint) from error


def ensure_safe(spec: LaunchSpec) -> None:
    """Raises BadInput for an address others can reach without a key."""
    if not spec.endpoint.is_loopback and not spec.endpoint.api_key and not spec.insecure:
        hint = "give --api-key (or set WELLFED_API_KEY), or --insecure if the network is trusted"
        raise BadInput(f"{spec.endpoint.host} can be reached by others, and there is no API key", hint)


def ensure_files(spec: LaunchSpec) -> None:
    """Raises BadInput when a local file of the launch is missing or empty."""
    for file in spec.files:
        path = Path(file)
        looks_local = path.is_absolute() or path.suffix == ".gguf"
        if looks_local and not path.exists():
            raise BadInput(f"no such file: {file}", "check the path, or give a catalogue name")
        if looks_local and path.is_file() and path.stat().st_size == 0:
            raise BadInput(f"{file} is empty", "download it again")


def end(running: state.Running, grace_s: float = 10.0) -> bool:
    """Stop it, with whatever it started, and forget it; whether it is gone."""
    left = (*running.shared, *meeting_points(Path(running.log)))
    gone = stop(running.pid, grace_s, left) if running.owns_pid else True  # a group can outlive its leader
    if gone:
        remove(left)
        state.forget(running.name)
    return gone


def supervise(
    service: Service,
    spec: LaunchSpec,
    restart: bool,
    timeout_s: float,
    told: Callable[[str], None],
) -> EngineFailed | None:
    """Watch until the engine ends. With `restart`, start it again after 1, 2, 5 ... 60 s; why it died otherwise.

    However this is left, no engine stays behind.
    """
    turn, current, since = 0, service, time.monotonic()
    failed: EngineFailed | None = None
    try:
        while True:
            while current.engine.ended() is None:
                time.sleep(0.2)
            failure = failed or current.engine.failure()
            end(current.running)
            if not restart:
                return failure
            turn = 0 if time.monotonic() - since > _STABLE_S else turn
            wait = _BACKOFF_S[min(turn, len(_BACKOFF_S) - 1)]
            told(f"{failure.message}; starting again in {wait} s")
            time.sleep(wait)
            turn, since = turn + 1, time.monotonic()
            failed = None
            try:
                current = serve(spec, service.running.model, timeout_s)
            except EngineFailed as error:
                failed = error
            else:
                told(f"ready again after {current.load_s:.1f} s, pid {current.engine.pid}")
    finally:
        end(current.running)
