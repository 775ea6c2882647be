"""Start an engine, wait until it answers, stop it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from wellfed.engines.spec import Binding, Endpoint, LaunchSpec, ranges
from wellfed.errors import WellfedError
from wellfed.launch.failures import explain, until_cause
from wellfed.launch.key_file import forget_key, key_words
from wellfed.launch.leftovers import remove, shared_memory

_TAIL_BYTES, _SHOWN_LINES = 4000, 10
_WIDE_TAIL_BYTES = 64 * 1024  # engines of several processes tell the cause first, then every process its own end


class EngineFailed(WellfedError):
    """The engine did not start, or died; `log_tail` is the end of what it said."""

    def __init__(self, message: str, hint: str, log_tail: str = "") -> None:
        super().__init__(message, hint)
        self.log_tail = log_tail
        self.details = "\n".join(log_tail.splitlines()[-_SHOWN_LINES:])


@dataclass(slots=True)
class EngineProcess:
    """A started engine: the one mutable thing, since processes are."""

    spec: LaunchSpec
    popen: subprocess.Popen[bytes]
    log: Path

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
        """Why it died."""
        said = until_cause(self.log_tail()) or until_cause(tail(self.log, _WIDE_TAIL_BYTES)) or self.log_tail()
        message, hint = explain(said, self.ended())
        return EngineFailed(message, hint, said[-_TAIL_BYTES:])


def start(spec: LaunchSpec, log: Path, detach: bool = False) -> EngineProcess:
    """Start `spec`, bound, in a process group of its own, with its output in `log`.

    A key that goes through a file lies beside the log until `forget_key`. Raises EngineFailed when the port is taken
    or the program cannot be started.
    """
    ensure_port_is_free(spec.endpoint)
    if shutil.which(spec.argv[0]) is None:
        raise EngineFailed(f"cannot start {spec.argv[0]}: no such program", "install it, or name it with --program")
    environment = {**os.environ, **spec.environment, **({} if spec.key_in_file else spec.secrets)}
    argv = [*bound_prefix(spec.binding, detach), *spec.argv, *key_words(spec, log)]
    try:
        with log.open("ab") as output:
            popen = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment, start_new_session=True
            )
    except OSError as error:
        forget_key(log)
        hint = "install the engine, or name its program with --program"
        raise EngineFailed(f"cannot start {argv[0]}: {error.strerror}", hint) from error
    return EngineProcess(spec, popen, log)


def bound_prefix(binding: Binding, detach: bool) -> list[str]:
    """The wrapper that sets affinity and memory policy, then execs into the engine."""
    words = [sys.executable, "-m", "wellfed.launch.bound", "--detached", "yes" if detach else "no"]
    words += ["--parent", str(os.getpid())]
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
            hint = "choose another with --port, or stop what listens there (`wellfed ps`)"
            where = f"{endpoint.host} port {endpoint.port}"
            raise EngineFailed(f"cannot listen on {where}: {error.strerror}", hint) from error


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
    """Seconds until the engine answered its health check. Raises EngineFailed when it dies or is too slow."""
    begin = time.monotonic()
    url = engine.spec.endpoint.url + engine.spec.health_path
    while (elapsed := time.monotonic() - begin) < timeout_s:
        if engine.ended() is not None:
            raise engine.failure()
        if _answers(url):
            return elapsed
        progress(elapsed)
        time.sleep(poll_s)
    hint = f"it may still be loading: give it longer with --timeout; its log is {engine.log}"
    raise EngineFailed(f"the engine did not answer within {timeout_s:.0f} s", hint, engine.log_tail())


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError, ValueError):
        return False


def stop(pid: int, grace_s: float = 10.0, shared: Iterable[str] = ()) -> bool:
    """SIGTERM to the engine's process group, SIGKILL after `grace_s`; whether it is gone.

    Shared memory that the group maps, or `shared` that it did, is removed if it was left behind.
    """
    mapped = {*shared, *shared_memory(pid)}
    gone = _end_group(pid, grace_s)
    if gone:
        remove(mapped)
    return gone


def _end_group(pid: int, grace_s: float) -> bool:
    if not _signal_group(pid, signal.SIGTERM):
        return True
    end = time.monotonic() + grace_s
    while time.monotonic() < end:
        if not _group_exists(pid):
            return True
        time.sleep(0.05)
    _signal_group(pid, signal.SIGKILL)
    time.sleep(0.1)
    return not _group_exists(pid)


def _signal_group(pid: int, number: int) -> bool:
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        return False
    except PermissionError as error:
        raise WellfedError(f"may not signal process {pid}", "it belongs to another user") from error
    return True


def _group_exists(pid: int) -> bool:
    """Whether any process of the group still runs; our own ended child is reaped on the way."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    try:
        os.killpg(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def tail(path: Path, size: int = _TAIL_BYTES) -> str:
    """The end of a file; empty when there is none."""
    try:
        with path.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - size))
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""
