"""`gpu-socket`: does each socket have GPUs of its own?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from wellfed.checks.base import Check, fail, no_gpus, passed, skip, unknown, unread, warn
from wellfed.checks.pcie_path import by_address
from wellfed.checks.places import node_of, socket_of
from wellfed.finding import Finding, Verdict
from wellfed.hardware.machine import Gpu, Machine

MOVE = "# Move GPUs to slots of the other socket (the board's manual tells which slots belong to which CPU)."


def judge(machine: Machine) -> Iterable[Finding]:
    """One finding for the machine."""
    if not machine.gpus:
        return [no_gpus(machine)]
    if len(machine.gpus) == 1 or len(machine.sockets) == 1:
        return [skip("one GPU" if len(machine.gpus) == 1 else "one socket")]
    if not machine.sockets:
        return [_by_nodes(machine)]
    devices = by_address(machine)
    found = {gpu.index: socket_of(machine, gpu, devices) for gpu in machine.gpus}
    lost = [f"gpu{index}" for index, socket in found.items() if socket is None]
    if lost:
        what = f"the socket of {', '.join(lost)}"
        return [unread(machine, what, "gpus", "pci", "numa_nodes")]
    share = Counter({socket.index: 0 for socket in machine.sockets})
    share.update(socket for socket in found.values() if socket is not None)
    return [_judge_share(share)]


def _judge_share(share: Counter[int]) -> Finding:
    total, sockets = sum(share.values()), len(share)
    text = ", ".join(f"socket{socket}: {count}" for socket, count in sorted(share.items()))
    wanted = f"{total // sockets}" + (f" to {-(-total // sockets)}" if total % sockets else "") + " per socket"
    if total < sockets:
        return passed("system", "fewer GPUs than sockets: bind the engine to the GPU's socket", text)
    if min(share.values()) == 0:
        why = "a socket has no GPU: all copies from its memory cross the link between the sockets"
        return fail("system", why, text, wanted, [MOVE])
    if max(share.values()) - min(share.values()) > 1:
        return warn("system", "the sockets have unequal numbers of GPUs", text, wanted, [MOVE])
    return passed("system", "each socket has its own GPUs", text, wanted)


def _by_nodes(machine: Machine) -> Finding:
    """Without sockets: nodes may be parts of one socket (NPS4, SNC), so only an even spread can be judged."""
    devices = by_address(machine)
    nodes = [node_of(machine, gpu, devices) for gpu in machine.gpus]
    if any(node is None for node in nodes):
        return _by_affinity(machine)
    share = Counter(nodes)
    text = ", ".join(f"node{node}: {count}" for node, count in sorted(share.items(), key=lambda item: item[0] or 0))
    if len(share) > 1 and max(share.values()) - min(share.values()) <= 1:
        return passed("system", "the GPUs are spread evenly over the NUMA nodes", text)
    if len(share) == 1:
        return _by_affinity(machine, text)
    return unknown("which nodes belong to which socket is not known", measured=text)


def _by_affinity(machine: Machine, text: str | None = None) -> Finding:
    """All GPUs next to the same CPUs: fine if those are all CPUs there are, as far as the source shows."""
    near = {cpu for gpu in machine.gpus for cpu in gpu.cpu_affinity}
    all_told = all(gpu.cpu_affinity for gpu in machine.gpus)
    if all_told and len({gpu.cpu_affinity for gpu in machine.gpus}) == 1 and near == set(range(max(near) + 1)):
        return passed("system", "every CPU that the source shows is next to every GPU", text)
    return unknown("how many sockets there are, and which GPU is on which, is not known", measured=text)


def repair(machine: Machine) -> Machine:
    """GPUs dealt out to the sockets in order."""
    sockets = [socket.index for socket in machine.sockets]
    if not sockets:
        return machine
    home = {socket.index: next(iter(socket.numa_nodes), None) for socket in machine.sockets}
    moved = []
    for at, gpu in enumerate(machine.gpus):
        socket = sockets[at * len(sockets) // len(machine.gpus)]
        moved.append(_moved(gpu, socket, home[socket]))
    return replace(machine, gpus=tuple(moved))


def _moved(gpu: Gpu, socket: int, node: int | None) -> Gpu:
    return replace(gpu, socket=socket, numa_node=node, cpu_affinity=())


CHECK = Check(
    id="gpu-socket",
    title="Each socket has its own GPUs",
    severity=Verdict.FAIL,
    reads="numa_node of the GPU's PCI function, else NVML's memory affinity; CPU topology",
    why="A GPU on the other socket reads weights and experts from RAM through the link between the sockets, which is "
    "slower than memory and shared.",
    rule="Several sockets, at least as many GPUs: none may be without (fail), and their numbers differ by one at most "
    "(warn). Counted per socket.",
    judge=judge,
    traps=(
        "Per socket, not per NUMA node: with NPS4 or SNC a socket has several nodes.",
        "nvmlDeviceGetNumaNodeId is the GPU's *own* memory node (Grace Hopper), not where the card hangs.",
        "nvidia-smi says SYS between GPUs of one node on some drivers: sockets are not inferred from it.",
    ),
    refs=("https://docs.kernel.org/admin-guide/mm/numaperf.html",),
    repair=repair,
    modelled=True,
)
