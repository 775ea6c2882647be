"""Which cores and which memory a layout's CPU share runs on, and what its NUMA policy makes of their bandwidth."""

from __future__ import annotations

from collections.abc import Mapping

from wellfed.frozen import dataclass
from wellfed.hardware.machine import Machine, Socket
from wellfed.hardware.parts import CpuSpec
from wellfed.message import sentence
from wellfed.nouns.calibration import Calibration
from wellfed.nouns.layout import Layout, NumaPolicy
from wellfed.perf.host import usable_cores
from wellfed.provenance import Assumption

# What one core complex can read over its link to the memory controllers: 32 bytes per fabric clock, at the
# fabric clock the platform runs by default. Source: AMD "Software Optimization Guide" 19h/1Ah, EPYC tuning guides.
_DIE_BYTES_PER_S: Mapping[str, float] = {
    "zen2": 32 * 1.6e9,
    "zen3": 32 * 1.6e9,
    "zen4": 32 * 1.9e9,
    "zen5": 32 * 2.0e9,
}
_WIDE_LINK_DIES = {"zen4": 4, "zen5": 8}  # server parts with at most so many dies give each two links
# Vector units of a core against the usual of its instruction set (x86: two of 256 bits that multiply bytes, Arm: four
# of 128 bits). Zen 2 multiplies bytes on one of its units.
# Source: vendors' software optimisation guides and core descriptions.
_VECTOR_WIDTH: Mapping[str, float] = {
    "zen1": 0.5, "zen2": 0.7, "gracemont": 0.5, "tremont": 0.25, "skymont": 0.8, "penryn": 0.5,
    "cortex-a53": 0.25, "cortex-a55": 0.25, "cortex-a520": 0.25, "cortex-a72": 0.5, "cortex-a76": 0.5,
    "cortex-a78": 0.5, "cortex-a78ae": 0.5, "cortex-a720": 0.5, "neoverse-n1": 0.5, "neoverse-n2": 0.5,
    "ampereone": 0.5, "tsv110": 0.5, "cortex-x925": 1.5,
}  # fmt: skip
# Vector instructions of 256 bits that an x86 core starts a clock, of whatever kind: AMD's have four pipes (Zen 2: three
# with integer units, Zen 1: four of 128 bits), Intel's three ports (Lion Cove: four; Atom's of 128 bits). Sources: AMD
# "Software Optimization Guide" 17h to 1Ah, Intel "64 and IA-32 Architectures Optimization Reference Manual".
_USUAL_PIPES = 4.0
_VECTOR_PIPES: Mapping[str, float] = {
    "zen1": 2.0, "dhyana": 2.0, "zen2": 3.0, "haswell": 3.0, "broadwell": 3.0, "skylake": 3.0, "skylake-sp": 3.0,
    "cascade-lake": 3.0, "ice-lake": 3.0, "ice-lake-client": 3.0, "tiger-lake": 3.0, "rocket-lake": 3.0,
    "golden-cove": 3.0, "raptor-cove": 3.0, "redwood-cove": 3.0, "sapphire-rapids": 3.0, "emerald-rapids": 3.0,
    "granite-rapids": 3.0, "gracemont": 1.5, "sierra-forest": 1.5, "skymont": 2.0,
}  # fmt: skip
# What an efficiency core adds, against a performance core of the same part: half the vector width, less clock
# (assumed).
_EFFICIENCY_CORE = 0.4
# What a CPU of a virtual machine does at least, in cores: half, for a second thread adds nothing here (assumed).
_LEAST_OF_CPU = 0.5
_SINGLE_THREADED = frozenset({"sierra-forest", "lion-cove", "gracemont", "tremont", "skymont"})  # no second thread
_CLOCK_HZ, _CHANNELS, _MT_S = 3.0e9, 2, 3200.0  # assumed where nothing is known, and said so


@dataclass(frozen=True, slots=True)
class CpuShare:
    """The part of a machine's CPUs that works for a layout. All figures are theoretical."""

    sockets: int
    cores: float  # physical, performance cores only on hybrid parts
    threads: float
    clock_hz: float  # sustained by so many cores
    socket_bytes_per_s: float  # one socket's channels
    dies_bytes_per_s: float | None  # one socket's core complexes; None where they are no limit
    measured_bytes_per_s: float | None  # one socket's, from a benchmark
    small_pages_bytes_per_s: float | None  # the same without huge pages
    isa: str  # amx | avx512_vnni | avx512 | avx2 | sse | neon | neon_base | riscv
    bf16: bool  # multiplies BF16 natively
    fabric: str  # mesh (Intel servers) | local
    width: float = 1.0  # of a core's vector units, against the usual of its instruction set
    pipes: float = 1.0  # vector instructions a clock, against the usual and that width
    light_cores: float = 0.0  # efficiency cores, which work where there are more threads than performance cores
    assumptions: tuple[Assumption, ...] = ()

    @property
    def busy(self) -> float:
        """Performance cores at work, efficiency cores by what they add: a second thread on a core adds nothing."""
        light = min(max(0.0, self.threads - self.cores), self.light_cores)
        return min(self.threads, self.cores) + _EFFICIENCY_CORE * light


def cpu_share(machine: Machine, layout: Layout, threads: int | None = None) -> CpuShare:
    """The sockets, cores and memory that `layout` uses; `threads` overrides the layout's (prefill may use others)."""
    notes: list[Assumption] = []
    sockets = machine.sockets or (Socket(0),)
    used = 1 if layout.numa is NumaPolicy.ONE_SOCKET else len(sockets)
    first = sockets[0]
    cores = float(sum(_cores(socket, machine, notes) for socket in sockets[:used]))
    usable = usable_cores(machine)
    if usable is not None:
        cores = min(cores, usable * used / len(sockets))
    busy = threads or layout.threads or cores
    halved = _LEAST_OF_CPU ** (crowding(machine, busy, cores) / 2)  # between a core and a thread of one: the middle
    boost = machine.os.boost is not False
    clock = machine.measured_clock_hz or _clock(first, min(1.0, min(busy, cores) / cores), boost, notes)
    measured, small = machine.measured_memory_bandwidth_bytes_per_s, machine.measured_small_pages_bytes_per_s
    return CpuShare(
        sockets=used,
        cores=cores,
        threads=float(busy),
        clock_hz=clock,
        socket_bytes_per_s=_channels_bytes_per_s(first, measured is None, notes),
        dies_bytes_per_s=_dies_bytes_per_s(first),
        measured_bytes_per_s=measured / len(sockets) if measured else None,
        small_pages_bytes_per_s=small / len(sockets) if small else None,
        isa=dict(layout.options).get("isa") or instruction_set(first),  # a build may use less
        bf16=bool(_flags(first) & {"avx512_bf16", "bf16", "amx_bf16"}),
        fabric=_fabric(first.cpu),
        width=halved * _vector_width(first.cpu),
        pipes=_vector_pipes(first.cpu),
        light_cores=float(sum(_light_cores(socket) for socket in sockets[:used])),
        assumptions=tuple(dict.fromkeys(notes)),
    )


def _vector_width(spec: CpuSpec | None) -> float:
    return _VECTOR_WIDTH.get(spec.architecture, 1.0) if spec else 1.0


def _vector_pipes(spec: CpuSpec | None) -> float:
    pipes = _VECTOR_PIPES.get(spec.architecture, _USUAL_PIPES * _vector_width(spec)) if spec else _USUAL_PIPES
    return pipes / _USUAL_PIPES / _vector_width(spec)


def crowding(machine: Machine, threads: float, cores: float) -> float:
    """How far `threads` may have to share cores that a virtual machine shows as whole ones: 0 none, 1 all of them.

    Clouds mostly sell hardware threads as CPUs, and may hide which two are of one core. Half as many threads as CPUs
    need share none.
    """
    if not any(_hides_siblings(machine, socket) for socket in machine.sockets):
        return 0.0
    return min(1.0, max(0.0, 2 * threads / cores - 1))


def _hides_siblings(machine: Machine, socket: Socket) -> bool:
    """Whether its CPUs may be threads of cores: an x86 part whose cores have two, of which only one a core is shown."""
    if machine.os.virtualised is not True or socket.threads is None or socket.threads != socket.cores:
        return False
    several = socket.cpu is None or socket.cpu.stands_for_unknown or socket.cpu.threads > socket.cpu.cores
    single = socket.cpu is not None and socket.cpu.architecture in _SINGLE_THREADED
    return several and not single and not instruction_set(socket).startswith(("neon", "riscv"))


def policy_factor(machine: Machine, layout: Layout, calibration: Calibration) -> float:
    """Bandwidth that a layout's NUMA policy gets, relative to one socket with threads and memory bound to it.

    Interleaved pages are mostly remote and cross the socket link; threads bound without their memory are worse;
    a copy of the weights per socket gains less than the sockets' sum.
    """
    if len(machine.sockets) < 2:
        return 1.0
    if _hidden(machine):  # the firmware deals pages out to all sockets, whatever a policy asks for
        return calibration.value("cpu", "interleave_factor")
    if layout.numa is NumaPolicy.ONE_SOCKET:
        return 1.0
    name = {
        NumaPolicy.INTERLEAVE: "interleave_factor",
        NumaPolicy.DUPLICATE: "duplicate_factor",
        NumaPolicy.UNBOUND_MEMORY: "unbound_factor",
    }[layout.numa]
    return calibration.value("cpu", name)


def _hidden(machine: Machine) -> bool:
    """Whether fewer nodes are shown than there are sockets."""
    nodes = sum(not node.gpu_memory for node in machine.numa_nodes)
    return 0 < nodes < len(machine.sockets)


def instruction_set(socket: Socket) -> str:
    """The widest instructions that inference kernels use there."""
    flags = _flags(socket)
    if socket.cpu is not None and socket.cpu.architecture.startswith("riscv"):
        return "riscv"
    if flags & {"neon", "sve", "asimd", "sve2", "asimddp", "dotprod"}:
        return "neon" if flags & {"dotprod", "asimddp", "i8mm", "sve", "sve2"} else "neon_base"
    if flags & {"amx", "amx_int8", "amx_tile"}:
        return "amx"
    if flags & {"avx512_vnni", "avx512vnni"}:
        return "avx512_vnni"
    if flags & {"avx512", "avx512f"}:
        return "avx512"
    is_told = bool(flags) or socket.cpu is not None
    return "avx2" if "avx2" in flags or not is_told else "sse"


def _flags(socket: Socket) -> frozenset[str]:
    return socket.isa | (socket.cpu.isa if socket.cpu else frozenset())


def _fabric(spec: CpuSpec | None) -> str:
    """How cores reach memory: the farther, the less one of them draws with the misses that it may have in flight.

    `dies`: AMD's servers and workstations, whose core complexes hang on a large I/O die.
    """
    if _server_mesh(spec):
        return "mesh"
    return "dies" if spec is not None and spec.dies is not None and spec.memory_channels > 2 else "local"


def _server_mesh(spec: CpuSpec | None) -> bool:
    """Intel server cores hang on a mesh; one of them draws far less memory bandwidth than a desktop core does."""
    return spec is not None and spec.mesh


def _cores(socket: Socket, machine: Machine, notes: list[Assumption]) -> int:
    spec = socket.cpu
    if spec is not None and spec.performance_cores:
        return min(socket.cores or spec.performance_cores, spec.performance_cores)
    cores = socket.cores or (spec.cores if spec else None)
    if cores is None:
        cores = max(1, len(machine.cpus) // 2) if machine.cpus else 8
        notes.append(
            Assumption(
                sentence("numa.physical-cores", "{cores} physical cores", cores=cores),
                sentence("numa.number-cores-unknown", "the number of cores is unknown"),
            )
        )
    return cores


def _light_cores(socket: Socket) -> int:
    spec = socket.cpu
    if spec is None or not spec.performance_cores:
        return 0
    return max(0, (socket.cores or spec.cores) - spec.performance_cores)


def _clock(socket: Socket, share: float, boosts: bool, notes: list[Assumption]) -> float:
    """Boost with one core at work, halfway down to base with all of them; base where boost is off."""
    spec = socket.cpu
    boost = (spec.boost_clock_hz if spec else None) or socket.clock_max_hz
    base = (spec.base_clock_hz if spec else None) or boost
    boost = boost if boosts else base
    if boost is None and base is None:
        notes.append(
            Assumption(
                sentence("numa.cores-3-ghz", "3 GHz cores"), sentence("numa.clock-unknown", "the clock is unknown")
            )
        )
        return _CLOCK_HZ
    top, bottom = boost or base or _CLOCK_HZ, base or boost or _CLOCK_HZ
    if _server_mesh(spec) and "avx512" in _flags(socket):
        return bottom  # what wide instructions leave of the turbo
    return top - (top - bottom) * 0.5 * share


def _channels_bytes_per_s(socket: Socket, tell: bool, notes: list[Assumption]) -> float:
    measured = socket.memory_bandwidth_bytes_per_s
    if measured is not None:
        return measured
    spec = socket.cpu
    channels = socket.channels or (spec.memory_channels if spec else _CHANNELS)
    speed = socket.mt_s or (spec.memory_mt_s[0] if spec and spec.memory_mt_s else _MT_S)
    if tell:
        notes.append(
            Assumption(
                sentence(
                    "numa.memory-channels-mt",
                    "{channels} memory channels at {speed:.0f} MT/s a socket",
                    channels=channels,
                    speed=speed,
                ),
                sentence("numa.modules-unknown", "the modules are unknown"),
            )
        )
    return channels * speed * 1e6 * (spec.memory_bus_bytes if spec else 8)


def _dies_bytes_per_s(socket: Socket) -> float | None:
    spec = socket.cpu
    generation = spec.architecture.rstrip("c") if spec else ""
    if spec is None or spec.dies is None or generation not in _DIE_BYTES_PER_S:
        return None
    links = 2 if "EPYC" in spec.name and spec.dies <= _WIDE_LINK_DIES.get(generation, 0) else 1
    return spec.dies * links * _DIE_BYTES_PER_S[generation]
