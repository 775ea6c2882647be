"""Slurm's own files from what nodes are: gres.conf, NodeName lines of slurm.conf, topology.conf.

Parameters: gres.conf(5), slurm.conf(5), topology.conf(5). `Cores` are Slurm's abstract core numbers, socket by socket.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from wellfed.engines.spec import ranges
from wellfed.errors import BadInput
from wellfed.fleet.handover.labels import PREFIX, product
from wellfed.hardware.machine import Gpu, Machine
from wellfed.message import message
from wellfed.units import MIB

_TRAILING = re.compile(r"(.*?)(\d+)")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,252}")
_HOST = r"[A-Za-z0-9_.-]+(?:\[[0-9,-]+\])?"
_HOSTS = re.compile(f"{_HOST}(?:,{_HOST})*")
_FEATURES = ("gpu-link", "gpu-fabric", "numa-aligned", "memory-channels")


def gres(machines: Mapping[str, Machine]) -> str:
    """gres.conf: each GPU's device file with the cores of its NUMA node. AMD's cards are left to Slurm's own
    detection, since /sys does not tell which render node is which index.
    """
    return _grouped({node: _gres_lines(machine) for node, machine in machines.items()}, "gres.conf(5)")


def _gres_lines(machine: Machine) -> tuple[str, ...]:
    gpus = [gpu for gpu in machine.gpus if not gpu.display_only]
    if not gpus:
        return ()
    if any(gpu.vendor == "amd" for gpu in gpus):
        return ("AutoDetect=rsmi",)
    by_home: dict[int | None, list[Gpu]] = defaultdict(list)
    for gpu in gpus:
        by_home[gpu.numa_node].append(gpu)
    cores = _cores_by_node(machine)
    lines = []
    for home, group in sorted(by_home.items(), key=lambda item: item[1][0].index):
        files = f"/dev/nvidia[{ranges(tuple(gpu.index for gpu in group))}]"
        near = f" Cores={ranges(cores[home])}" if home in cores else ""
        lines.append(f"Name=gpu Type={gres_type(gpus)} File={files}{near}")
    return tuple(lines)


def gres_type(gpus: Iterable[Gpu]) -> str:
    """`a100_80gb_pcie`: letters, digits and underscores."""
    name = (product(gpus) or "gpu").lower()
    return re.sub(r"[^a-z0-9]+", "_", name).strip("_").removeprefix("nvidia_")[:48] or "gpu"


def _cores_by_node(machine: Machine) -> dict[int | None, tuple[int, ...]]:
    """NUMA node -> abstract core numbers: cores in the order of sockets, each once, whatever its threads."""
    placed = [cpu for cpu in machine.cpus if cpu.socket is not None and cpu.core is not None]
    if not placed or len(placed) < len(machine.cpus):
        return {}
    order: dict[tuple[int, int], int] = {}
    for cpu in sorted(placed, key=lambda cpu: (cpu.socket or 0, cpu.os_index)):
        order.setdefault((cpu.socket or 0, cpu.core or 0), len(order))
    cores_of_node: dict[int | None, set[int]] = defaultdict(set)
    for cpu in placed:
        cores_of_node[cpu.numa_node].add(order[cpu.socket or 0, cpu.core or 0])
    return {node: tuple(sorted(cores)) for node, cores in cores_of_node.items() if node is not None}


def node_lines(machines: Mapping[str, Machine], labels: Mapping[str, Mapping[str, str]]) -> str:
    """NodeName lines for slurm.conf: sockets, cores, threads, memory that its NUMA nodes have, GRES, and features."""
    lines = {node: _node_line(machine, labels.get(node, {})) for node, machine in machines.items()}
    head = ["GresTypes=gpu", "SelectType=select/cons_tres", "SelectTypeParameters=CR_Core_Memory"]
    text = _grouped(lines, "slurm.conf(5)")
    comment, _, nodes_text = text.partition("\n")
    return "\n".join([comment, *head, nodes_text])


def _node_line(machine: Machine, labels: Mapping[str, str]) -> tuple[str, ...]:
    cores = {socket.cores for socket in machine.sockets}
    threads = {(socket.threads or 0) // socket.cores for socket in machine.sockets if socket.cores and socket.threads}
    words = []
    if len(cores) == 1 and len(threads) == 1 and None not in cores:
        words += [f"Sockets={len(machine.sockets)}", f"CoresPerSocket={cores.pop()}", f"ThreadsPerCore={threads.pop()}"]
    memory = sum(node.memory_bytes or 0 for node in machine.numa_nodes if not node.gpu_memory)
    words += [f"RealMemory={memory // MIB}"] if memory else []
    gpus = [gpu for gpu in machine.gpus if not gpu.display_only]
    words += [f"Gres=gpu:{gres_type(gpus)}:{len(gpus)}"] if gpus else []
    features = [_feature(name, labels[PREFIX + name]) for name in _FEATURES if PREFIX + name in labels]
    words += [f"Feature={','.join(features)}"] if features else []
    return (" ".join(words),)


def _feature(name: str, value: str) -> str:
    return re.sub(r"[^A-Za-z0-9_]+", "_", f"{name}_{value}" if value in ("true", "false") else value)


def topology(nodes: Sequence[str], switches: Sequence[tuple[str, Sequence[str]]]) -> str:
    """topology.conf of a tree: leaf switches with their nodes, and one switch above them. Snapshots do not tell what a
    node is plugged into: whoever runs the fleet does. Raises BadInput where a node is on no switch, or on two.
    """
    placed: dict[str, str] = {}
    for switch, members in switches:
        _ensure_name(switch)
        for node in members:
            if node in placed:
                raise BadInput(message("handover.switch-twice", "{node} is on two switches: {a} and {b}",
                                       node=node, a=placed[node], b=switch))  # fmt: skip
            placed[node] = switch
    missing = [node for node in nodes if node not in placed]
    if missing:
        raise BadInput(
            message("handover.no-switch", "{node} is on no switch", node=missing[0]),
            message("handover.no-switch.hint", "--switch leaf1=node-[0001-0016], one for each leaf switch"),
        )
    lines = ["# topology.conf(5); slurm.conf: TopologyPlugin=topology/tree"]
    lines += [f"SwitchName={switch} Nodes={hosts(members)}" for switch, members in switches]
    if len(switches) > 1:
        lines.append(f"SwitchName=spine Switches={hosts([switch for switch, _ in switches])}")
    return "\n".join(lines) + "\n"


def _ensure_name(name: str) -> None:
    if not _NAME.fullmatch(name) or name == "spine":
        raise BadInput(message("handover.switch-name", "{name} cannot be a leaf switch's name", name=repr(name)))


def _grouped(lines: Mapping[str, tuple[str, ...]], source: str) -> str:
    """Nodes with equal lines share them."""
    groups: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for node, node_own_lines in lines.items():
        if node_own_lines:
            groups[node_own_lines].append(node)
    text_lines = [f"# {source}"]
    for node_own_lines, nodes in groups.items():
        text_lines += [f"NodeName={hosts(nodes)} {line}" for line in node_own_lines]
    return "\n".join(text_lines) + "\n"


def hosts(names: Sequence[str]) -> str:
    """Slurm's host list: `node-[0001-0003,0007]`; names that end alike in other ways stand alone."""
    groups: dict[tuple[str, int], list[int]] = defaultdict(list)
    alone = []
    for name in names:
        match = _TRAILING.fullmatch(name)
        if match:
            groups[match[1], len(match[2])].append(int(match[2]))
        else:
            alone.append(name)
    ranges = [f"{head}{_bracketed(sorted(numbers), width)}" for (head, width), numbers in groups.items()]
    return ",".join([*ranges, *alone])


def _bracketed(numbers: Sequence[int], width: int) -> str:
    if len(numbers) == 1:
        return f"{numbers[0]:0{width}d}"
    spans: list[list[int]] = []
    for number in numbers:
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    parts = (f"{a:0{width}d}" if a == b else f"{a:0{width}d}-{b:0{width}d}" for a, b in spans)
    return f"[{','.join(parts)}]"


def unfolded(text: str) -> tuple[str, ...]:
    """The names of a host list. Raises BadInput for what is none, or names too many."""
    names: list[str] = []
    if not _HOSTS.fullmatch(text):
        raise _no_hosts(text)
    for part in re.findall(_HOST, text):
        head, _, inside = part.partition("[")
        if not inside:
            names.append(head)
            continue
        for span in inside.rstrip("]").split(","):
            first, dash, last = span.partition("-")
            if not first.isdecimal() or (dash and not last.isdecimal()) or int(last or first) - int(first) > 10_000:
                raise _no_hosts(text)
            names += [f"{head}{number:0{len(first)}d}" for number in range(int(first), int(last or first) + 1)]
    if not names or not all(_NAME.fullmatch(name) for name in names):
        raise _no_hosts(text)
    return tuple(names)


def _no_hosts(text: str) -> BadInput:
    return BadInput(
        message("handover.hosts", "{text} is no list of nodes", text=text),
        message("handover.hosts.hint", "such as node-[0001-0016] or a1,a2"),
    )
