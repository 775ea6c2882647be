"""Time on CPUs: weights stream from memory, are unpacked and multiplied; every op ends in a barrier of all threads.

    seconds = (memory^s + compute^s)^(1/s) + barrier
    memory  = bytes / bandwidth
    compute = (unpacked / unpack rate + multiplied / multiply rate + pairs x pair cycles) / (busy cores x clock)
    barrier = launches x (op overhead + threads^2 x barrier time)

The power mean is a smooth maximum: reading and computing overlap, but not perfectly. A weight is unpacked, and
multiplied on the way, once per tile of input rows; the tile's other rows only multiply. Kernels without tiles unpack
for every row, which is why they prefill low-bit types so slowly. `pairs` are head-key pairs of single queries: no tile
shares what a kernel does around each. More threads are never slower up to the cores until barriers outweigh what they
add, as on real machines; threads beyond the cores take turns with others that wait, and slow all. Where each socket has
its own copy of the weights it also has its own pool of threads. What sockets compute together is less than their sum:
activations and results cross the links between them. `perf.kernels` knows the cycles.
"""

from __future__ import annotations

from collections.abc import Iterable

from wellfed.frozen import dataclass
from wellfed.hardware.machine import Machine
from wellfed.nouns.calibration import Calibration
from wellfed.nouns.estimate import Term, Work, slower_side
from wellfed.nouns.layout import Layout, NumaPolicy
from wellfed.perf.kernels import WEIGHT_TYPES, attention_scope, cpu_engine, cycles_of
from wellfed.perf.memory.kv import kv_element_bytes
from wellfed.perf.numa import CpuShare, cpu_share, policy_factor
from wellfed.perf.ops import RECURRENT
from wellfed.provenance import Assumption

_SHARPNESS = 4.0  # how sharply memory and compute time join where they are alike (assumed)


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
    core = calibration.value("cpu", share.fabric, "core_bytes_per_cycle") * share.clock_hz * share.width
    pages = calibration.value("cpu", "huge_pages_factor") if layout.huge_pages else 1.0
    return smooth_minimum(reach, share.busy * core) * pages * oversubscribed(share, calibration)


def oversubscribed(share: CpuShare, calibration: Calibration) -> float:
    """What is left where more threads than cores take turns at spinning barriers; 1 up to the cores."""
    crowd = max(1.0, share.threads / (share.cores + share.light_cores))
    left: float = crowd ** -calibration.value("cpu", "oversubscribed_power")
    return left


def cycles_per_s(share: CpuShare, calibration: Calibration) -> float:
    """Clocks of all busy cores, vectors of the usual width; of several sockets less than their sum."""
    together: float = share.sockets ** -calibration.value("cpu", "sockets_power")
    return share.busy * share.clock_hz * share.width * oversubscribed(share, calibration) * together


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
            work.read_bytes + work.cache_bytes,
            elements_of(work, layout),
            work.flops / 2,
            work.lone_pairs,
            work.launches,
            rates,
        )
        ops = total - work.launches * rates.barrier_s
        barriers += work.launches * rates.barrier_s
        terms.append(Term(work.name, ops, slower_side(memory, compute), "cpu"))
    return (*terms, Term("barriers", barriers, "thread synchronisation", "cpu"))


def most_flops(machine: Machine, layout: Layout, calibration: Calibration) -> float:
    """FLOPs a second that a layout's CPU share multiplies at most, whatever the type of the weights."""
    share = cpu_share(machine, layout)
    cycles = (cycles_of(kind, "attention weights", share, layout, calibration) for kind in WEIGHT_TYPES)
    return 2 * cycles_per_s(share, calibration) / min(per_mac + min(0.0, element) for element, per_mac in cycles)


def elements_of(work: Work, layout: Layout) -> float:
    """Weights or cached values that a work reads, never more than it multiplies with."""
    cached = work.cache_bytes / kv_element_bytes(layout.kv_type) if _attends(work) else 0.0
    return min(work.elements + cached, work.flops / 2)


def _attends(work: Work) -> bool:
    return not work.read_bytes and work.name != RECURRENT


def rates_for(work: Work, share: CpuShare, bandwidth: float, layout: Layout, calibration: Calibration) -> CpuRates:
    """Rates of `share` for one work under the layout's engine."""
    engine = cpu_engine(layout)
    if work.read_bytes:
        parts = [(part, cycles_of(kind, work.name, share, layout, calibration)) for kind, part in _mix(work)]
        per_element, per_mac = (sum(part * cycles[place] for part, cycles in parts) for place in (0, 1))
    elif _attends(work):  # keys and values are converted once for all heads that share them
        per_element = 1 / calibration.value("cpu", engine, "cache_per_cycle")
        per_mac = 1 / calibration.value("cpu", attention_scope(layout, share), "attention_macs_per_cycle")
    else:
        per_element, per_mac = 0.0, 1 / calibration.value("cpu", engine, "state_macs_per_cycle")
    scattered = calibration.value("cpu", "expert_fraction") if work.name == "routed experts" else 1.0
    pool = share.threads / share.sockets if layout.numa is NumaPolicy.DUPLICATE else share.threads
    barrier = pool**2 * calibration.value("cpu", engine, "barrier_ns") * 1e-9
    return CpuRates(
        bytes_per_s=bandwidth * scattered,
        cycles_per_s=cycles_per_s(share, calibration),
        cycles_per_element=per_element,
        cycles_per_mac=per_mac,
        cycles_per_pair=calibration.value("cpu", engine, "pair_cycles"),
        barrier_s=calibration.value("cpu", "op_us") * 1e-6 + barrier,
    )


def _mix(work: Work) -> tuple[tuple[str, float], ...]:
    return work.mix or ((work.weight_type, 1.0),)
