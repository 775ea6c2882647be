"""One instant of a running engine and its machine. `None` = could not be read; counters only ever grow.

Counters (`..._s`, `..._total`) are what the kernel or the engine has counted since it started; rates are made from two
samples in `window`. Times `t` are the monotonic clock of the machine that sampled.
"""

from __future__ import annotations

from wellfed.frozen import dataclass


@dataclass(frozen=True, slots=True)
class Thread:
    """A thread of the engine: seconds on a CPU, seconds runnable but waiting for one, and how often it was switched."""

    tid: int
    pid: int
    name: str | None = None
    cpu_s: float | None = None
    wait_s: float | None = None
    voluntary: int | None = None
    involuntary: int | None = None
    cpu: int | None = None  # where it last ran


@dataclass(frozen=True, slots=True)
class NodePages:
    """Resident bytes of the process on one NUMA node."""

    node: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Process:
    """The engine: its main process with all its children's threads. `state` as in /proc/PID/stat (R S D T Z)."""

    pid: int
    alive: bool
    state: str | None = None
    threads: tuple[Thread, ...] | None = None
    cpus_allowed: tuple[int, ...] | None = None
    rss_bytes: int | None = None
    swap_bytes: int | None = None
    minor_faults: int | None = None
    major_faults: int | None = None
    read_bytes_total: int | None = None  # from storage
    pages: tuple[NodePages, ...] | None = None
    uses_gpu: bool | None = None  # has a GPU's device file open


@dataclass(frozen=True, slots=True)
class Cpu:
    """Seconds that one CPU was busy (without `steal`), was stolen by the hypervisor, and its clock."""

    cpu: int
    busy_s: float | None = None
    idle_s: float | None = None
    steal_s: float | None = None
    clock_hz: float | None = None
    clock_max_hz: float | None = None
    node: int | None = None
    core: int | None = None  # the first of the hyperthreads of its core


@dataclass(frozen=True, slots=True)
class Node:
    """NUMA allocation counters of one node, in pages (Documentation/admin-guide/numastat.rst)."""

    node: int
    local: int | None = None
    other: int | None = None
    interleaved: int | None = None


@dataclass(frozen=True, slots=True)
class Pressure:
    """Stalled seconds by resource (PSI, Documentation/accounting/psi.rst)."""

    cpu_some_s: float | None = None
    memory_some_s: float | None = None
    memory_full_s: float | None = None
    io_some_s: float | None = None
    io_full_s: float | None = None


@dataclass(frozen=True, slots=True)
class Host:
    """The machine at one moment; counters since it was started."""

    cpus: tuple[Cpu, ...] | None = None
    memory_total_bytes: int | None = None
    memory_available_bytes: int | None = None
    refaults: int | None = None  # file pages evicted and needed again
    swapped_in: int | None = None  # pages
    swapped_out: int | None = None
    nodes: tuple[Node, ...] | None = None
    pressure: Pressure | None = None


@dataclass(frozen=True, slots=True)
class Cgroup:
    """The engine's control group: the tightest quota, cpuset and memory limit on its way up."""

    quota_cores: float | None = None
    periods: int | None = None
    throttled: int | None = None
    throttled_s: float | None = None
    memory_bytes: int | None = None
    memory_limit_bytes: int | None = None
    memory_stalls: int | None = None  # times the limit was met (failcnt, memory.events max)
    refaults: int | None = None
    oom_kills: int | None = None


@dataclass(frozen=True, slots=True)
class Sockets:
    """TCP connections at the engine's port. Unread: sent by the engine, and not yet taken by the client."""

    connections: int
    unread_bytes: int
    stuck: int  # connections with unread bytes
    accepting: int | None = None  # connections that nobody accepted yet


@dataclass(frozen=True, slots=True)
class GpuProcess:
    """A process on a GPU."""

    pid: int
    memory_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU, as its driver tells. `busy`: share of time with a kernel running; PCIe as seen from the card."""

    index: int
    busy: float | None = None
    memory_busy: float | None = None
    memory_used_bytes: int | None = None
    memory_total_bytes: int | None = None
    clock_hz: float | None = None
    clock_max_hz: float | None = None
    power_w: float | None = None
    power_limit_w: float | None = None
    temperature_c: float | None = None
    pstate: int | None = None
    reasons: tuple[str, ...] | None = None
    pcie_read_bytes_per_s: float | None = None  # host to GPU
    pcie_write_bytes_per_s: float | None = None
    link_generation: int | None = None
    link_width: int | None = None
    link_generation_max: int | None = None
    link_width_max: int | None = None
    replays: int | None = None
    ecc_uncorrected: int | None = None
    xids: tuple[int, ...] | None = None  # since the watch began
    processes: tuple[GpuProcess, ...] | None = None
    node: int | None = None  # NUMA node its slot hangs on
    address: str | None = None  # on PCI: 0000:65:00.0


@dataclass(frozen=True, slots=True)
class Engine:
    """What the engine says of itself. `t`: when it said so; `waited_s`: how long a question has been unanswered."""

    t: float
    kind: str | None = None  # llama.cpp | vllm | sglang | ollama
    answers: bool | None = None
    waited_s: float | None = None
    answer_s: float | None = None
    running: float | None = None
    waiting: float | None = None
    slots: int | None = None  # most sequences at once
    tokens_total: float | None = None
    prompt_tokens_total: float | None = None
    steps_total: float | None = None
    requests_total: float | None = None
    preemptions_total: float | None = None
    kv_usage: float | None = None  # 0..1
    context_fill: float | None = None  # fullest sequence, 0..1
    queue_s_total: float | None = None  # these four: seconds over all requests (tpot: tokens), and how many
    queue_count: float | None = None
    ttft_s_total: float | None = None
    ttft_count: float | None = None
    tpot_s_total: float | None = None
    tpot_count: float | None = None
    prefill_s_total: float | None = None
    prefill_count: float | None = None
    loaded: str | None = None  # these four: of a server that loads models by itself
    held_bytes: float | None = None
    gpu_share: float | None = None  # of these bytes, 0..1
    room_tokens: int | None = None  # of a sequence
    error: str | None = None
    trouble: str | None = None  # its kind: a value of `asking.address.Trouble`


@dataclass(frozen=True, slots=True)
class Probe:
    """Requests of our own: how many ended so far, and what the last one saw. `waited_s`: how long one is unanswered.

    `connect_s` is the time to connect, `ttft_s` from the question to the first token, `tpot_s` between tokens after it.
    """

    number: int
    failures: int = 0
    waited_s: float | None = None
    streams: bool | None = None  # the open one gets tokens already; None: none is open
    connect_s: float | None = None
    ttft_s: float | None = None
    tpot_s: float | None = None
    prompt_tokens: int | None = None
    tokens: int | None = None
    error: str | None = None
    trouble: str | None = None  # as of an engine


@dataclass(frozen=True, slots=True)
class KernelXid:
    """An error of NVIDIA's driver in the kernel's log, by PCI address."""

    address: str
    xid: int


@dataclass(frozen=True, slots=True)
class PcieErrors:
    """Advanced error reporting of one PCIe device: counters since boot. `replays` are correctable errors too."""

    address: str
    correctable: int | None = None
    replays: int | None = None
    nonfatal: int | None = None
    fatal: int | None = None
    logged: int | None = None  # lines of the kernel's log since the watch began


@dataclass(frozen=True, slots=True)
class Kernel:
    """Errors that the kernel knows of: its log (lines since the watch began) and its counters in /sys."""

    log_readable: bool
    xids: tuple[KernelXid, ...] | None = None
    log_gpu_resets: tuple[str, ...] | None = None  # addresses of AMD GPUs that were reset
    log_memory: int | None = None  # lines of machine checks and of memory controllers
    pcie: tuple[PcieErrors, ...] | None = None
    memory_corrected: int | None = None
    memory_uncorrected: int | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """Everything at one instant. `watcher_cpu_s` is what watching itself has cost so far."""

    t: float
    wall: float
    process: Process | None = None
    host: Host | None = None
    cgroup: Cgroup | None = None
    sockets: Sockets | None = None
    gpus: tuple[Gpu, ...] | None = None
    engine: Engine | None = None
    probe: Probe | None = None
    kernel: Kernel | None = None
    watcher_cpu_s: float | None = None
