"""NUMA nodes and hardware threads of a planned machine, numbered as Linux does."""

from __future__ import annotations

from collections.abc import Sequence

from wellfed.catalog.tables import table
from wellfed.frozen import replace
from wellfed.hardware.machine import Cpu, NumaNode, Socket
from wellfed.hardware.parts import CpuSpec


def numa_nodes(sockets: Sequence[Socket], per_socket: int, cpu: CpuSpec) -> tuple[NumaNode, ...]:
    """Nodes of equal size: `per_socket` in each socket, or one for all of them where it is 0 (NPS0)."""
    threads = _numbered(sockets)
    if per_socket == 0:
        sizes = [socket.memory_bytes for socket in sockets]
        memory = sum(size for size in sizes if size) if None not in sizes else None
        only = sockets[0].index if len(sockets) == 1 else None
        return (NumaNode(0, only, tuple(sorted(t.os_index for t in threads)), memory, distances={0: 10}),)
    homes = [socket.index for socket in sockets for _ in range(per_socket)]
    distances = table("memory.toml")["distances"]
    near, far = int(distances["near"]), int(distances["far_of"].get(cpu.vendor, distances["far"]))
    slices = {socket.index: _slices([t for t in threads if t.socket == socket.index], per_socket) for socket in sockets}
    nodes = []
    for index, home in enumerate(homes):
        memory = sockets[home].memory_bytes
        nodes.append(
            NumaNode(
                os_index=index,
                socket=home,
                cpus=slices[home][index % per_socket],
                memory_bytes=memory // per_socket if memory is not None else None,
                distances={
                    neighbour: 10 if neighbour == index else near if neighbour_home == home else far
                    for neighbour, neighbour_home in enumerate(homes)
                },
            )
        )
    return tuple(nodes)


def _slices(of_socket: Sequence[Cpu], parts: int) -> tuple[tuple[int, ...], ...]:
    """The numbers of a socket's threads by the equal slice, of `parts`, of its cores that their core is in."""
    first = min((thread.core or 0 for thread in of_socket), default=0)
    cores = len({thread.core for thread in of_socket})
    slices: list[list[int]] = [[] for _ in range(parts)]
    for thread in of_socket:
        slices[min(parts - 1, ((thread.core or 0) - first) * parts // cores)].append(thread.os_index)
    return tuple(tuple(sorted(slice)) for slice in slices)


def _numbered(sockets: Sequence[Socket]) -> tuple[Cpu, ...]:
    """Hardware threads as Linux numbers them: first thread of every core, then the second ones.

    Hybrid parts count performance cores thread by thread, then efficiency cores. Core numbers run through all sockets.
    """
    spec = sockets[0].cpu
    if spec is None:
        return ()
    if spec.performance_cores is not None and spec.performance_cores < spec.cores and len(sockets) == 1:
        return _hybrid(spec)
    total = spec.cores * len(sockets)
    per_die = -(-spec.cores // (spec.dies or 1))
    threads = []
    for pass_ in range(max(1, spec.threads // spec.cores)):
        for core in range(total):
            socket = core // spec.cores
            die = socket * (spec.dies or 1) + core % spec.cores // per_die
            threads.append(Cpu(pass_ * total + core, socket, core, l3=die, efficiency=False))
    return tuple(threads)


def _hybrid(spec: CpuSpec) -> tuple[Cpu, ...]:
    fast = spec.performance_cores or 0
    per_core = 2 if spec.threads > spec.cores else 1
    first = [Cpu(core * per_core + t, 0, core, l3=0, efficiency=False) for core in range(fast) for t in range(per_core)]
    slow = [Cpu(fast * per_core + at, 0, fast + at, l3=0, efficiency=True) for at in range(spec.cores - fast)]
    return (*first, *slow)


def hardware_threads(sockets: Sequence[Socket], nodes: Sequence[NumaNode]) -> tuple[Cpu, ...]:
    """All threads with their NUMA node."""
    home = {cpu: node.os_index for node in nodes for cpu in node.cpus}
    return tuple(replace(thread, numa_node=home.get(thread.os_index)) for thread in _numbered(sockets))


def node_of(index: int, socket: int, sockets: Sequence[int], nodes: Sequence[NumaNode]) -> int | None:
    """The node next to a GPU: a socket's GPUs are divided evenly among its nodes."""
    own_nodes = [node.os_index for node in nodes if node.socket in (socket, None)] or [nodes[0].os_index]
    peers = [at for at, peer_socket in enumerate(sockets) if peer_socket == socket]
    return own_nodes[peers.index(index) * len(own_nodes) // len(peers)]
