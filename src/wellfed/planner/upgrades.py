"""The next upgrade: the same question asked of a changed machine."""

from __future__ import annotations

from collections.abc import Iterator

from wellfed.frozen import dataclass, replace
from wellfed.hardware.machine import Gpu, GpuLink, Machine, Socket
from wellfed.hardware.pcie import PcieLink
from wellfed.message import sentence
from wellfed.nouns.plan import Plan
from wellfed.perf.host import host_speed
from wellfed.planner.host_cost import HostCost
from wellfed.planner.search import Search

USUAL_BITS = 4.0  # what a plan asks of weights when nothing is said: below, answers get visibly worse
_USUAL_CARD = "rtx 4090"


@dataclass(frozen=True, slots=True)
class Upgrade:
    """A change of the machine, the best plan on the changed one, and the gain in total tokens/s (1.0 = none).

    `finer`: the change makes room for weights of this quantisation, where now only coarser ones than 4 bits fit.
    """

    change: str
    plan: Plan
    gain: float
    ttft_gain: float
    finer: str | None = None


def upgrades(search: Search, best: Plan | None) -> tuple[Upgrade, ...]:
    """What each single change would buy, most gain first; every figure is an estimate of the changed machine."""
    rows = []
    for change, machine in changed_machines(search.machine):
        goal = search.goal
        if best is not None:
            layout = best.layout
            guess = layout.speculation or goal.speculation  # what drafts on the best plan drafts there, too
            goal = replace(goal, engines=(layout.engine,), quantisations=(layout.quantisation,), speculation=guess)
        changed = replace(search, machine=machine, goal=goal, sweep=False)
        if best is not None:
            changed = replace(changed, workload=best.workload)
        plan = changed.rank(changed.layouts([]), all_chunks=True).best
        finer = _finer(search, machine, best)
        if finer is not None:
            rows.append(Upgrade(change, finer, *_gains(best, finer), finer.layout.quantisation))
        elif plan is not None:
            rows.append(Upgrade(change, plan, *_gains(best, plan)))
    return tuple(sorted(rows, key=lambda upgrade: (upgrade.finer is None, -upgrade.gain)))


def with_host(listed: tuple[Upgrade, ...], host: HostCost) -> tuple[Upgrade, ...]:
    """The upgrades with a host of faster cores among them. Its memory and links are left as they are."""
    change = sentence("upgrades.cpu-cores-fast", "a CPU with cores as fast as {fastest}'s", fastest=host.fastest.name)
    faster = Upgrade(change, host.plan, 1 / host.total_tok_s_share, host.ttft_times)
    return tuple(sorted((*listed, faster), key=lambda upgrade: (upgrade.finer is None, -upgrade.gain)))


def _finer(search: Search, machine: Machine, best: Plan | None) -> Plan | None:
    """The best plan in weights of 4 bits or more, where the machine as it is holds only coarser ones."""
    goal = search.goal
    if best is None or goal.quantisations or goal.least_quality_bits >= USUAL_BITS:
        return None
    if search.quantisation(best.layout.quantisation).bits >= USUAL_BITS:
        return None
    goal = replace(goal, engines=(best.layout.engine,), least_quality_bits=USUAL_BITS)
    changed = replace(search, machine=machine, goal=goal, sweep=False, workload=best.workload)
    return changed.rank(changed.layouts([]), all_chunks=True).best


def _gains(best: Plan | None, plan: Plan) -> tuple[float, float]:
    if best is None:
        return float("inf"), float("inf")
    return (
        plan.estimate.total_tok_s.value / best.estimate.total_tok_s.value,
        best.estimate.ttft_s.value / plan.estimate.ttft_s.value,
    )


def changed_machines(machine: Machine) -> Iterator[tuple[str, Machine]]:
    """Every single change worth asking about."""
    yield from _first_gpu(machine)
    yield from _more_gpus(machine)
    yield from _linked_gpus(machine)
    yield from _wider_slots(machine)
    yield from _better_memory(machine)
    yield from _full_clock(machine)


def _full_clock(machine: Machine) -> Iterator[tuple[str, Machine]]:
    """The same CPU with nothing that holds its clock down."""
    if host_speed(machine).unhindered <= host_speed(machine).ratio:
        return
    settings = replace(machine.os, governor=None, governors={}, boost=None)
    sockets = tuple(replace(socket, clock_max_hz=None) if socket.cpu else socket for socket in machine.sockets)
    yield (
        sentence("upgrades.cpu-full-clock", "the CPU at its full clock"),
        replace(machine, sockets=sockets, os=settings),
    )


def _first_gpu(machine: Machine) -> Iterator[tuple[str, Machine]]:
    """A usual card for a machine without any; whether case and supply take it is not asked."""
    if machine.gpus:
        return
    from wellfed.catalog.hardware import gpu

    spec = gpu(_USUAL_CARD)
    link = PcieLink(spec.pcie_generation or 4, spec.pcie_lanes or 16)
    socket = machine.sockets[0].index if machine.sockets else None
    card = Gpu(0, spec, spec.name, spec.memory_bytes, socket=socket, link=link)
    yield sentence("upgrades.first-gpu", "a {name}", name=spec.name), replace(machine, gpus=(card,))


def _more_gpus(machine: Machine) -> Iterator[tuple[str, Machine]]:
    if not machine.gpus or machine.gpus[0].spec is None or machine.gpus[0].spec.form in {"soc", "superchip"}:
        return
    first, count = machine.gpus[0], len(machine.gpus)
    if count >= 8 or (machine.gpus[0].spec.form == "sxm" and count >= 4):
        return
    added = count if count in {2, 4} else 1
    extra = tuple(replace(first, index=count + n, pci_address=None) for n in range(added))
    text = (
        sentence("upgrades.more", "{added} more {spec}", added=added, spec=first.spec.name)
        if first.spec
        else "another GPU"
    )
    yield text, replace(machine, gpus=machine.gpus + extra)


def _linked_gpus(machine: Machine) -> Iterator[tuple[str, Machine]]:
    spec = machine.gpus[0].spec if len(machine.gpus) > 1 else None
    if spec is None or spec.link_bytes_per_s is None or spec.link_peers < 2 or machine.gpu_links:
        return
    pairs = [(a, a + 1) for a in range(0, len(machine.gpus) - 1, 2)]
    links = tuple(GpuLink(a, b, "nvlink", spec.link_bytes_per_s) for a, b in pairs)
    yield "NVLink bridges", replace(machine, gpu_links=links)


def _wider_slots(machine: Machine) -> Iterator[tuple[str, Machine]]:
    full = tuple(
        replace(gpu, link=PcieLink(gpu.link.generation, gpu.spec.pcie_lanes))
        if gpu.link and gpu.spec and gpu.spec.pcie_lanes and gpu.link.width < gpu.spec.pcie_lanes
        else gpu
        for gpu in machine.gpus
    )
    if full != machine.gpus:
        narrow = min(gpu.link.width for gpu in machine.gpus if gpu.link)
        wide = max(gpu.link.width for gpu in full if gpu.link)
        yield (
            sentence("upgrades.x-slots-instead", "x{wide} slots instead of x{narrow}", wide=wide, narrow=narrow),
            replace(machine, gpus=full),
        )


def _better_memory(machine: Machine) -> Iterator[tuple[str, Machine]]:
    filled = tuple(_all_channels(socket) for socket in machine.sockets)
    if filled != machine.sockets:
        yield sentence("upgrades.every-memory-channel", "every memory channel filled"), replace(machine, sockets=filled)
    faster = tuple(_full_speed(socket) for socket in machine.sockets)
    if faster != machine.sockets:
        yield sentence("upgrades.memory-cpu-full", "memory at the CPU's full speed"), replace(machine, sockets=faster)
    if machine.memory_bytes and not any(gpu.spec and gpu.spec.unified_memory for gpu in machine.gpus):
        nodes = tuple(
            replace(node, memory_bytes=node.memory_bytes * 2 if node.memory_bytes else None)
            for node in machine.numa_nodes
        )
        os = replace(machine.os, memory_free_bytes=None, memory_limit_bytes=None)
        doubled = replace(machine, memory_bytes=machine.memory_bytes * 2, numa_nodes=nodes, os=os)
        yield sentence("upgrades.twice-ram", "twice the RAM"), doubled


def _all_channels(socket: Socket) -> Socket:
    if socket.cpu is None or socket.channels is None or socket.channels >= socket.cpu.memory_channels:
        return socket
    return replace(socket, channels=socket.cpu.memory_channels)


def _full_speed(socket: Socket) -> Socket:
    if socket.cpu is None or socket.mt_s is None or socket.mt_s >= socket.cpu.memory_mt_s[0]:
        return socket
    return replace(socket, mt_s=socket.cpu.memory_mt_s[0])
