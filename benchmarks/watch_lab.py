"""A laboratory for `wellfed watch`: the real embedded engine with users, disturbers, a binding and control groups.

Control groups and affinity need root and writable cpu and memory controllers, of version 1 or 2. On a machine that
others use meanwhile, `priority` (a negative nice value) keeps them from being one more fault.
"""

from __future__ import annotations

import contextlib
import ctypes
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from wellfed.engines.spec import Binding
from wellfed.launch.process import bound_prefix
from wellfed.watching.sample import Sample
from wellfed.watching.target import Target
from wellfed.watching.watcher import Sampler

STORY = "Once upon a time there was a small town by the sea, and in it lived people of many trades. "
_CONTROL = Path("/sys/fs/cgroup")
_PERIOD_US = 100_000


@dataclass
class Lab:
    """One engine with its load and its fault. Everything it started is ended by `close`."""

    model: Path
    priority: int = 0
    threads: int = 1
    parallel: int = 2
    context: int = 4096
    affinity: tuple[int, ...] = ()
    groups: tuple[Path, ...] = ()
    binding: Binding = Binding()
    words: tuple[str, ...] = ()  # more for the engine
    ended: list[Callable[[], object]] = field(default_factory=list)
    process: subprocess.Popen[bytes] | None = None
    port: int = 0

    def start(self) -> Lab:
        """The engine, answering."""
        self.port = free_port()
        words = ["--model", str(self.model), "--port", str(self.port), "--ctx-size", str(self.context), "--metrics"]
        words += ["--threads", str(self.threads), "--parallel", str(self.parallel), *self.words]
        prefix = bound_prefix(self.binding, detach=False) if self.binding != Binding() else []
        self.process = self._spawn([*prefix, sys.executable, "-m", "wellfed.launch.embedded", *words], self._enter)
        for _ in range(1200):
            with contextlib.suppress(OSError, http.client.HTTPException):
                if get(self.port, "/health")[0] == 200:
                    return self
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        self.close()
        raise RuntimeError("the engine did not start")

    @property
    def pid(self) -> int:
        """The engine's."""
        if self.process is None:
            raise RuntimeError("not started")
        return self.process.pid

    def users(self, count: int, tokens: int = 200, words: int = 12) -> None:
        """So many users who ask, read the whole answer, and ask again."""
        stop = threading.Event()
        self.ended.append(stop.set)
        for _ in range(count):
            threading.Thread(target=_user, args=(self.port, tokens, words, stop), daemon=True).start()

    def users_apart(self, count: int) -> None:
        """Users in a process of their own, so that this one's CPU time is the watch's alone."""
        here = str(Path(__file__).parent)
        ask = f"_user({self.port}, 200, 12, threading.Event())"
        code = f"import sys, threading; sys.path.insert(0, {here!r}); from watch_lab import _user; {ask}"
        for _ in range(count):
            self._spawn([sys.executable, "-c", code], _end_with_parent)

    def beside(self, code: str, count: int = 1, cpus: tuple[int, ...] = ()) -> Callable[[], None]:
        """Other processes, and what ends them: at the engine's priority, or each on one of `cpus` at the watch's."""
        before = len(self.ended)
        for index in range(count):
            where = (cpus[index % len(cpus)],) if cpus else ()
            self._spawn([sys.executable, "-c", code], lambda where=where: self._nice(where, not where))  # type: ignore[misc]
        mine = self.ended[before:]

        def end() -> None:
            for each in mine:
                each()
                self.ended.remove(each)

        return end

    def watch(self, seconds: float, interval_s: float = 0.5) -> list[Sample]:
        """What is seen of it."""
        target = Target("lab", self.pid, f"http://127.0.0.1:{self.port}", str(self.model), "llama.cpp")
        with Sampler(target, interval_s) as sampler:
            return list(sampler.every(interval_s, seconds))

    def close(self) -> None:
        """End everything, last first."""
        for end in reversed(self.ended):
            with contextlib.suppress(OSError):
                end()
        self.ended.clear()

    def _spawn(self, argv: list[str], before: Callable[[], None]) -> subprocess.Popen[bytes]:
        quiet = subprocess.DEVNULL
        started = subprocess.Popen(argv, stdin=quiet, stdout=quiet, stderr=quiet, preexec_fn=before)

        def end() -> None:
            with contextlib.suppress(ProcessLookupError):
                started.send_signal(signal.SIGCONT)
                started.kill()
            started.wait()

        self.ended.append(end)
        return started

    def _enter(self) -> None:
        self._nice(self.affinity)
        for group in self.groups:
            (group / "cgroup.procs").write_text(str(os.getpid()))

    def _nice(self, cpus: tuple[int, ...] = (), before_others: bool = True) -> None:
        _end_with_parent()
        os.setsid()
        if cpus:
            os.sched_setaffinity(0, cpus)
        if self.priority and before_others:
            os.setpriority(os.PRIO_PROCESS, 0, self.priority)
            with contextlib.suppress(OSError):  # where sessions are scheduled as groups, nice counts only inside them
                Path("/proc/self/autogroup").write_text(str(self.priority))


def _end_with_parent() -> None:
    """A lab that is killed leaves no engine and no hog behind (prctl(2), PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def get(port: int, path: str) -> tuple[int, bytes]:
    """One GET."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()


def body(tokens: int, words: int) -> str:
    """A request of `words` words for `tokens` tokens."""
    prompt = " ".join((STORY * (1 + words // 18)).split()[:words])
    return json.dumps({"prompt": prompt, "max_tokens": tokens, "stream": True, "ignore_eos": True, "temperature": 0})


def _user(port: int, tokens: int, words: int, stop: threading.Event) -> None:
    while not stop.is_set():
        try:
            with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
                connection.request("POST", "/v1/completions", body(tokens, words))
                response = connection.getresponse()
                while not stop.is_set() and response.read1(65536):
                    pass
        except (OSError, http.client.HTTPException):
            time.sleep(0.2)


# --- control groups -------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def group(controller: str) -> Iterator[Path]:
    """A control group of ours for `cpu` or `memory`, removed at the end."""
    folder = _parent(controller) / f"wellfed-lab-{os.getpid()}-{time.monotonic_ns()}"
    folder.mkdir()
    try:
        yield folder
    finally:
        for _ in range(50):
            with contextlib.suppress(OSError):
                folder.rmdir()
                break
            time.sleep(0.1)


def limit_cores(folder: Path, cores: float) -> None:
    """A CPU quota."""
    quota = round(cores * _PERIOD_US)
    if (folder / "cpu.max").exists():
        (folder / "cpu.max").write_text(f"{quota} {_PERIOD_US}")
        return
    (folder / "cpu.cfs_period_us").write_text(str(_PERIOD_US))
    (folder / "cpu.cfs_quota_us").write_text(str(quota))


def limit_memory(folder: Path, less_bytes: int) -> None:
    """A memory limit so far below what the group uses now."""
    second = (folder / "memory.max").exists()
    used = int((folder / ("memory.current" if second else "memory.usage_in_bytes")).read_text())
    (folder / ("memory.max" if second else "memory.limit_in_bytes")).write_text(str(used - less_bytes))


def can_group() -> bool:
    """Whether control groups with CPU quotas and memory limits can be made here."""
    if os.geteuid() != 0:
        return False
    if (_CONTROL / "cgroup.controllers").exists():
        return {"cpu", "memory"} <= set((_CONTROL / "cgroup.controllers").read_text().split())
    return (_CONTROL / "cpu" / "cpu.cfs_quota_us").exists() and (_CONTROL / "memory").is_dir()


def _parent(controller: str) -> Path:
    """The root of version 2 with the controller handed down, or that of version 1."""
    if not (_CONTROL / "cgroup.controllers").exists():
        return _CONTROL / controller
    (_CONTROL / "cgroup.subtree_control").write_text(f"+{controller}")
    return _CONTROL
