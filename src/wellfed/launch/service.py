"""From a launch to a service that answers: started, awaited, proven, remembered; and kept up if asked."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from wellfed.engines.spec import LaunchSpec
from wellfed.errors import BadInput, WellfedError
from wellfed.frozen import dataclass
from wellfed.launch import identity, state
from wellfed.launch.folder import write_over
from wellfed.launch.key_file import forget_key
from wellfed.launch.leftovers import meeting_points, remove, shared_memory
from wellfed.launch.life import Phase, Running
from wellfed.launch.listener import stranger
from wellfed.launch.process import KILLED_S, EngineFailed, EngineProcess, answers, start, stop, wait_ready
from wellfed.launch.proof import Placement, group_placement
from wellfed.launch.state import Superseded
from wellfed.message import listed, message, sentence

_BACKOFF_S = (1, 2, 5, 10, 30, 60)  # before each start again (assumed)
_STABLE_S = 300  # an engine that ran so long has not failed to start: the waiting begins anew (assumed)
_LOG_ROOM_BYTES = 64 * 1024  # that must be free on the log's disk


@dataclass(frozen=True, slots=True)
class Service:
    """A started engine with its proof."""

    running: Running
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
    """Start and wait. Whatever goes wrong, nothing is left running; a wellfed that is killed leaves a true record.

    Each step is written down before it is taken: the name, the process before it runs the engine, that it serves.
    Raises EngineFailed, BadInput, Superseded when somebody stops it meanwhile.
    """
    ensure_safe(spec)
    ensure_files(spec)
    running = state.reserve(
        model, url=spec.endpoint.url, engine=spec.engine.value, command=spec.command_line(), health=spec.health_path
    )
    log, engine = Path(running.log), None
    try:
        _ensure_writable(log)
        running = _with_key(running, spec)

        def remember(pid: int) -> None:
            nonlocal running
            process = identity.stat(pid)
            ticks = process.ticks if process is not None else 0
            running = state.advance(running, Phase.LOADING, pid=pid, ticks=ticks, started=time.time())

        engine = start(spec, log, detach, running.token, remember)
        load_s = _awaited(engine, running, timeout_s, progress)
        running = state.advance(running, Phase.SERVING, shared=shared_memory(engine.pid))
        return Service(running, engine, load_s, group_placement(engine.pid))
    except BaseException:  # an interrupt as it comes up, too
        if engine is None or stop(engine.pid, shared=meeting_points(log)):
            state.forget(running)
        raise
    finally:
        forget_key(log)


def _with_key(running: Running, spec: LaunchSpec) -> Running:
    """The record that names the file of the key that was made for this engine, and the file."""
    key = spec.endpoint.api_key
    if key is None or not spec.endpoint.key_is_made:
        return running
    path = Path(running.log).with_suffix(".key")
    running = state.advance(running, Phase.STARTING, key_file=str(path))
    write_over(path, key + "\n")
    return running


def _awaited(engine: EngineProcess, running: Running, timeout_s: float, progress: Callable[[float], None]) -> float:
    try:
        return wait_ready(engine, timeout_s, progress)
    except EngineFailed:
        if state.is_stopping(running):
            raise state.stopped(running) from None
        raise


def settled(running: Running) -> Running:
    """The record as it is now: an engine that came up after its wellfed was killed serves."""
    orphan = running.phase is Phase.LOADING and running.alive and not running.keeper_alive
    if not orphan or not answers(running.url + running.health, timeout_s=0.5):
        return running
    port = urlsplit(running.url).port
    if port and running.pid and stranger(port, running.pid, running.token) is not None:
        return running
    with suppress(WellfedError):
        return state.advance(running, Phase.SERVING, shared=shared_memory(running.pid or 0))
    return running


def _ensure_writable(log: Path) -> None:
    """An empty log, on a disk with room for more. Raises BadInput where there is none: an engine dies of it."""
    try:
        log.touch(0o600)
        log.write_bytes(bytes(_LOG_ROOM_BYTES))
        log.write_bytes(b"")
    except OSError as error:
        with suppress(OSError):
            log.unlink(missing_ok=True)
        hint = sentence(
            "launch.service.free-some-space", "free some space, or set XDG_STATE_HOME to a folder with room"
        )
        raise BadInput(
            sentence("launch.service.cannot-write", "cannot write {log}: {strerror}", log=log, strerror=error.strerror),
            hint,
        ) from error


def ensure_safe(spec: LaunchSpec) -> None:
    """Raises BadInput for an address others can reach without a key."""
    if not spec.endpoint.is_loopback and not spec.endpoint.api_key and not spec.insecure:
        hint = sentence(
            "launch.service.give-api-key",
            "give --api-key (or set WELLFED_API_KEY), or --insecure if the network is trusted",
        )
        raise BadInput(
            sentence(
                "launch.service.reached-others-there",
                "{host} can be reached by others, and there is no API key",
                host=spec.endpoint.host,
            ),
            hint,
        )


def ensure_files(spec: LaunchSpec) -> None:
    """Raises BadInput when a local file of the launch is missing or empty."""
    for file in spec.files:
        path = Path(file)
        looks_local = path.is_absolute() or path.suffix == ".gguf"
        if looks_local and not path.exists():
            raise BadInput(
                sentence("launch.service.no-such-file", "no such file: {file}", file=file),
                sentence("launch.service.check-path-give", "check the path, or give a catalogue name"),
            )
        if looks_local and path.is_file() and path.stat().st_size == 0:
            raise BadInput(
                sentence("launch.service.empty", "{file} is empty", file=file),
                sentence("launch.service.download-again", "download it again"),
            )


def end(
    running: Running,
    grace_s: float = 10.0,
    progress: Callable[[float], None] = lambda _: None,
    killed_s: float = KILLED_S,
) -> bool:
    """Stop it, with whatever it started, and forget it; whether it is gone.

    Raises WellfedError for one that had to be left alone: nothing is claimed of it then, and nothing forgotten.
    """
    ensure_ours(running)
    if running.pid is None:
        return _end_before_it_runs(running, grace_s, progress, killed_s)
    with suppress(WellfedError):  # on a full disk it is stopped all the same: the process itself tells
        running = state.advance(running, Phase.STOPPING)
    shared_files = (*running.shared, *meeting_points(Path(running.log)))
    is_running = running.process() is not None or bool(running.left_behind())
    gone = not is_running or running.pid is None or stop(running.pid, grace_s, shared_files, progress, killed_s)
    if gone:
        remove(shared_files)
        state.forget(running)
    return gone


def ensure_ours(running: Running) -> None:
    """Raises WellfedError for an engine of which it cannot be told here whether it runs, or what still does."""
    hint = message("stop.lost.hint", "`wellfed stop {name} --forget` forgets it and touches nothing", name=running.name)
    why = running.why_lost
    if why is not None:
        raise WellfedError(message("stop.lost", "{name} was left alone: {why}", name=running.name, why=why), hint)
    unproven = running.outlived_by() if running.process() is None and not running.left_behind() else ()
    if unproven:
        template = "{name} has ended, and was left alone: processes {pids} may be its own, or not"
        pids = listed(unproven)
        raise WellfedError(message("stop.unproven", template, name=running.name, pids=pids), hint)


def _end_before_it_runs(running: Running, grace_s: float, progress: Callable[[float], None], killed_s: float) -> bool:
    """A launch that has no process yet: whoever makes it hears of it before it goes on."""
    if running.keeper_alive:
        with suppress(Superseded):
            running = state.advance(running, Phase.STOPPING)
    begin = time.monotonic()
    while running.keeper_alive:
        current = next((launch for launch in state.listed() if launch.token == running.token), None)
        if current is None:
            return True
        if current.pid is not None:
            return end(current, grace_s, progress, killed_s)
        elapsed = time.monotonic() - begin
        progress(elapsed)
        if elapsed > grace_s:
            template = "{name} is being started by process {pid}, which does not hear: end that"
            raise WellfedError(message("stop.starting", template, name=running.name, pid=str(running.keeper)))
        time.sleep(0.05)
    state.forget(running)
    return True


def supervise(
    service: Service,
    spec: LaunchSpec,
    restart: bool,
    timeout_s: float,
    say: Callable[[str], None],
) -> EngineFailed | None:
    """Watch until the engine ends. With `restart`, start it again after 1, 2, 5 ... 60 s; why it died otherwise.

    However this is left, no engine stays behind.
    """
    turn, current, since = 0, service, time.monotonic()
    failure: EngineFailed | None = None
    try:
        while True:
            failure = failure or _failure_at_end(current)
            if failure is None:
                say(sentence("launch.service.stopped", "{running} was stopped", running=current.running.name))
                return None
            if not restart:
                return failure
            turn = 0 if time.monotonic() - since > _STABLE_S else turn
            _back_off(failure, turn, say)
            turn, since = turn + 1, time.monotonic()
            try:
                current, failure = serve(spec, service.running.model, timeout_s), None
            except Superseded as error:
                say(error.message)
                return None
            except EngineFailed as error:
                failure = error
            else:
                text = "ready again after {load:.1f} s, pid {pid}"
                say(sentence("launch.service.ready-again-after", text, load=current.load_s, pid=current.engine.pid))
    finally:
        end(current.running)


def _failure_at_end(service: Service) -> EngineFailed | None:
    """Wait for the engine's end, and clear up after it: why it died; None where it was stopped."""
    while service.engine.ended() is None:
        time.sleep(0.2)
    failure, stopped = service.engine.failure(), state.is_stopping(service.running)
    end(service.running)
    return None if stopped else failure


def _back_off(failure: EngineFailed, turn: int, say: Callable[[str], None]) -> None:
    """Tell why it starts again, and wait longer each time."""
    wait = _BACKOFF_S[min(turn, len(_BACKOFF_S) - 1)]
    text = "{message}; starting again in {wait} s"
    say(sentence("launch.service.starting-again-s", text, message=failure.message, wait=wait))
    time.sleep(wait)
