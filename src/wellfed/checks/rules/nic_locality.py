"""`nic-locality`: do the GPUs of each socket have a network card of their own?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

from wellfed.checks.base import Check, missing, no_gpus, passed, reason, skip, unread, warn
from wellfed.checks.pcie_path import by_address
from wellfed.checks.places import cpu_nodes, node_of, socket_of, socket_of_node
from wellfed.hardware.machine import Machine, Nic, Origin
from wellfed.message import Listing, message, sentence
from wellfed.nouns.finding import Finding, Verdict

FAST_BYTES_PER_S = 25e9 / 8  # below 25 Gb/s no one shards a model over it
# Of a copy's rate between two cards, what is left of it across sockets: 51 of 55.5, 50 of 54 and 39 of 54 GB/s on three
# published machines with two EPYC; the middle.
ACROSS = 50 / 54


def fast_cards(machine: Machine) -> list[tuple[int, Nic]]:
    """One interface of each fast network card, with its number; ports of one card count once."""
    cards_by_key: dict[str, tuple[int, Nic]] = {}
    twins = {frozenset((path.a, path.b)) for path in machine.paths if path.kind == "PIX"}
    for at, nic in enumerate(machine.nics):
        fast = nic.kind in ("infiniband", "rdma") or (nic.bytes_per_s or 0) >= FAST_BYTES_PER_S
        if not nic.physical or not fast or nic.up is False:
            continue
        same = next((k for k, (i, _) in cards_by_key.items() if frozenset((f"NIC{i}", f"NIC{at}")) in twins), None)
        key = nic.pci_address.rpartition(".")[0] if nic.pci_address else same or nic.name
        cards_by_key.setdefault(key, (at, nic))
    return list(cards_by_key.values())


def judge(machine: Machine) -> Iterable[Finding]:
    """One finding per place (socket, else node) that has GPUs."""
    if not machine.gpus:
        return [no_gpus(machine)]
    if len(machine.sockets) == 1:
        return [skip(message("nic-locality.one-socket", "one socket"))]
    nics = fast_cards(machine)
    if not nics:
        return [_no_cards(machine)]
    if len(nics) == 1 and machine.count == 1:
        return [
            passed(
                "system",
                sentence("check.nic-locality.one-network-card", "one network card; its ranks belong on its socket"),
            )
        ]
    places = _places(machine, nics)
    if places is None:
        return [
            unread(
                machine,
                sentence("check.nic-locality.which-socket-network", "which socket network cards and GPUs are on"),
                "nics",
                "gpus",
                "pci",
                "numa_nodes",
            )
        ]
    gpus, cards = places
    return [_judge_place(place, gpus[place], cards.get(place, [])) for place in sorted(gpus)]


def _no_cards(machine: Machine) -> Finding:
    """None of them fast; a source that shows no network card at all proves nothing."""
    unrated = [nic for nic in machine.nics if nic.physical and nic.bytes_per_s is None and nic.up is not False]
    shows_all = machine.pci_complete or machine.origin is not Origin.DUMP
    if reason(machine, "nics") or (machine.origin is Origin.DUMP and (unrated or not shows_all)):
        return missing(machine, sentence("check.nic-locality.fast-network-cards", "fast network cards"), "nics")
    return skip(message("nic-locality.none", "no network card of 25 Gb/s or more"))


def _judge_place(place: str, gpus: list[str], nics: list[str]) -> Finding:
    if nics:
        text = message("nic-locality.near", "{gpus} have {nics}", gpus=Listing(tuple(gpus)), nics=Listing(tuple(nics)))
        return passed(place, text)
    text = message(
        "nic-locality.far",
        "{gpus} reach every network card through the link between the sockets",
        gpus=Listing(tuple(gpus)),
    )
    return warn(
        place,
        text,
        sentence("check.nic-locality.no-fast-network", "no fast network card"),
        sentence("check.nic-locality.one-per-socket", "one per socket with GPUs"),
    )


def _places(machine: Machine, nics: list[tuple[int, Nic]]) -> tuple[dict[str, list[str]], dict[str, list[str]]] | None:
    """Place -> GPUs, place -> cards; sockets where the machine tells them, else NUMA nodes. None where neither is told,
    or where one node hides several sockets.
    """
    if machine.numa_nodes and len(cpu_nodes(machine)) < len(machine.sockets):
        return None
    devices, homes = by_address(machine), socket_of_node(machine)
    gpus: dict[str, list[str]] = defaultdict(list)
    cards: dict[str, list[str]] = defaultdict(list)
    for gpu in machine.gpus:
        node = node_of(machine, gpu, devices)
        socket = socket_of(machine, gpu, devices)
        if node is None and socket is None:
            return None
        gpus[f"node{node}" if socket is None else f"socket{socket}"].append(f"gpu{gpu.index}")
    for at, nic in nics:
        node = node_of(machine, nic, devices)
        node = _near_gpu(machine, at) if node is None else node
        if node is None:
            return None
        cards[f"socket{homes[node]}" if node in homes else f"node{node}"].append(nic.name)
    return gpus, cards


def _near_gpu(machine: Machine, at: int) -> int | None:
    """The node of a GPU within the same host bridge."""
    close = {path.a for path in machine.paths if path.b == f"NIC{at}" and path.kind in ("PIX", "PXB", "PHB", "NODE")}
    devices = by_address(machine)
    nodes = [node_of(machine, gpu, devices) for gpu in machine.gpus if f"GPU{gpu.index}" in close]
    return nodes[0] if nodes else None


def effect(machine: Machine) -> Machine:
    """a network between machines at 93 % of its rate, for the ranks that reach it across the sockets: what copies
    between cards keep there.
    """
    if machine.network_bytes_per_s is None or machine.count < 2:
        return machine
    far = any(finding.verdict is Verdict.WARN for finding in judge(machine))
    return replace(machine, network_bytes_per_s=machine.network_bytes_per_s * ACROSS) if far else machine


def repair(machine: Machine) -> Machine:
    """Network cards dealt out to the sockets in order."""
    homes = [node for socket in machine.sockets for node in socket.numa_nodes[:1]]
    if not homes:
        return machine
    order = {nic.name: n for n, (_, nic) in enumerate(fast_cards(machine))}
    moved = (
        replace(nic, numa_node=homes[order[nic.name] % len(homes)]) if nic.name in order else nic
        for nic in machine.nics
    )
    return replace(machine, nics=tuple(moved))


CHECK = Check(
    id="nic-locality",
    code="NIC-01",
    title=sentence("check.nic-locality.title", "GPUs of each socket have a network card beside them"),
    severity=Verdict.WARN,
    reads=sentence("check.nic-locality.reads", "numa_node of network cards and GPUs, else nvidia-smi's path matrix"),
    rule=sentence(
        "check.nic-locality.rule",
        "Several sockets and several fast cards (InfiniBand, or 25 Gb/s and more): each socket with GPUs has one.",
    ),
    judge=judge,
    traps=(
        sentence("check.nic-locality.trap-two-ports-one", "Two ports of one card are one card."),
        sentence(
            "check.nic-locality.trap-bridges-veth-other", "Bridges, veth and other software interfaces are not cards."
        ),
    ),
    ask=(
        "nvidia-smi topo -m",
        "lscpu",
    ),
    refs=("https://docs.nvidia.com/deeplearning/nccl/user-guide/docs/env.html",),
    repair=repair,
    effect=effect,
)
