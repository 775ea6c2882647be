"""The host's speed: what one of its cores does for the GPUs, how many cores there are for it, and what lowers both.

Engines launch kernels, schedule, sample, tokenise and answer with a few threads that hardly share their work, so one
core's speed counts. It is told against a reference core (`REFERENCE_RATING`): host work measured in seconds of that
core takes `seconds / ratio` on this one, and longer where threads wait for a core (`HostSpeed.stretch`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import StrEnum

from wellfed.frozen import dataclass
from wellfed.hardware.machine import Machine, OsSettings, Socket
from wellfed.hardware.parts import CpuSpec
from wellfed.message import sentence
from wellfed.perf.identity import per_object
from wellfed.provenance import Assumption

REFERENCE_RATING = 4300.0  # PassMark's single-thread rating of a Ryzen 9 7950X (cpubenchmark.net, rounded): ratio 1
_RATING_SIGMA = 0.08  # of a published rating against what engines' host code makes of a core
_DERIVED_SIGMA = 0.15  # log error of a rating from the clock and the core's generation: assumed
_UNKNOWN_SIGMA = 0.30  # the same of a core that nothing tells of: assumed

# Rating per GHz of boost clock by core, rounded from published single-thread ratings of parts with that core.
_RATING_PER_GHZ: Mapping[str, float] = {
    "zen1": 500, "zen2": 590, "zen3": 700, "zen4": 755, "zen4c": 755, "zen5": 830, "zen5c": 830,
    "penryn": 380, "ivy-bridge": 500, "haswell": 560, "broadwell": 570, "skylake": 600, "skylake-sp": 570,
    "cascade-lake": 580, "ice-lake": 700, "rocket-lake": 690, "golden-cove": 790, "raptor-cove": 790,
    "sapphire-rapids": 760, "emerald-rapids": 770, "granite-rapids": 790, "sierra-forest": 620, "lion-cove": 890,
    "apple": 1150, "neoverse-n1": 470, "neoverse-v2": 800, "neoverse-v3ae": 850, "ampereone": 450, "tsv110": 400,
    "cortex-a72": 290, "cortex-a76": 430, "cortex-a78ae": 520, "cortex-a720": 640, "cortex-x925": 950, "oryon": 950,
    "riscv-p550": 270,
}  # fmt: skip
# Hosts of unknown CPUs: modules (SXM, OAM) sit in two-socket servers, cards in anything. Ratios to the reference
# core: assumed, from the ratings of what such machines usually have.
_MODULE_FORMS = frozenset({"sxm", "oam", "nvl"})
_SERVER_RATIO, _CARD_RATIO = 0.70, 0.80

# `schedutil` follows the load, `powersave` of old drivers holds the lowest clock and that of Intel's and AMD's own
# drivers follows the load hesitantly; both are taken as the latter, since the driver is not told.
_GOVERNORS: Mapping[str, float] = {"performance": 1.0, "schedutil": 0.95, "ondemand": 0.93, "conservative": 0.85}
_POWERSAVE = 0.88
_NO_BOOST = 0.75  # base over boost clock where they are not known
_LEAST_CLOCK, _MOST_CLOCK = 0.2, 1.1  # of the boost clock: what a clock reading may say


class Loss(StrEnum):
    """What makes a host slower than its CPU is."""

    GOVERNOR = "frequency governor"
    BOOST_OFF = "boost is off"
    CLOCK = "clock below the part's boost clock"
    QUOTA = "CPU quota"
    CPUSET = "CPUs this process may use"
    ISOLATED = "isolated CPUs"
    OFFLINE = "offline CPUs"


@dataclass(frozen=True, slots=True)
class HostSpeed:
    """One core against the reference core, and the cores there are.

    `ratio` has the clock now in it, `unhindered` has not; `sigma` is the log doubt of `ratio`. `losses` are what lowers
    the ratio (factors below 1) and the cores (the share that is left). `cores` is None where nothing tells.
    """

    ratio: float
    unhindered: float
    sigma: float
    cores: float | None
    losses: tuple[tuple[Loss, float], ...] = ()
    assumptions: tuple[Assumption, ...] = ()

    def stretch(self, threads: float) -> float:
        """How much longer host work takes where `threads` busy threads share the cores: 1 as long as they suffice."""
        return 1.0 if self.cores is None else max(1.0, threads / max(0.1, self.cores))

    def seconds(self, reference_s: float, threads: float = 1.0) -> float:
        """Seconds here of work that takes the reference core `reference_s`, with `threads` busy threads in all."""
        return reference_s / self.ratio * self.stretch(threads)


@per_object
def host_speed(machine: Machine) -> HostSpeed:
    """The host's speed: published single-thread rating (else boost clock x rating per GHz of the core) x clock now.

    Several sockets: the slowest, since ranks run on each. A CPU that is not known gets the ratio of hosts that such
    GPUs are sold in, a wide doubt and an assumption.
    """
    unhindered, sigma, assumptions = _unhindered(machine)
    clocks = _clock_losses(machine)
    cores, shares = _cores(machine)
    ratio = unhindered * math.prod(factor for _, factor in clocks)
    return HostSpeed(ratio, unhindered, sigma, cores, (*clocks, *shares), assumptions)


def usable_cores(machine: Machine) -> float | None:
    """Cores that an engine's threads may use: without those that quota, CPU set or isolation take; None = unknown."""
    return _cores(machine)[0]


def part_ratio(cpu: CpuSpec) -> float | None:
    """The ratio of a catalogue part at its boost clock; None where neither rating nor clock is known."""
    if cpu.single_thread_rating is not None:
        return cpu.single_thread_rating / REFERENCE_RATING
    per_ghz, clock = _RATING_PER_GHZ.get(cpu.architecture), cpu.boost_clock_hz or cpu.base_clock_hz
    if per_ghz is None or clock is None:
        return None
    return per_ghz * clock / 1e9 / REFERENCE_RATING


def _unhindered(machine: Machine) -> tuple[float, float, tuple[Assumption, ...]]:
    ratios = [(part_ratio(socket.cpu), socket.cpu) for socket in machine.sockets if socket.cpu is not None]
    ratios_of_cpus = [(ratio, cpu) for ratio, cpu in ratios if ratio is not None]
    if ratios_of_cpus:
        ratio, cpu = min(ratios_of_cpus, key=lambda pair: pair[0])
        sigma = _RATING_SIGMA if cpu.single_thread_rating is not None else _DERIVED_SIGMA
        return ratio, sigma, ()
    clocks = [socket.clock_max_hz for socket in machine.sockets if socket.clock_max_hz]
    if clocks:
        text = sentence(
            "host.core-does-per",
            "a core does {rating_per_ghz:.2f} per GHz of a Ryzen 9 7950X's",
            rating_per_ghz=_RATING_PER_GHZ["zen3"] / REFERENCE_RATING,
        )
        ratio = _RATING_PER_GHZ["zen3"] * min(clocks) / 1e9 / REFERENCE_RATING
        return (
            ratio,
            _UNKNOWN_SIGMA,
            (Assumption(text, sentence("host.cpu-single-thread", "the CPU's single-thread speed is not known")),),
        )
    modules = any(gpu.spec is not None and gpu.spec.form in _MODULE_FORMS for gpu in machine.gpus)
    ratio = _SERVER_RATIO if modules else _CARD_RATIO
    place = (
        sentence("host.servers-such-modules", "servers that such modules are sold in")
        if modules
        else sentence("host.machines-such-cards", "machines that such cards are put in")
    )
    text = sentence("host.host-cores-do", "the host's cores do {ratio:.0%} of a Ryzen 9 7950X's", ratio=ratio)
    return (
        ratio,
        _UNKNOWN_SIGMA,
        (Assumption(text, sentence("host.cpu-known", "the CPU is not known: as {place}", place=place)),),
    )


def _clock_losses(machine: Machine) -> tuple[tuple[Loss, float], ...]:
    """What holds the clock down. A maximum below base clock without boost tells of boost itself and counts once."""
    losses: list[tuple[Loss, float]] = []
    if machine.os.boost is False:
        losses.append((Loss.BOOST_OFF, _without_boost(machine)))
    elif (limit := _clock_limit(machine)) < 1:
        losses.append((Loss.CLOCK, limit))
    if (governed := _governed(machine.os)) < 1:
        losses.append((Loss.GOVERNOR, governed))
    return tuple(losses)


def _without_boost(machine: Machine) -> float:
    cpus = [socket.cpu for socket in machine.sockets if socket.cpu is not None]
    shares = [cpu.base_clock_hz / cpu.boost_clock_hz for cpu in cpus if cpu.base_clock_hz and cpu.boost_clock_hz]
    return min(shares, default=_NO_BOOST)


def _clock_limit(machine: Machine) -> float:
    """The slowest socket's maximum clock over its part's boost clock, at most 1."""
    shares = [_clock_share(socket) for socket in machine.sockets]
    return min((share for share in shares if share is not None), default=1.0)


def _clock_share(socket: Socket) -> float | None:
    boost = socket.cpu.boost_clock_hz if socket.cpu else None
    if not boost or not socket.clock_max_hz:
        return None
    share = socket.clock_max_hz / boost
    if not _LEAST_CLOCK <= share <= _MOST_CLOCK:
        return None  # a reading of something else
    # A few percent below are boards' and drivers' roundings: the kernel tells the guaranteed single-core boost.
    return 1.0 if share > 0.95 else share


def _governed(settings: OsSettings) -> float:
    """The mean over CPUs of what their governors leave of the clock."""
    counts = dict(settings.governors) or ({settings.governor: 1} if settings.governor else {})
    total = sum(counts.values())
    if not total:
        return 1.0
    return sum(_GOVERNORS.get(name, _POWERSAVE) * count for name, count in counts.items()) / total


@per_object
def _cores(machine: Machine) -> tuple[float | None, tuple[tuple[Loss, float], ...]]:
    """Cores that the engine's threads may use, and what takes the others away."""
    all_cores = _whole_cores(machine)
    if all_cores is None:
        return machine.os.cpu_quota, ()
    settings, losses, left = machine.os, [], all_cores
    per_core = _threads_per_core(machine, all_cores)
    offline, isolated = len(settings.cpus_offline or ()), len(settings.cpus_isolated or ())
    if offline and settings.smt is not False:
        losses.append((Loss.OFFLINE, 1 - min(left, offline / per_core) / (left + offline / per_core)))
    if settings.cpus_allowed:
        allowed = len(set(settings.cpus_allowed) - set(settings.cpus_isolated or ())) / per_core
    else:
        allowed = left - isolated / per_core
    if isolated:
        losses.append((Loss.ISOLATED, max(0.0, 1 - isolated / per_core / left)))
    elif allowed < left:
        losses.append((Loss.CPUSET, allowed / left))
    left = max(0.5, min(left, allowed))
    if settings.cpu_quota is not None and settings.cpu_quota < left:
        losses.append((Loss.QUOTA, settings.cpu_quota / left))
        left = settings.cpu_quota
    return left, tuple(losses)


def _whole_cores(machine: Machine) -> float | None:
    """Physical cores online of all sockets; the operating system's CPUs where no socket is told."""
    counts = [socket.cores or (socket.cpu.cores if socket.cpu else None) for socket in machine.sockets]
    core_counts = [count for count in counts if count]
    if core_counts and len(core_counts) == len(counts):
        return float(sum(core_counts))
    online = machine.os.cpus_online
    return float(len(online)) if online else None


def _threads_per_core(machine: Machine, cores: float) -> float:
    online = machine.os.cpus_online
    return max(1.0, len(online) / cores) if online else 1.0
