"""`gpu-socket`: does each socket have GPUs of its own?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from wellfed.checks.base import Check, fail, no_gpus, passed, reason, skip, unknown, unread, warn
from wellfed.checks.pcie_path import by_address
from wellfed.checks.places import node_of, socket_of
from wellfed.checks.rules.cpu_offline import spans
from wellfed.hardware.machine import Gpu, Machine
from wellfed.message import listed, message, sentence
from wellfed.nouns.finding import Finding, Verdict


def judge(machine: Machine) -> Iterable[Finding]:
    """One finding for the machine."""
    if not machine.gpus:
        return [no_gpus(machine)]
    if len(machine.gpus) == 1 and "gpus.cut" in machine.unknown:
        return [no_gpus(machine, 2)]
    if len(machine.gpus) == 1:
        return [skip(message("gpu-socket.one-gpu", "one GPU"))]
    if len(machine.sockets) == 1:
        return [skip(message("gpu-socket.one-socket", "one socket"))]
    if not machine.sockets:
        return [_by_nodes(machine)]
    devices = by_address(machine)
    socket_of_gpu = {gpu.index: socket_of(machine, gpu, devices) for gpu in machine.gpus}
    lost = [f"gpu{index}" for index, socket in socket_of_gpu.items() if socket is None]
    if lost:
        return [_lost(machine, lost)]
    share = Counter({socket.index: 0 for socket in machine.sockets})
    share.update(socket for socket in socket_of_gpu.values() if socket is not None)
    if min(share.values()) == 0 and "pci.cut" in machine.unknown:
        return [unknown(message("gpu-socket.cut", "lines of the listing are missing: there may be more GPUs"))]
    return [_judge_share(share)]


def _lost(machine: Machine, lost: list[str]) -> Finding:
    hidden = next((why for subject in lost if (why := reason(machine, f"{subject}.numa_node"))), None)
    if hidden and len(lost) == len(machine.gpus) and not any(gpu.cpu_affinity for gpu in machine.gpus):
        text = message("gpu-socket.hidden", "where the GPUs are is not told: {why}", why=hidden)
        return unknown(text)
    return unread(
        machine,
        sentence("check.gpu-socket.socket", "the socket of {lost}", lost=listed(lost)),
        "gpus",
        "pci",
        "numa_nodes",
    )


def _judge_share(share: Counter[int]) -> Finding:
    total, sockets = sum(share.values()), len(share)
    text = listed(f"socket{socket}: {count}" for socket, count in sorted(share.items()))
    wanted = (
        f"{total // sockets}"
        + (f" to {-(-total // sockets)}" if total % sockets else "")
        + sentence("check.gpu-socket.per-socket", " per socket")
    )
    if total < sockets:
        return passed(
            "system",
            sentence(
                "check.gpu-socket.fewer-gpus-sockets", "fewer GPUs than sockets: bind the engine to the GPU's socket"
            ),
            text,
        )
    if min(share.values()) == 0:
        why = message(
            "gpu-socket.none", "a socket has no GPU: all copies from its memory cross the link between the sockets"
        )
        return fail("system", why, text, wanted)
    if max(share.values()) - min(share.values()) > 1:
        return warn(
            "system",
            sentence("check.gpu-socket.sockets-unequal", "the sockets have unequal numbers of GPUs"),
            text,
            wanted,
        )
    return passed("system", sentence("check.gpu-socket.each-socket-own", "each socket has its own GPUs"), text, wanted)


def _by_nodes(machine: Machine) -> Finding:
    """Without sockets: nodes may be parts of one socket (NPS4, SNC), so only an even spread can be judged."""
    devices = by_address(machine)
    nodes = [node_of(machine, gpu, devices) for gpu in machine.gpus]
    if any(node is None for node in nodes):
        hidden = [
            f"gpu{g.index}.numa_node" for g in machine.gpus if f"gpu{g.index}.numa_node.several" in machine.unknown
        ]
        if hidden:
            several = machine.unknown[f"{hidden[0]}.several"]
            return unknown(message("gpu-socket.hidden", "where the GPUs are is not told: {why}", why=several))
        return _by_affinity(machine)
    share = Counter(nodes)
    text = listed(f"node{node}: {count}" for node, count in sorted(share.items(), key=lambda item: item[0] or 0))
    if len(share) > 1 and max(share.values()) - min(share.values()) <= 1:
        return passed(
            "system",
            sentence("check.gpu-socket.gpus-spread-evenly", "the GPUs are spread evenly over the NUMA nodes"),
            text,
        )
    if len(share) == 1:
        return _by_affinity(machine, text)
    if len(share) == 2 and len({gpu.cpu_affinity for gpu in machine.gpus}) == 2:
        why = message("gpu-socket.two-nodes", "the two NUMA nodes that have GPUs have unequal numbers of them")
        total = sum(share.values())
        return warn(
            "system",
            why,
            text,
            sentence(
                "check.gpu-socket.per-node", "{total} to {total2} per node", total=total // 2, total2=-(-total // 2)
            ),
        )
    return unknown(message("gpu-socket.nodes", "which nodes belong to which socket is not known"), measured=text)


def _by_affinity(machine: Machine, text: str | None = None) -> Finding:
    """All GPUs next to the same CPUs: fine if those are all CPUs there are, as far as the source shows."""
    groups = Counter(gpu.cpu_affinity for gpu in machine.gpus)
    if len(groups) > 1 and () not in groups and _apart(groups):
        return _by_groups(groups)
    near = {cpu for gpu in machine.gpus for cpu in gpu.cpu_affinity}
    all_told = all(gpu.cpu_affinity for gpu in machine.gpus)
    if all_told and len({gpu.cpu_affinity for gpu in machine.gpus}) == 1 and near == set(range(max(near) + 1)):
        return passed(
            "system",
            sentence("check.gpu-socket.every-cpu-source", "every CPU that the source shows is next to every GPU"),
            text,
        )
    return unknown(
        sentence(
            "check.gpu-socket.how-many-sockets", "how many sockets there are, and which GPU is on which, is not known"
        ),
        measured=text,
    )


def _apart(groups: Iterable[tuple[int, ...]]) -> bool:
    """No CPU is next to GPUs of two groups."""
    every = [cpu for cpus in groups for cpu in cpus]
    return len(every) == len(set(every))


def _by_groups(groups: Counter[tuple[int, ...]]) -> Finding:
    """Groups of CPUs that share no member are sockets (or their quarters): each has its own GPUs."""
    text = listed(f"CPUs {spans(cpus)}: {count}" for cpus, count in sorted(groups.items()))
    if max(groups.values()) - min(groups.values()) <= 1:
        return passed("system", message("gpu-socket.groups", "each group of CPUs has its own GPUs"), text)
    if len(groups) > 2:
        return unknown(message("gpu-socket.nodes", "which nodes belong to which socket is not known"), measured=text)
    why = message("gpu-socket.uneven-groups", "the two groups of CPUs have unequal numbers of GPUs")
    total = sum(groups.values())
    return warn(
        "system",
        why,
        text,
        sentence("check.gpu-socket.each", "{total} to {total2} each", total=total // 2, total2=-(-total // 2)),
    )


def repair(machine: Machine) -> Machine:
    """GPUs dealt out to the sockets in order."""
    sockets = [socket.index for socket in machine.sockets]
    if not sockets:
        return _dealt(machine)
    home = {socket.index: next(iter(socket.numa_nodes), None) for socket in machine.sockets}
    moved = []
    for at, gpu in enumerate(machine.gpus):
        socket = sockets[at * len(sockets) // len(machine.gpus)]
        moved.append(_moved(gpu, socket, home[socket]))
    return replace(machine, gpus=tuple(moved))


def _dealt(machine: Machine) -> Machine:
    """Without sockets: over the places that GPUs are at, in order."""
    places = list(dict.fromkeys((gpu.numa_node, gpu.cpu_affinity) for gpu in machine.gpus))
    gpus = tuple(
        replace(gpu, numa_node=place[0], cpu_affinity=place[1])
        for at, gpu in enumerate(machine.gpus)
        for place in [places[at * len(places) // len(machine.gpus)]]
    )
    return replace(machine, gpus=gpus)


def _moved(gpu: Gpu, socket: int, node: int | None) -> Gpu:
    return replace(gpu, socket=socket, numa_node=node, cpu_affinity=())


CHECK = Check(
    id="gpu-socket",
    code="NUM-01",
    title=sentence("check.gpu-socket.title", "Each socket has its own GPUs"),
    severity=Verdict.FAIL,
    reads=sentence(
        "check.gpu-socket.reads", "numa_node of the GPU's PCI function, else NVML's memory affinity; CPU topology"
    ),
    rule=sentence(
        "check.gpu-socket.rule",
        "Several sockets, at least as many GPUs: none may be without (fail), and their numbers "
        "differ by one at most (warn). Counted per socket.",
    ),
    judge=judge,
    traps=(
        sentence(
            "check.gpu-socket.trap-per-socket-per",
            "Per socket, not per NUMA node: with NPS4 or SNC a socket has several nodes.",
        ),
        sentence(
            "check.gpu-socket.trap-nvmldevicegetnumanodeid",
            "nvmlDeviceGetNumaNodeId is the GPU's *own* memory node (Grace Hopper), not where the card hangs.",
        ),
        "nvidia-smi says SYS between GPUs of one node on some drivers: sockets are not inferred from it.",
    ),
    ask=(
        "nvidia-smi topo -m",
        "lscpu",
    ),
    refs=("https://docs.kernel.org/admin-guide/mm/numaperf.html",),
    repair=repair,
)
