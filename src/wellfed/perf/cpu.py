"""Time on CPUs: weights stream from memory, are unpacked and multiplied; every op ends in a barrier of all threads.

    seconds = (memory^s + compute^s)^(1/s) + barrier
    memory  = bytes / bandwidth
    compute = (unpacked / unpack rate + multiplied / multiply rate + pairs x pair cycles) / (busy cores x clock)
    barrier = launches x (op overhead + threads^2 x barrier time)

The power mean is a smooth maximum: reading and computing overlap, but not perfectly. A weight is unpacked, and
multiplied on the way, once per tile of input rows; the tile's other rows only multiply. Kernels without tiles unpack
for every row, which is why they prefill low-bit types so slowly. `pairs` are head-key pairs of single queries: no tile
shares what a kernel does around each. More
threads are never slower up to the cores until barriers outweigh what they add, as on real machines; threads beyond
the cores add barriers only. Where each socket has its own copy of the weights it also has its own pool of threads.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from wellfed.calibration import Calibration
from wellfed.estimate import Term, Work
from wellfed.hardware.machine import Machine
from wellfed.layout import Engine, Layout, NumaPolicy
from wellfed.models.gguf_types import plain
from wellfed.perf.numa import CpuShare, cpu_share, policy_factor
from wellfed.provenance import Assumption

_SHARPNESS = 4.0

# llama.cpp interleaves the rows of these matrices (not experts) when it loads them, since (x86, Arm).
_REPACKED: Mapping[str, tuple[str, str]] = {
    "Q4_0": ("2024-12-01", "2024-12-01"),
    "Q4_K": ("2025-03-20", "2025-03-20"),
    "IQ4_NL": ("2025-03-20", "2024-12-01"),
}
_BLAS = frozenset({"F32", "F16", "BF16", "Q8_0", "Q4_0", "Q5_0", "IQ4_NL"})  # llama.cpp tiles these on x86 (sgemm.cpp)
_X86_WIDE = frozenset({"avx512", "avx512_vnni", "amx"})

# Families of weight types by how their values are unpacked on a CPU.
_FAMILIES: Mapping[str, tuple[str, ...]] = {
    "float": ("F32", "F16", "BF16", "FP8", "FP8-UE8M0", "FP8-TENSOR"),
    "plain": (
        "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q6_0", "Q8_0", "Q8_1", "Q8_KV", "Q8_K", "IQ4_NL", "MXFP4", "NVFP4", "INT8",
        "INT4-G128", "INT4-G32", "IQ1_BN", "IQ2_BN", "TQ1_0", "TQ2_0", "Q1_0",
    ),
    "k": ("Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_XS"),
    "iqk": (
        "IQ2_K", "IQ3_K", "IQ4_K", "IQ5_K", "IQ6_K", "IQ2_KS", "IQ3_KS", "IQ4_KS", "IQ5_KS", "IQ4_KSS", "IQ2_KL",
    ),
    "codebook2": ("IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S"),
    "codebook3": ("IQ3_XXS", "IQ3_S"),
    "trellis": ("IQ1_KT", "IQ2_KT", "IQ3_KT", "IQ4_KT"),
}  # fmt: skip
_FAMILY = {name: family for family, names in _FAMILIES.items() for name in names}


@dataclass(frozen=True, slots=True)
class CpuRates:
    """What a CPU share achieves on one kind of work. Fields may be arrays: a fit passes all rows at once."""

    bytes_per_s: float
    cycles_per_s: float  # busy cores x clock
    cycles_per_element: float  # of a weight read, beside what every multiply-add with it costs
    cycles_per_mac: float
    cycles_per_pair: float  # of a single query's head and key
    barrier_s: float  # of one op


def work_seconds(
    read_bytes: float, elements: float, macs: float, pairs: float, launches: float, rates: CpuRates
) -> tuple[float, float, float]:
    """Memory, compute and total seconds; `elements` are the weights read, `macs` the multiply-adds with them."""
    memory = read_bytes / rates.bytes_per_s
    cycles = elements * rates.cycles_per_element + macs * rates.cycles_per_mac + pairs * rates.cycles_per_pair
    compute = cycles / rates.cycles_per_s
    total = (memory**_SHARPNESS + compute**_SHARPNESS) ** (1 / _SHARPNESS) + launches * rates.barrier_s
    return memory, compute, total


def smooth_minimum(a: float, b: float) -> float:
    """Nearly the smaller of two rates; a little less where they are alike."""
    least: float = (a**-_SHARPNESS + b**-_SHARPNESS) ** (-1 / _SHARPNESS)
    return least


def family(weight_type: str) -> str:
    """The unpacking family of a weight type."""
    return _FAMILY.get(plain(weight_type), "k")


def cpu_bandwidth(
    machine: Machine, layout: Layout, calibration: Calibration, threads: int | None = None
) -> tuple[float, tuple[Assumption, ...]]:
    """Bytes per second at which a layout's CPU share reads weights, and what had to be assumed.

    The least of what the channels (or a benchmark of them) and the core complexes' links deliver on one socket, times
    what the NUMA policy makes of several, and of what the busy cores can draw.
    """
    share = cpu_share(machine, layout, threads)
    return share_bandwidth(share, machine, layout, calibration), share.assumptions


def share_bandwidth(share: CpuShare, machine: Machine, layout: Layout, calibration: Calibration) -> float:
    """The bandwidth of `cpu_bandwidth` for a known share."""
    reach = (
        share.measured_bytes_per_s * calibration.value("cpu", "measured_fraction")
        if share.measured_bytes_per_s
        else share.socket_bytes_per_s * calibration.value("cpu", "bandwidth_fraction")
    )
    if share.dies_bytes_per_s is not None:
        reach = smooth_minimum(reach, share.dies_bytes_per_s)
    if share.small_pages_bytes_per_s is not None and not layout.huge_pages:
        reach = min(reach, share.small_pages_bytes_per_s)  # a file's pages are small, and virtual machines pay twice
    reach *= policy_factor(machine, layout, calibration)
    core = calibration.value("cpu", share.fabric, "core_bytes_per_cycle") * share.clock_hz
    pages = calibration.value("cpu", "huge_pages_factor") if layout.huge_pages else 1.0
    return smooth_minimum(reach, share.busy * core) * pages


def cpu_terms(
    works: Iterable[Work],
    machine: Machine,
    layout: Layout,
    calibration: Calibration,
    threads: int | None = None,
) -> tuple[Term, ...]:
    """What each work takes on the CPUs, one term a work, and one for the barriers between their ops."""
    share = cpu_share(machine, layout, threads)
    bandwidth = share_bandwidth(share, machine, layout, calibration)
    terms, barriers = [], 0.0
    for work in works:
        rates = rates_for(work, share, bandwidth, layout, calibration)
        memory, compute, total = work_seconds(
            work.read_bytes + work.cache_bytes, elements_of(work), work.flops / 2, work.lone_pairs, work.launches, rates
        )
        ops = total - work.launches * rates.barrier_s
        barriers += work.launches * rates.barrier_s
        terms.append(Term(work.name, ops, "memory bandwidth" if memory >= compute else "compute", "cpu"))
    return (*terms, Term("barriers", barriers, "thread synchronisation", "cpu"))


def elements_of(work: Work) -> float:
    """Weights that a work reads, never more than it multiplies with."""
    return min(work.elements, work.flops / 2)


def rates_for(work: Work, share: CpuShare, bandwidth: float, layout: Layout, calibration: Calibration) -> CpuRates:
    """Rates of `share` for one work under the layout's engine."""
    engine = cpu_engine(layout)
    if work.read_bytes:
        parts = [(part, _cycles(kind, work, share, layout, calibration)) for kind, part in _mix(work)]
        per_element, per_mac = (sum(part * cycles[place] for part, cycles in parts) for place in (0, 1))
    else:  # attention over the cache: no weights to unpack
        per_element, per_mac = 0.0, 1 / calibration.value("cpu", engine, "attention_macs_per_cycle")
    scattered = calibration.value("cpu", "expert_fraction") if work.name == "routed experts" else 1.0
    pool = share.threads / share.sockets if layout.numa is NumaPolicy.DUPLICATE else share.threads
    barrier = pool**2 * calibration.value("cpu", "barrier_ns") * 1e-9
    return CpuRates(
        bytes_per_s=bandwidth * scattered,
        cycles_per_s=share.busy * share.clock_hz,
        cycles_per_element=per_element,
        cycles_per_mac=per_mac,
        cycles_per_pair=calibration.value("cpu", engine, "pair_cycles"),
        barrier_s=calibration.value("cpu", "op_us") * 1e-6 + barrier,
    )


def _mix(work: Work) -> tuple[tuple[str, float], ...]:
    return work.mix or ((work.weight_type, 1.0),)


def _cycles(kind: str, work: Work, share: CpuShare, layout: Layout, calibration: Calibration) -> tuple[float, float]:
    """Cycles of a core per element read and per multiply-add.

    With tiles of t rows, u elements unpacked and m multiplied a cycle: unpacked = elements (1 - 1/t) + macs / t, and
    cycles = unpacked / u + (macs - unpacked) / m.
    """
    engine, tile = cpu_engine(layout), tile_scope(layout, work.name, kind, share.isa)
    again = 1 / calibration.value("cpu", tile, "tile_rows")
    unpack = 1 / _unpack_per_cycle(kind, share, engine, tile, calibration)
    multiply = 1 / calibration.value("cpu", *_mac_scope(kind, share, engine))
    return (1 - again) * (unpack - multiply), again * unpack + (1 - again) * multiply


def _unpack_per_cycle(kind: str, share: CpuShare, engine: str, tile: str, calibration: Calibration) -> float:
    """Interleaved rows take the engine's usual share of a family's rate, whatever the family's own loop does."""
    of_engine = (engine,) if tile.endswith("repacked") else (engine, _side(share.isa), family(kind))
    rate = calibration.value("cpu", family(kind), "unpack_per_cycle")
    width = calibration.value("cpu", _code(share.isa, engine), engine, "unpack_width")
    return rate * calibration.value("cpu", *of_engine, "unpack_fraction") * width


def _code(isa: str, engine: str) -> str:
    """The instructions that an engine's kernels are written in: llama.cpp's on x86 are AVX2, nearly all of them."""
    return "avx2" if engine == "llama.cpp" and isa in _X86_WIDE else isa


def _side(isa: str) -> str:
    return "arm" if isa.startswith("neon") else isa if isa == "riscv" else "x86"


def _mac_scope(kind: str, share: CpuShare, engine: str) -> tuple[str, str, str]:
    """Integer products for quantised weights, FP32 for floats but native BF16.

    AMX only in KTransformers and for its own INT8, INT4 and BF16 weights: GGUF types run llamafile's kernels there.
    """
    tiles = engine == "ktransformers" and (kind.startswith("INT") or kind == "BF16")
    isa = "avx512_vnni" if share.isa == "amx" and not tiles else share.isa
    native = kind == "BF16" and share.bf16 and engine != "llama.cpp"
    return (
        _code(isa, engine),
        engine,
        "float_macs_per_cycle" if family(kind) == "float" and not native else "macs_per_cycle",
    )


def cpu_engine(layout: Layout) -> str:
    """Whose CPU kernels run: SGLang's hybrid mode borrows KTransformers'."""
    return {
        Engine.LLAMA_CPP: "llama.cpp",
        Engine.IK_LLAMA_CPP: "ik_llama.cpp",
    }.get(layout.engine, "ktransformers")


def tile_scope(layout: Layout, name: str, kind: str, isa: str) -> str:
    """Which tile size applies to weights of type `kind` in the work `name`.

    ik_llama.cpp unpacks large batches once since June 2025, repacked types always. llama.cpp has tiles for interleaved
    rows and for plain types on x86; the dot products of all others take one row at a time.
    """
    engine, built = cpu_engine(layout), dict(layout.options).get("built", "")
    if engine == "ik_llama.cpp" and "" < built < "2025-06-16" and plain(kind) == kind:
        return "ik_llama.cpp.old"
    if engine != "llama.cpp":
        return engine
    since = _REPACKED.get(kind, ("9999", "9999"))[_side(isa) == "arm"]
    if name != "routed experts" and since <= (built or "9998"):
        return "llama.cpp.repacked"
    return "llama.cpp.blas" if kind in _BLAS and _side(isa) == "x86" else engine
