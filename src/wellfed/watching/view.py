"""What a window of samples amounts to: rates and shares, each None where the samples do not tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from wellfed.frozen import dataclass
from wellfed.watching.trace import Promise

_PROMPT_TOKENS = 40  # of a probe, where the endpoint does not tell: a line and a chat's template


@dataclass(frozen=True, slots=True)
class ThreadView:
    """A thread: shares of the time it ran, and was ready but had to wait for a CPU."""

    tid: int
    pid: int
    name: str
    busy: float
    waiting: float | None = None
    involuntary_per_s: float | None = None
    cpu: int | None = None  # where it last ran

    @property
    def demand(self) -> float:
        """The share of time it wanted a CPU."""
        return self.busy + (self.waiting or 0.0)


@dataclass(frozen=True, slots=True)
class ProcessView:
    """The engine's processes. `cores`: CPU time per second; `wanting`: threads that want a CPU half of the time."""

    pid: int
    gone: bool = False
    stopped: float | None = None  # share of samples in state T
    sleeping_on_disk: float | None = None  # share in state D
    threads: tuple[ThreadView, ...] | None = None
    cores: float | None = None
    waiting_cores: float | None = None
    cpus_allowed: tuple[int, ...] | None = None
    major_faults_per_s: float | None = None
    read_bytes_per_s: float | None = None
    rss_bytes: int | None = None
    rss_growth_bytes_per_s: float | None = None
    swap_bytes: int | None = None
    pages: Mapping[int, int] | None = None  # node -> bytes
    uses_gpu: bool | None = None

    @property
    def wanting(self) -> tuple[ThreadView, ...]:
        """Threads that want a CPU at least half of the time, the hottest first."""
        hot = [thread for thread in self.threads or () if thread.demand >= 0.5]
        return tuple(sorted(hot, key=lambda thread: -thread.demand))

    @property
    def waiting_share(self) -> float | None:
        """Of the time that the wanting threads want a CPU, the share they do not get one."""
        counted = [thread for thread in self.wanting if thread.waiting is not None]
        demand = sum(thread.demand for thread in counted)
        return sum(thread.waiting or 0.0 for thread in counted) / demand if demand else None


@dataclass(frozen=True, slots=True)
class HostView:
    """The machine. `foreign_cores`: CPU time per second of others on the CPUs that the engine may use."""

    cpus: int | None = None  # the engine may use
    busy_by_cpu: Mapping[int, float] = field(default_factory=dict)
    node_of_cpu: Mapping[int, int] = field(default_factory=dict)
    core_of_cpu: Mapping[int, int] = field(default_factory=dict)
    busy_cores: float | None = None
    foreign_cores: float | None = None
    foreign_cores_anywhere: float | None = None
    stolen_cores: float | None = None
    clock_share: float | None = None  # of the CPUs' highest clock, where busy
    memory_total_bytes: int | None = None
    memory_available_bytes: int | None = None
    memory_falling_bytes_per_s: float | None = None
    refaults_per_s: float | None = None
    swap_pages_per_s: float | None = None
    remote_pages_per_s: float | None = None
    memory_pressure: float | None = None  # share of time that somebody waited for memory
    io_pressure: float | None = None
    cpu_pressure: float | None = None


@dataclass(frozen=True, slots=True)
class CgroupView:
    """The engine's control group over a window: its limits, and how often they were met."""

    quota_cores: float | None = None
    throttled_periods: float | None = None  # share of periods cut short
    memory_bytes: int | None = None
    memory_limit_bytes: int | None = None
    stalls_per_s: float | None = None
    refaults_per_s: float | None = None
    oom_kills: float | None = None
    growth_bytes_per_s: float | None = None


@dataclass(frozen=True, slots=True)
class EngineView:
    """What the engine itself reports at its metrics endpoint."""

    kind: str | None = None
    silent: float | None = None  # share of samples without an answer
    waited_s: float | None = None
    refused: float | None = None
    running: float | None = None
    served: float | None = None  # running, with requests of our own
    waiting: float | None = None
    waiting_always: bool | None = None
    waiting_slope_per_s: float | None = None
    idle: float | None = None  # share of samples with nothing running or waiting
    slots: int | None = None
    tok_s: float | None = None
    tok_s_by_half: tuple[float | None, float | None] = (None, None)
    prompt_tok_s: float | None = None
    steps_per_s: float | None = None
    preemptions: float | None = None
    kv_usage: float | None = None
    context_fill: float | None = None
    queue_s_per_s: float | None = None
    queue_s: float | None = None  # these four: means of what was counted in the window
    ttft_s: float | None = None
    tpot_s: float | None = None
    prefill_s: float | None = None
    loaded: str | None = None
    held_bytes: float | None = None
    gpu_share: float | None = None
    room_tokens: int | None = None
    error: str | None = None
    trouble: str | None = None  # its kind, a value of `asking.address.Trouble`

    @property
    def user_tok_s(self) -> float | None:
        """Tokens per second of one running sequence."""
        together = self.served or self.running
        return self.tok_s / together if self.tok_s is not None and together and self.running else None

    @property
    def serving(self) -> bool:
        """Whether requests ran in most samples."""
        return bool(self.running) and (self.idle is None or self.idle < 0.5)

    @property
    def decoding(self) -> bool:
        """Whether most of the work is making tokens, not reading prompts."""
        return self.serving and (self.tok_s or 0.0) > 0 and (self.prompt_tok_s or 0.0) < 20 * (self.tok_s or 0.0)


@dataclass(frozen=True, slots=True)
class ProbeView:
    """What requests of our own saw. `asked`: how many ended in the window; times are medians of those answered."""

    asked: int
    failed: float | None = None  # share of them
    waited_s: float | None = None  # longest that one has waited for its next token
    waiting: bool = False  # one waits now
    connect_s: float | None = None
    ttft_s: float | None = None
    tpot_s: float | None = None
    prompt_tokens: float | None = None
    error: str | None = None
    trouble: str | None = None

    @property
    def answered(self) -> int:
        """How many of them were answered."""
        return round(self.asked * (1 - (self.failed or 0.0)))

    @property
    def tok_s(self) -> float | None:
        """Tokens per second that one user gets."""
        return 1 / self.tpot_s if self.tpot_s else None

    @property
    def idle_s(self) -> float | None:
        """Of the time to the first token, at least so much nobody computed for it.

        A prompt is never read slower, token by token, than tokens are made.
        """
        if self.ttft_s is None or self.tpot_s is None:
            return None
        return max(0.0, self.ttft_s - (self.prompt_tokens or _PROMPT_TOKENS) * self.tpot_s)


@dataclass(frozen=True, slots=True)
class KernelView:
    """Errors that the kernel told of in the window. Counters by PCI address, only of what grew."""

    log_readable: bool
    xids: tuple[tuple[str, int], ...] = ()
    log_gpu_resets: tuple[str, ...] = ()
    log_memory: int = 0
    pcie_correctable: Mapping[str, float] = field(default_factory=dict)
    pcie_replays: Mapping[str, float] = field(default_factory=dict)
    pcie_uncorrectable: Mapping[str, float] = field(default_factory=dict)
    pcie_logged: Mapping[str, float] = field(default_factory=dict)  # of devices without counters
    memory_corrected: float | None = None
    memory_uncorrected: float | None = None


@dataclass(frozen=True, slots=True)
class SocketView:
    """Connections whose client does not read."""

    connections: float | None = None
    stuck: float | None = None  # share of samples with a stuck connection
    unread_bytes: float | None = None
    unread_slope_bytes_per_s: float | None = None
    accepting: float | None = None


@dataclass(frozen=True, slots=True)
class GpuView:
    """A GPU over a window: shares of time, of its memory, of its highest clock and of its power limit."""

    index: int
    busy: float | None = None
    memory_busy: float | None = None
    memory_share: float | None = None
    memory_total_bytes: int | None = None
    clock_share: float | None = None
    power_share: float | None = None
    temperature_c: float | None = None
    pstate: int | None = None
    reasons: Mapping[str, float] = field(default_factory=dict)  # share of samples
    link_share: float | None = None  # of what the negotiated link achieves
    link: str = ""
    link_lost: float | None = None  # share of samples with fewer lanes than before
    foreign_pids: tuple[int, ...] | None = None
    foreign_bytes: int | None = None
    replays: float | None = None
    ecc_uncorrected: float | None = None
    xids: tuple[int, ...] = ()
    node: int | None = None
    engine_here: bool | None = None
    address: str | None = None

    @property
    def subject(self) -> str:
        """The subject under which findings name it, such as gpu0."""
        return f"gpu{self.index}"


@dataclass(frozen=True, slots=True)
class Baseline:
    """What this engine did earlier in the same watch, when nobody disturbed it."""

    steps_per_cpu_s: float
    running: float
    clock_share: float | None = None  # of the highest clock, where busy


@dataclass(frozen=True, slots=True)
class View:
    """A window. `coverage`: the share of its span that samples cover without gaps."""

    seconds: float
    samples: int
    coverage: float
    process: ProcessView | None = None
    host: HostView | None = None
    cgroup: CgroupView | None = None
    sockets: SocketView | None = None
    gpus: tuple[GpuView, ...] | None = None
    engine: EngineView | None = None
    probe: ProbeView | None = None
    kernel: KernelView | None = None
    promise: Promise | None = None
    baseline: Baseline | None = None
    watcher_cores: float | None = None

    @property
    def engine_gpus(self) -> tuple[GpuView, ...]:
        """GPUs that the engine's processes are on; all of them where the driver does not tell."""
        gpus = self.gpus or ()
        return tuple(gpu for gpu in gpus if gpu.engine_here is not False)

    @property
    def on_gpu(self) -> bool:
        """Whether the engine computes on a GPU."""
        if any(gpu.engine_here for gpu in self.gpus or ()):
            return True
        untold = [gpu for gpu in self.gpus or () if gpu.engine_here is None]
        opened = self.process is None or self.process.uses_gpu is not False
        return opened and any((gpu.busy or 0.0) > 0.02 for gpu in untold)

    @property
    def steps_per_cpu_s(self) -> float | None:
        """Decode steps per second of the engine's CPU time: falls when memory, not time on a CPU, is short."""
        steps = self.engine.steps_per_s if self.engine and self.engine.decoding else None
        cores = self.process.cores if self.process else None
        return steps / cores if steps is not None and cores else None

    @property
    def against_promise(self) -> float | None:
        """Tokens per second of one sequence, as a share of what the plan promised."""
        rate = self.engine.user_tok_s if self.engine and self.engine.decoding else None
        return rate / self.promise.decode_tok_s if rate is not None and self.promise else None
