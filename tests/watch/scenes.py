"""Written traces: an engine of some threads on a machine, doing what a scene says, second by second."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from wellfed.watching.diagnose import Diagnosis, diagnose
from wellfed.watching.sample import (
    Cgroup,
    Cpu,
    Engine,
    Gpu,
    GpuProcess,
    Host,
    Kernel,
    Node,
    NodePages,
    Pressure,
    Probe,
    Process,
    Sample,
    Sockets,
    Thread,
)
from wellfed.watching.trace import Promise
from wellfed.watching.view import Baseline
from wellfed.watching.window import view

PID = 4000
QUIET_SOCKETS = Sockets(1, 0, 0, 0)
GIB = 2**30
PROBE = Probe(number=0, connect_s=0.001, ttft_s=0.1, tpot_s=0.025, prompt_tokens=30, tokens=16)


@dataclass(frozen=True)
class T:
    """A thread: shares of each second that it runs and waits."""

    busy: float
    waiting: float = 0.0
    pid: int = PID
    cpu: int = 0


@dataclass(frozen=True)
class Scene:
    """Rates per second unless named otherwise. Fields that end in `_now` replace those of every sample's record."""

    threads: tuple[T, ...] = (T(0.98), T(0.03))
    cpus: int = 8
    nodes: int = 1
    allowed: tuple[int, ...] | None = None
    foreign: float = 0.0
    stolen: float = 0.0
    clock: float | None = None
    tok_s: float = 40.0
    prompt_tok_s: float = 0.0
    steps_s: float = 40.0
    running: float = 1.0
    waiting: float = 0.0
    major: float = 0.0
    refaults: float = 0.0
    swapped: float = 0.0
    throttled: float = 0.0
    rss_growth: float = 0.0
    available_growth: float = 0.0
    process_now: dict[str, Any] = field(default_factory=dict)
    engine_now: dict[str, Any] = field(default_factory=dict)
    cgroup_now: dict[str, Any] = field(default_factory=dict)
    sockets: Sockets | None = QUIET_SOCKETS
    gpus: tuple[Gpu, ...] | None = None
    gpu_growth: dict[str, float] = field(default_factory=dict)
    stranger: bool = False  # only its endpoint can be seen
    probe: dict[str, Any] | None = None  # one every two seconds
    kernel: Callable[[float], Kernel] | None = None

    def samples(self, seconds: int = 12, t0: float = 1000.0) -> tuple[Sample, ...]:
        """One a second."""
        return tuple(self._sample(t0 + second, float(second)) for second in range(seconds))

    def _sample(self, t: float, s: float) -> Sample:
        return Sample(
            t=t,
            wall=1.7e9 + t,
            process=None if self.stranger else self._process(s),
            host=None if self.stranger else self._host(s),
            cgroup=None if self.stranger else self._cgroup(s),
            sockets=None if self.stranger else self.sockets,
            gpus=self._gpus(s),
            engine=self._engine(t, s),
            probe=None if self.probe is None else replace(PROBE, **{"number": int(s / 2), **self.probe}),
            kernel=None if self.kernel is None else self.kernel(s),
            watcher_cpu_s=0.004 * s,
        )

    def _process(self, s: float) -> Process:
        threads = tuple(
            Thread(PID + i, t.pid, f"worker{i}", 50 + t.busy * s, 5 + t.waiting * s, 10, int(5 * s), t.cpu)
            for i, t in enumerate(self.threads)
        )
        found = Process(
            pid=PID,
            alive=True,
            state="S",
            threads=threads,
            cpus_allowed=self.allowed or tuple(range(self.cpus)),
            rss_bytes=round(4 * GIB + self.rss_growth * s),
            swap_bytes=2**28 if self.swapped else 0,
            minor_faults=1000,
            major_faults=round(100 + self.major * s),
            read_bytes_total=round(1e9 + 65536 * self.major * s),
            uses_gpu=self.gpus is not None,
        )
        return replace(found, **self.process_now)

    def _host(self, s: float) -> Host:
        own = sum(t.busy for t in self.threads)
        usable = self.allowed or tuple(range(self.cpus))
        each = min(1.0, (own + self.foreign) / len(usable))
        cpus = tuple(
            Cpu(
                cpu=cpu,
                busy_s=100 + (each if cpu in usable else 0.0) * s,
                idle_s=500.0 + s,
                steal_s=1.0 + self.stolen / self.cpus * s,
                clock_hz=self.clock and self.clock * 4e9,
                clock_max_hz=4e9,
                node=cpu * self.nodes // self.cpus,
            )
            for cpu in range(self.cpus)
        )
        stall = min(1.0, self.major / 100)
        return Host(
            cpus=cpus,
            memory_total_bytes=64 * GIB,
            memory_available_bytes=round(20 * GIB + self.available_growth * s),
            refaults=round(7 + self.refaults * s),
            swapped_in=round(self.swapped * s),
            swapped_out=round(self.swapped * s),
            nodes=tuple(Node(node, 1000, 0, 0) for node in range(self.nodes)),
            pressure=Pressure(0.0, stall * s, 0.0, stall * s, 0.0),
        )

    def _cgroup(self, s: float) -> Cgroup:
        quota = 2.0 if self.throttled else None
        found = Cgroup(
            quota_cores=quota,
            periods=round(10 * s) if quota else None,
            throttled=round(10 * self.throttled * s) if quota else None,
            throttled_s=0.05 * s if quota else None,
            memory_bytes=round(5 * GIB + self.rss_growth * s),
            refaults=round(self.refaults * s),
            oom_kills=0,
        )
        return replace(found, **self.cgroup_now)

    def _gpus(self, s: float) -> tuple[Gpu, ...] | None:
        if self.gpus is None:
            return None
        return tuple(
            replace(
                gpu, **{name: round((getattr(gpu, name) or 0) + per_s * s) for name, per_s in self.gpu_growth.items()}
            )
            for gpu in self.gpus
        )

    def _engine(self, t: float, s: float) -> Engine:
        found = Engine(
            t=t,
            kind="llama.cpp",
            answers=True,
            answer_s=0.002,
            running=self.running,
            waiting=self.waiting,
            slots=4,
            tokens_total=500 + self.tok_s * s,
            prompt_tokens_total=900 + self.prompt_tok_s * s,
            steps_total=500 + self.steps_s * s,
            context_fill=0.2,
        )
        return replace(found, **self.engine_now)


H100 = Gpu(
    index=0,
    busy=0.97,
    memory_busy=0.6,
    memory_used_bytes=40 * GIB,
    memory_total_bytes=80 * GIB,
    clock_hz=1.9e9,
    clock_max_hz=1.98e9,
    power_w=450.0,
    power_limit_w=700.0,
    temperature_c=60.0,
    pstate=0,
    reasons=(),
    pcie_read_bytes_per_s=0.2e9,
    pcie_write_bytes_per_s=0.1e9,
    link_generation=5,
    link_width=16,
    link_generation_max=5,
    link_width_max=16,
    replays=0,
    ecc_uncorrected=0,
    xids=(),
    processes=(GpuProcess(PID, 39 * GIB),),
    node=0,
)
QUIET = Scene()
PROMISE = Promise(40.0, 34.0, 47.0, "memory bandwidth")


def said(
    scene: Scene, promise: Promise | None = None, baseline: Baseline | None = None, seconds: int = 12
) -> Diagnosis:
    """What is diagnosed of the whole scene."""
    return diagnose(view(scene.samples(seconds), promise, baseline))


def pages(*sizes_gib: float) -> tuple[NodePages, ...]:
    """Pages by node."""
    return tuple(NodePages(node, round(size * GIB)) for node, size in enumerate(sizes_gib))
