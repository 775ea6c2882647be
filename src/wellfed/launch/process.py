"""Start an engine, wait until it answers, stop it."""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from wellfed.engines.spec import Binding, Endpoint, LaunchSpec, ranges
from wellfed.errors import WellfedError
from wellfed.launch.failures import explain, until_cause
from wellfed.launch.identity import MARK, PROC, members
from wellfed.launch.key_file import forget_key, key_words
from wellfed.launch.leftovers import remove, shared_memory
from wellfed.launch.listener import stranger
from wellfed.message import Message, message, sentence

_TAIL_BYTES, _SHOWN_LINES = 4000, 10  # of a dead engine's log: what is kept, and what is shown
KILLED_S = 120.0  # after SIGKILL: a terabyte of pages is given back in about a minute
_WIDE_TAIL_BYTES = 64 * 1024  # engines of several processes tell the cause first, then every process its own end


class EngineFailed(WellfedError):
    """The engine did not start, or died; `log_tail` is the end of what it said."""

    def __init__(self, message: str | Message, hint: str | Message, log_tail: str = "") -> None:
        super().__init__(message, hint)
        self.log_tail = log_tail
        self.details = "\n".join(log_tail.splitlines()[-_SHOWN_LINES:])


@dataclass(slots=True)
class EngineProcess:
    """A started engine: the one mutable thing, since processes are."""

    spec: LaunchSpec
    popen: subprocess.Popen[bytes]
    log: Path
    token: str = ""  # what everything that it starts inherits

    @property
    def pid(self) -> int:
        """The engine's own pid: the binding wrapper execs into it."""
        return self.popen.pid

    def ended(self) -> int | None:
        """Its exit status, None while it runs."""
        return self.popen.poll()

    def log_tail(self) -> str:
        """The last few kilobytes of its log."""
        return tail(self.log)

    def failure(self) -> EngineFailed:
        """The error that says why the engine's process died."""
        last_words = until_cause(self.log_tail()) or until_cause(tail(self.log, _WIDE_TAIL_BYTES)) or self.log_tail()
        message, hint = explain(last_words, self.ended())
        return EngineFailed(message, hint, last_words[-_TAIL_BYTES:])


def start(
    spec: LaunchSpec,
    log: Path,
    detach: bool = False,
    token: str = "",
    remember: Callable[[int], None] = lambda _: None,
) -> EngineProcess:
    """Start `spec`, bound, in a process group of its own, with its output in `log`.

    `remember` hears the pid before the engine's program is run, and may still stop it by raising. Everything that the
    engine starts inherits `token`. A key that goes through a file lies beside the log until `forget_key`. Raises
    EngineFailed when the port is taken or the program cannot be started.
    """
    ensure_port_is_free(spec.endpoint)
    if shutil.which(spec.argv[0]) is None:
        raise EngineFailed(
            sentence("launch.process.cannot-start-such", "cannot start {argv}: no such program", argv=spec.argv[0]),
            sentence("launch.process.install-name-program", "install it, or name it with --program"),
        )
    marked = {MARK: token} if token else {}
    environment = {**os.environ, **spec.environment, **({} if spec.key_in_file else spec.secrets), **marked}
    keyed = key_words(spec, log)
    waits, go = os.pipe()
    argv = [*bound_prefix(spec.binding, detach, waits), *spec.argv, *keyed]
    popen: subprocess.Popen[bytes] | None = None
    try:
        with os.fdopen(go, "wb", buffering=0) as word:
            popen = _opened(argv, log, environment, waits)
            remember(popen.pid)
            with suppress(BrokenPipeError):  # it has died already: it is awaited below
                word.write(b"!")
    except BaseException as error:
        forget_key(log)
        if popen is not None:
            stop(popen.pid, grace_s=0.0)
        if not isinstance(error, OSError):
            raise
        hint = sentence("launch.process.install-engine-name", "install the engine, or name its program with --program")
        raise EngineFailed(
            sentence(
                "launch.process.cannot-start", "cannot start {argv}: {strerror}", argv=argv[0], strerror=error.strerror
            ),
            hint,
        ) from error
    return EngineProcess(spec, popen, log, token)


def _opened(argv: list[str], log: Path, environment: dict[str, str], waits: int) -> subprocess.Popen[bytes]:
    """The process, which waits for its word; the end of the pipe that it reads is its alone."""
    try:
        with log.open("ab") as output:
            return subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment, start_new_session=True,
                pass_fds=(waits,),
            )  # fmt: skip
    finally:
        os.close(waits)


def bound_prefix(binding: Binding, detach: bool, waits: int | None = None) -> list[str]:
    """The wrapper that sets affinity and memory policy, then execs into the engine."""
    words = [sys.executable, "-m", "wellfed.launch.bound", "--detached", "yes" if detach else "no"]
    words += ["--parent", str(os.getpid())]
    if waits is not None:
        words += ["--go", str(waits)]
    if binding.cpus:
        words += ["--cpus", ranges(binding.cpus)]
    if binding.nodes:
        words += ["--nodes", ranges(binding.nodes), "--policy", binding.policy.value]
    return [*words, "--"]


def ensure_port_is_free(endpoint: Endpoint) -> None:
    """Raises EngineFailed when something listens there already."""
    family = socket.AF_INET6 if ":" in endpoint.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((endpoint.host, endpoint.port))
        except OSError as error:
            hint = sentence(
                "launch.process.choose-another-port",
                "choose another with --port, or stop what listens there (`wellfed ps`)",
            )
            address = sentence("launch.process.port", "{host} port {port}", host=endpoint.host, port=endpoint.port)
            raise EngineFailed(
                sentence(
                    "launch.process.cannot-listen",
                    "cannot listen on {where}: {strerror}",
                    where=address,
                    strerror=error.strerror,
                ),
                hint,
            ) from error


def free_port() -> int:
    """A port of this machine that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_ready(
    engine: EngineProcess,
    timeout_s: float,
    progress: Callable[[float], None] = lambda _: None,
    poll_s: float = 0.1,
) -> float:
    """Seconds until the engine answered its health check.

    Raises EngineFailed when it dies, is too slow, or another process took its port before it did and answers there.
    """
    begin = time.monotonic()
    url = engine.spec.endpoint.url + engine.spec.health_path
    while (elapsed := time.monotonic() - begin) < timeout_s:
        if engine.ended() is not None:
            raise engine.failure()
        if answers(url):
            _ensure_own_answer(engine)
            return elapsed
        progress(elapsed)
        time.sleep(poll_s)
    hint = sentence(
        "launch.process.may-still-loading",
        "it may still be loading: give it longer with --timeout; its log is {log}",
        log=engine.log,
    )
    raise EngineFailed(
        sentence(
            "launch.process.engine-did-answer", "the engine did not answer within {timeout:.0f} s", timeout=timeout_s
        ),
        hint,
        engine.log_tail(),
    )


def _ensure_own_answer(engine: EngineProcess) -> None:
    endpoint = engine.spec.endpoint
    stranger_pid = stranger(endpoint.port, engine.pid, engine.token)
    if stranger_pid is None:
        return
    why = message(
        "launch.port.stranger",
        "process {pid} took port {port} before the engine could, and answers there",
        pid=str(stranger_pid),
        port=str(endpoint.port),
    )
    hint = message("launch.port.stranger.hint", "choose another with --port (`wellfed ps` tells what runs)")
    raise EngineFailed(why, hint, engine.log_tail())


def answers(url: str, timeout_s: float = 2.0) -> bool:
    """Whether a health check is answered with 200, by whoever listens there and nobody else."""
    try:
        with _ASK.open(url, timeout=timeout_s) as response:
            return bool(response.status == 200)
    except (OSError, ValueError, http.client.HTTPException):
        return False


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None


_ASK = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirects)


def stop(
    pid: int,
    grace_s: float = 10.0,
    shared: Iterable[str] = (),
    progress: Callable[[float], None] = lambda _: None,
    killed_s: float = KILLED_S,
) -> bool:
    """SIGTERM to the engine's process group, SIGKILL after `grace_s`; whether it is gone `killed_s` later.

    A process that holds hundreds of gigabytes takes seconds to die; `progress` hears how long it took so far. Shared
    memory that the group maps, or `shared` that it did, is removed if it was left behind. Raises WellfedError for a pid
    that is no engine's: 0, 1, a negative one, this process's own group.
    """
    if pid <= 1 or pid in (os.getpid(), os.getpgrp()):
        raise WellfedError(message("stop.no-engine", "process {pid} is no engine: nothing was stopped", pid=str(pid)))
    mapped = {*shared, *shared_memory(pid)}
    gone = _end_group(pid, grace_s, killed_s, progress)
    if gone:
        remove(mapped)
    return gone


def _end_group(pid: int, grace_s: float, killed_s: float, progress: Callable[[float], None]) -> bool:
    begin = time.monotonic()
    for number, seconds in ((signal.SIGTERM, grace_s), (signal.SIGKILL, killed_s)):
        if not _signal_group(pid, number):
            return True
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if not _group_runs(pid):
                return True
            progress(time.monotonic() - begin)
            time.sleep(0.05)
    return not _group_runs(pid)


def _signal_group(pid: int, number: int) -> bool:
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        return False
    except PermissionError as error:
        raise WellfedError(
            sentence("launch.process.may-signal-process", "may not signal process {pid}", pid=pid),
            sentence("launch.process.belongs-another-user", "it belongs to another user"),
        ) from error
    return True


def _group_runs(pid: int) -> bool:
    """Whether any process of the group still runs; our own ended child is reaped on the way, zombies do not count."""
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    try:
        os.killpg(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return not PROC.joinpath("self").exists() or any(True for _ in members(pid))


def tail(path: Path, size: int = _TAIL_BYTES) -> str:
    """The end of a file; empty when there is none."""
    try:
        if not path.is_file():
            return ""
        with path.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - size))
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""
