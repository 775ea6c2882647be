"""Real faults on the real embedded engine, one at a time: for the confusion matrix and for marked tests.

Control groups and affinity need root and cgroup v1 or v2 with writable cpu and memory controllers. On a machine that
others use meanwhile, `priority` (a negative nice value) keeps them from being one more fault.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from wellfed.watch.sample import Sample
from wellfed.watch.target import Target
from wellfed.watch.watcher import Sampler
from wellfed.watch.window import view

STORY = "Once upon a time there was a small town by the sea, and in it lived people of many trades. "
BUSY_LOOP = "while True: pass"
HOG = """
import numpy, sys
size = 64 * 2**20
a, b = numpy.ones(size, dtype=numpy.float32), numpy.zeros(size, dtype=numpy.float32)
while True: numpy.copyto(b, a); numpy.copyto(a, b)
"""


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
    ended: list[Callable[[], object]] = field(default_factory=list)
    process: subprocess.Popen[bytes] | None = None
    port: int = 0

    def start(self) -> Lab:
        """The engine, answering."""
        self.port = free_port()
        words = ["--model", str(self.model), "--port", str(self.port), "--ctx-size", str(self.context), "--metrics"]
        words += ["--threads", str(self.threads), "--parallel", str(self.parallel)]
        self.process = self._spawn([sys.executable, "-m", "wellfed.launch.embedded", *words], self._enter)
        for _ in range(600):
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
        code = f"import sys, threading; sys.path.insert(0, {here!r}); from watch_faults import _user; {ask}"
        for _ in range(count):
            self._spawn([sys.executable, "-c", code], lambda: None)

    def beside(self, code: str, count: int = 1) -> None:
        """Other processes, at the engine's priority."""
        for _ in range(count):
            self._spawn([sys.executable, "-c", code], lambda: self._nice())

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
        self._nice()
        for group in self.groups:
            (group / "cgroup.procs").write_text(str(os.getpid()))
        if self.affinity:
            os.sched_setaffinity(0, self.affinity)

    def _nice(self) -> None:
        os.setsid()
        if self.priority:
            os.setpriority(os.PRIO_PROCESS, 0, self.priority)
            with contextlib.suppress(OSError):  # where sessions are scheduled as groups, nice counts only inside them
                Path("/proc/self/autogroup").write_text(str(self.priority))


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


def _body(tokens: int, words: int) -> str:
    prompt = " ".join((STORY * (1 + words // 18)).split()[:words])
    return json.dumps({"prompt": prompt, "max_tokens": tokens, "stream": True, "ignore_eos": True, "temperature": 0})


def _user(port: int, tokens: int, words: int, stop: threading.Event) -> None:
    while not stop.is_set():
        try:
            with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
                connection.request("POST", "/v1/completions", _body(tokens, words))
                response = connection.getresponse()
                while not stop.is_set() and response.read1(65536):
                    pass
        except (OSError, http.client.HTTPException):
            time.sleep(0.2)


@contextlib.contextmanager
def group(controller: str, settings: dict[str, str]) -> Iterator[Path]:
    """A control group of ours (v1: `settings` are its files), removed at the end."""
    folder = Path("/sys/fs/cgroup") / controller / f"wellfed-lab-{os.getpid()}-{time.monotonic_ns()}"
    folder.mkdir()
    try:
        for name, value in settings.items():
            (folder / name).write_text(value)
        yield folder
    finally:
        for _ in range(50):
            with contextlib.suppress(OSError):
                folder.rmdir()
                break
            time.sleep(0.1)


def can_group() -> bool:
    """Whether control groups (v1) can be made here."""
    return os.geteuid() == 0 and Path("/sys/fs/cgroup/cpu/cpu.cfs_quota_us").exists()


# --- the faults; each yields what was seen --------------------------------------------------------------------------


def healthy(model: Path, priority: int, seconds: float) -> list[Sample]:
    """One user, one thread."""
    with contextlib.closing(Lab(model, priority).start()) as lab:
        lab.users(1)
        time.sleep(1.5)
        return lab.watch(seconds)


def no_demand(model: Path, priority: int, seconds: float) -> list[Sample]:
    """Nobody asks."""
    with contextlib.closing(Lab(model, priority).start()) as lab:
        return lab.watch(seconds)


def cpu_too_few(model: Path, priority: int, seconds: float) -> list[Sample]:
    """Two threads on one CPU."""
    first = min(os.sched_getaffinity(0))
    with contextlib.closing(Lab(model, priority, threads=2, affinity=(first,)).start()) as lab:
        lab.users(1)
        time.sleep(1.5)
        return lab.watch(seconds)


def cpu_quota(model: Path, priority: int, seconds: float) -> list[Sample]:
    """Half a core."""
    settings = {"cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "50000"}
    with group("cpu", settings) as folder, contextlib.closing(Lab(model, priority, groups=(folder,)).start()) as lab:
        lab.users(1)
        time.sleep(1.5)
        return lab.watch(seconds)


def other_tenant_cpu(model: Path, priority: int, seconds: float) -> list[Sample]:
    """Two busy loops against two spinning threads."""
    with contextlib.closing(Lab(model, priority, threads=2).start()) as lab:
        lab.beside(BUSY_LOOP, 2)
        lab.users(1)
        time.sleep(1.5)
        return lab.watch(seconds)


def memory_contention(model: Path, priority: int, seconds: float) -> list[Sample]:
    """A quiet time first, then copies on the other core. With 16-bit weights: unpacking 4-bit ones hides memory."""
    wide = widened(model)
    try:
        with contextlib.closing(Lab(wide, priority).start()) as lab:
            lab.users(1)
            time.sleep(1.5)
            quiet = lab.watch(seconds)
            lab.beside(HOG, 1)
            time.sleep(1.0)
            return [*quiet, *lab.watch(seconds)]
    finally:
        wide.unlink(missing_ok=True)


def widened(model: Path) -> Path:
    """A copy of the model whose matrices are 16-bit floats."""
    import gguf
    import numpy

    reader = gguf.GGUFReader(model)
    path = Path(tempfile.gettempdir()) / f"wellfed-lab-f16-{os.getpid()}.gguf"
    writer = gguf.GGUFWriter(path, str(reader.fields["general.architecture"].contents()))
    for name, value in reader.fields.items():
        if not name.startswith("GGUF.") and name != "general.architecture":
            inner = value.types[-1] if len(value.types) > 1 else None
            writer.add_key_value(name, value.contents(), value.types[0], sub_type=inner)
    for tensor in reader.tensors:
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        writer.add_tensor(tensor.name, values.astype(numpy.float16 if values.ndim > 1 else numpy.float32))
    for write in (writer.write_header_to_file, writer.write_kv_data_to_file, writer.write_tensors_to_file):
        write()
    writer.close()
    return path


def queueing(model: Path, priority: int, seconds: float) -> list[Sample]:
    """Six users, two slots."""
    with contextlib.closing(Lab(model, priority).start()) as lab:
        lab.users(6)
        time.sleep(1.5)
        return lab.watch(seconds)


def context_full(model: Path, priority: int, seconds: float) -> list[Sample]:
    """Prompts that leave little of the context."""
    with contextlib.closing(Lab(model, priority, parallel=1, context=512).start()) as lab:
        lab.users(1, tokens=40, words=430)
        time.sleep(1.5)
        return lab.watch(seconds)


def paging(model: Path, priority: int, seconds: float) -> list[Sample]:
    """A limit that leaves no room for the mapped file."""
    copy = Path(tempfile.gettempdir()) / f"wellfed-lab-{os.getpid()}.gguf"
    shutil.copyfile(model, copy)
    try:
        with copy.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        with group("memory", {}) as folder, contextlib.closing(Lab(copy, priority, groups=(folder,)).start()) as lab:
            used = int((folder / "memory.usage_in_bytes").read_text())
            (folder / "memory.limit_in_bytes").write_text(str(used - copy.stat().st_size // 2))
            lab.users(1)
            time.sleep(2.5)
            return lab.watch(seconds)
    finally:
        copy.unlink(missing_ok=True)


def stopped(model: Path, priority: int, seconds: float) -> list[Sample]:
    """SIGSTOP in the middle of an answer."""
    with contextlib.closing(Lab(model, priority).start()) as lab:
        lab.users(1)
        time.sleep(1.5)
        os.kill(lab.pid, signal.SIGSTOP)
        return lab.watch(seconds)


def slow_client(model: Path, priority: int, seconds: float) -> list[Sample]:
    """A client that asks and never reads."""
    with contextlib.closing(Lab(model, priority).start()) as lab:
        deaf = socket.socket()
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect(("127.0.0.1", lab.port))
        lab.ended.append(deaf.close)
        body = _body(2000, 12)
        deaf.sendall(
            f"POST /v1/completions HTTP/1.1\r\nHost: lab\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
        )
        time.sleep(2.0)
        return lab.watch(seconds)


FAULTS: dict[str, Callable[[Path, int, float], list[Sample]]] = {
    "healthy": healthy,
    "no-demand": no_demand,
    "cpu-too-few": cpu_too_few,
    "cpu-quota": cpu_quota,
    "other-tenant-cpu": other_tenant_cpu,
    "memory-contention": memory_contention,
    "queueing": queueing,
    "context-full": context_full,
    "paging": paging,
    "stopped": stopped,
    "slow-client": slow_client,
}
NEED_GROUPS = ("cpu-quota", "paging")
SAME = {"healthy": "cpu-bound"}  # what a healthy engine is called


def expected(fault: str, samples: list[Sample]) -> str:
    """The diagnosis that is right.

    One core's copies do not take a quarter of every machine's bandwidth; where the engine's work per CPU second kept
    more than that, it was not hurt, and healthy is right.
    """
    if fault == "memory-contention" and kept(samples) > 0.75:
        return "cpu-bound"
    return SAME.get(fault, fault)


def kept(samples: list[Sample]) -> float:
    """Work per CPU second in the second half over that in the first."""
    half = len(samples) // 2
    before, after = (view(part).steps_per_cpu_s for part in (samples[:half], samples[half:]))
    return after / before if before and after else 1.0
