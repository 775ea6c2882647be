"""`pcie-shared-uplink`: do several GPUs share one link to the host?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

from wellfed.checks.base import Check, no_gpus, passed, skip, unread, warn
from wellfed.checks.mend import own_port, with_gpus
from wellfed.checks.pcie_path import gpu_hops
from wellfed.checks.places import all_linked, name
from wellfed.hardware.machine import Gpu, Machine
from wellfed.message import Listing, message, sentence
from wellfed.nouns.finding import Finding, Verdict


def groups(machine: Machine) -> dict[str, tuple[Gpu, ...]]:
    """The port above the topmost shared link -> the GPUs that share it; only groups of several."""
    below: dict[str, list[Gpu]] = defaultdict(list)
    for gpu in machine.gpus:
        for hop in gpu_hops(machine, gpu):
            if hop.upper is not None:  # of several cards below one port, a switch is hidden between
                below[hop.upper.address].append(gpu)
    by_port: dict[str, tuple[Gpu, ...]] = {}
    grouped: set[int] = set()
    for place, gpus in sorted(below.items(), key=lambda item: -len(item[1])):
        if len(gpus) > 1 and not grouped & {gpu.index for gpu in gpus}:
            by_port[place] = tuple(gpus)
            grouped |= {gpu.index for gpu in gpus}
    return by_port or _by_paths(machine)


def _by_paths(machine: Machine) -> dict[str, tuple[Gpu, ...]]:
    """Without a tree: GPUs with only bridges between them (PIX, PXB) are below one switch."""
    if any(gpu_hops(machine, gpu) for gpu in machine.gpus if gpu.pci_address):
        return {}
    near = {frozenset((path.a, path.b)) for path in machine.paths if path.kind in ("PIX", "PXB")}
    near |= _through_a_card(machine)
    groups_found: list[list[Gpu]] = []
    for gpu in machine.gpus:
        home = next((g for g in groups_found if any(_pair(gpu, member) in near for member in g)), None)
        if home is None:
            groups_found.append([gpu])
        else:
            home.append(gpu)
    return {"+".join(name(gpu) for gpu in group): tuple(group) for group in groups_found if len(group) > 1}


def _through_a_card(machine: Machine) -> set[frozenset[str]]:
    """GPUs that one network card calls PIX are below one bridge with it, and so with each other."""
    beside: dict[str, list[str]] = defaultdict(list)
    for path in machine.paths:
        if path.kind == "PIX" and path.a.startswith("GPU") and not path.b.startswith("GPU"):
            beside[path.b].append(path.a)
    return {frozenset((a, b)) for gpus in beside.values() for i, a in enumerate(gpus) for b in gpus[i + 1 :]}


def _all_paths(machine: Machine) -> bool:
    """Whether the source tells the way between every two GPUs (NV# hides it)."""
    pairs_told = {frozenset((path.a, path.b)) for path in machine.paths}
    gpus = machine.gpus
    return not machine.pci and all(_pair(a, b) in pairs_told for i, a in enumerate(gpus) for b in gpus[i + 1 :])


def _pair(a: Gpu, b: Gpu) -> frozenset[str]:
    return frozenset((f"GPU{a.index}", f"GPU{b.index}"))


def judge(machine: Machine) -> Iterable[Finding]:
    """One finding per shared link."""
    if len(machine.gpus) < 2:
        return [no_gpus(machine, 2)]
    if machine.os.virtualised:
        return [skip(message("pcie-shared-uplink.guest", "a virtual machine: its bridges are the hypervisor's"))]
    shared = groups(machine)
    if shared:
        return [_judge_group(machine, place, gpus) for place, gpus in shared.items()]
    ways = [gpu_hops(machine, gpu) for gpu in machine.gpus]
    if all(way and way[-1].upper for way in ways) or _all_paths(machine):
        return [passed("system", message("pcie-shared-uplink.own", "every GPU has a link to the host of its own"))]
    return [unread(machine, sentence("checked.pci-tree", "PCI tree"), "pci")]


def _judge_group(machine: Machine, place: str, gpus: tuple[Gpu, ...]) -> Finding:
    names = Listing(tuple(name(gpu) for gpu in gpus))
    if all_linked(machine, (gpu.index for gpu in gpus)):
        text = message(
            "pcie-shared-uplink.linked", "{gpus} share this link, but talk to each other over their own", gpus=names
        )
        return passed(place, text, places=[place])
    text = message(
        "pcie-shared-uplink.shared",
        "{gpus} share this link: copies to all of them at once get a share each",
        gpus=names,
    )
    return warn(
        place,
        text,
        sentence("check.pcie-shared-uplink.gpus-one-link", "{count} GPUs on one link", count=len(gpus)),
        sentence("check.pcie-shared-uplink.link-each", "a link each"),
        places=[place],
    )


def repair(machine: Machine) -> Machine:
    """Every GPU but the first of a group gets a root port of its own."""
    for gpus in groups(machine).values():
        for gpu in gpus[1:]:
            machine = own_port(machine, gpu)
    return machine


def effect(machine: Machine) -> Machine:
    """Each card's link as it is when all GPUs of a group copy at once."""
    if machine.os.virtualised:
        return machine
    shared = {gpu.index: len(gpus) for gpus in groups(machine).values() for gpu in gpus}
    return with_gpus(
        machine,
        (
            replace(gpu, link=replace(gpu.link, width=max(1, gpu.link.width // shared[gpu.index])))
            for gpu in machine.gpus
            if gpu.link and gpu.index in shared
        ),
    )


CHECK = Check(
    id="pcie-shared-uplink",
    code="PCI-04",
    title=sentence("check.pcie-shared-uplink.title", "GPUs do not share one link to the host"),
    severity=Verdict.WARN,
    reads=sentence("check.pcie-shared-uplink.reads", "the PCI tree; else nvidia-smi's path matrix"),
    rule=sentence(
        "check.pcie-shared-uplink.rule",
        "Two or more GPUs whose ways to the host share a link: warn, with the price. GPUs joined "
        "by NVLink or xGMI: pass, as peer traffic goes elsewhere.",
    ),
    judge=judge,
    traps=(
        sentence("check.pcie-shared-uplink.trap-normal-dgx-like", "Normal on DGX-like machines: priced, never failed."),
    ),
    ask=(
        "lspci -tnnv",
        "nvidia-smi topo -m",
    ),
    refs=("https://docs.nvidia.com/deeplearning/nccl/user-guide/docs/troubleshooting.html",),
    repair=repair,
    effect=effect,
)
