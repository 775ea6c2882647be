"""Where a plan's threads and pages go: near its GPUs, on one socket or spread, never on more cores than are free."""

from __future__ import annotations

from collections.abc import Iterable

from wellfed.engines.spec import Binding, MemoryPolicy
from wellfed.hardware.machine import Machine, NumaNode
from wellfed.message import sentence
from wellfed.nouns.layout import Engine, Layout, NumaPolicy


def _can_bind(machine: Machine) -> bool:
    family = machine.os.family
    apple = any(gpu.spec is not None and gpu.spec.vendor == "apple" for gpu in machine.gpus)
    return family == "linux" if apple else family not in ("macos", "windows")


def binding(machine: Machine, layout: Layout) -> Binding:
    """The binding of a plan's process.

    One NUMA node: nothing to bind, but to the performance cores of a hybrid part. Several: threads and pages on the
    socket of the GPUs used, if they share one; interleaved over all nodes when the plan says so. Nothing on macOS and
    Windows: neither has numactl, and both keep busy threads on performance cores themselves.
    """
    if not _can_bind(machine):
        return Binding()
    nodes = [node for node in machine.numa_nodes if node.cpus]
    if layout.gpus == 0 and layout.tensor_parallel > 1 and len(nodes) > 1:
        return Binding(
            _allowed(machine, _cpus(nodes)),
            why=sentence("placement.each-rank-binds", "each rank binds its own threads and pages"),
        )
    if len(nodes) < 2:
        fast = _performance_cores(machine)
        return (
            Binding(_allowed(machine, fast), why=sentence("placement.performance-cores", "performance cores only"))
            if fast
            else Binding()
        )
    if layout.numa is NumaPolicy.INTERLEAVE:
        spread = tuple(node.os_index for node in nodes)
        why = sentence("placement.threads-pages-all", "threads and pages on all nodes, as planned")
        return Binding(_allowed(machine, _cpus(nodes)), spread, MemoryPolicy.INTERLEAVE, why)
    if layout.numa is NumaPolicy.DUPLICATE:
        return Binding(
            _allowed(machine, _cpus(nodes)),
            why=sentence("placement.engine-keeps-copy", "the engine keeps a copy of the weights on each node"),
        )
    return _one_socket(machine, layout, nodes)


def _one_socket(machine: Machine, layout: Layout, nodes: list[NumaNode]) -> Binding:
    used = [gpu for gpu in machine.gpus if gpu.index in layout.devices] or machine.gpus[: layout.gpus]
    sockets = {gpu.socket for gpu in used if gpu.socket is not None}
    if len(sockets) > 1:
        return Binding(
            _allowed(machine, _cpus(nodes)),
            why=sentence("placement.gpus-several-sockets", "GPUs of several sockets: each rank binds its own"),
        )
    chosen = next(iter(sockets), None)
    if chosen is None:
        chosen = max(
            (node.socket for node in nodes if node.socket is not None), key=lambda s: _free(nodes, s), default=0
        )
    local = [node for node in nodes if node.socket == chosen]
    if not local:
        return Binding(
            _allowed(machine, _cpus(nodes)),
            why=sentence("placement.which-node-belongs", "which node belongs to which socket is unknown"),
        )
    why = sentence("placement.socket", "socket {chosen}: ", chosen=chosen) + (
        sentence("placement.gpu-own", "the GPU's own")
        if sockets
        else sentence("placement.one-most-free", "the one with most free memory")
    )
    indices = tuple(node.os_index for node in local)
    return Binding(_allowed(machine, _cpus(local)), indices, MemoryPolicy.BIND, why)


def rank_cpus(machine: Machine, layout: Layout, bound: Binding) -> tuple[tuple[int, ...], ...] | None:
    """CPUs for the threads of each tensor-parallel rank on the CPU: one thread of each physical core of its node.

    Ranks beyond the nodes divide a node's cores. Every rank leaves one core to the server and the scheduler, if it has
    more than one; `layout.threads` are of all ranks together. None where the machine's threads are unknown.
    """
    ranks, threads = max(1, layout.tensor_parallel), _first_threads(machine, bound.cpus)
    if not threads:
        return None
    nodes = sorted({node for _, node in threads})
    alike = len(nodes) >= ranks > 1
    pools = [[cpu for cpu, node in threads if node == nodes[rank]] for rank in range(ranks)] if alike else []
    size = len(threads) // ranks
    pools = pools or [[cpu for cpu, _ in threads[rank * size : (rank + 1) * size]] for rank in range(ranks)]
    if not all(pools):
        return None
    spare = 0 if layout.threads is not None else 1
    most = max(1, layout.threads // ranks) if layout.threads is not None else None
    return tuple(tuple(pool[: max(1, len(pool) - spare)][:most]) for pool in pools)


def _first_threads(machine: Machine, cpus: tuple[int, ...]) -> list[tuple[int, int]]:
    """The first hardware thread of each physical core among `cpus` (all, when empty) with its NUMA node, in order."""
    chosen = set(_allowed(machine, cpus or tuple(cpu.os_index for cpu in machine.cpus)))
    first: dict[object, tuple[int, int]] = {}
    for cpu in sorted(machine.cpus, key=lambda cpu: cpu.os_index):
        core = cpu.os_index if cpu.core is None else (cpu.socket, cpu.core)
        if cpu.os_index in chosen and core not in first:
            first[core] = (cpu.os_index, cpu.numa_node or 0)
    return sorted(first.values(), key=lambda entry: (entry[1], entry[0]))


def threads(machine: Machine, layout: Layout, bound: Binding) -> int | None:
    """Worker threads: one per physical core the process may use, never above the cgroup's quota of time."""
    if layout.threads is not None:
        return layout.threads
    if layout.engine is Engine.VLLM and layout.gpus == 0:
        ranks = rank_cpus(machine, layout, bound)
        cores = None if ranks is None else sum(len(cpus) for cpus in ranks)
    else:
        cores = _physical(machine, bound.cpus or _performance_cores(machine))
    if cores is None:
        return None
    quota = machine.os.cpu_quota
    return max(1, min(cores, int(quota)) if quota is not None else cores)


def _physical(machine: Machine, cpus: tuple[int, ...]) -> int | None:
    if not cpus:
        return machine.cores
    placed = {(cpu.socket, cpu.core) for cpu in machine.cpus if cpu.os_index in set(cpus) and cpu.core is not None}
    if placed:
        return len(placed)
    total_cores = machine.cores
    total_threads = sum(socket.threads or 0 for socket in machine.sockets)
    if total_cores is None or total_threads < total_cores:
        return len(cpus)
    return max(1, len(cpus) * total_cores // total_threads)


def _performance_cores(machine: Machine) -> tuple[int, ...]:
    """CPUs of the fast cores of a hybrid part; none on others."""
    if not any(cpu.efficiency for cpu in machine.cpus):
        return ()
    return tuple(cpu.os_index for cpu in machine.cpus if not cpu.efficiency)


def _cpus(nodes: Iterable[NumaNode]) -> tuple[int, ...]:
    return tuple(cpu for node in nodes for cpu in node.cpus)


def _allowed(machine: Machine, cpus: tuple[int, ...]) -> tuple[int, ...]:
    allowed = machine.os.cpus_allowed
    return cpus if allowed is None else tuple(cpu for cpu in cpus if cpu in set(allowed))


def _free(nodes: list[NumaNode], socket: int | None) -> int:
    return sum(node.memory_free_bytes or node.memory_bytes or 0 for node in nodes if node.socket == socket)
