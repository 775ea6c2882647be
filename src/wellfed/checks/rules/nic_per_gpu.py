"""`nic-per-gpu`: where there are as many fast network cards as GPUs, has each GPU one beside it?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from wellfed.checks.base import SYSTEM, Check, missing, no_gpus, passed, skip, warn
from wellfed.checks.places import cards, name
from wellfed.checks.rules.nic_locality import fast_cards
from wellfed.hardware.machine import DevicePath, Gpu, Machine, Origin
from wellfed.message import Listing, message, sentence
from wellfed.nouns.finding import Finding, Verdict

NEAR = ("PIX", "PXB")
FEW = 4  # fewer GPUs share a card without harm


def judge(machine: Machine) -> Iterable[Finding]:
    """One finding for the machine."""
    gpus = cards(machine)
    if not gpus:
        return [no_gpus(machine)]
    if machine.os.virtualised:
        return [skip(message("nic-per-gpu.guest", "a virtual machine hides where cards are"))]
    nics = fast_cards(machine)
    if len(gpus) < FEW or len(nics) < len(gpus):
        shows_all = machine.nics or machine.pci_complete or machine.origin is not Origin.DUMP
        if len(gpus) >= FEW and not shows_all:
            return [missing(machine, sentence("check.nic-per-gpu.network-cards", "network cards"), "nics")]
        return [skip(message("nic-per-gpu.few", "not as many fast network cards as GPUs, four at least"))]
    numbers = {f"NIC{at}": nic.name for at, nic in nics} | {nic.name: nic.name for _, nic in nics}
    paths = [path for path in machine.paths if path.b in numbers]
    if not paths:
        return [
            missing(
                machine,
                sentence("check.nic-per-gpu.paths-between-gpus", "paths between GPUs and network cards"),
                "paths",
            )
        ]
    near = {gpu.index: _has_near_nic(gpu, paths) for gpu in gpus}
    alone = [name(gpu) for gpu in gpus if not near[gpu.index]]
    if alone:
        text = message(
            "nic-per-gpu.far", "{gpus} have no network card below their own switch", gpus=Listing(tuple(alone))
        )
        return [
            warn(
                SYSTEM,
                text,
                sentence(
                    "check.nic-per-gpu.gpus-one",
                    "{count} of {count2} GPUs have one",
                    count=len(gpus) - len(alone),
                    count2=len(gpus),
                ),
                sentence("check.nic-per-gpu.one-each-gpu", "one for each GPU"),
            )
        ]
    return [passed(SYSTEM, message("nic-per-gpu.near", "each GPU has a network card beside it"), f"{len(gpus)} GPUs")]


def _has_near_nic(gpu: Gpu, paths: Iterable[DevicePath]) -> bool:
    return any(path.a == f"GPU{gpu.index}" and path.kind in NEAR for path in paths)


def repair(machine: Machine) -> Machine:
    """A card beside every GPU."""
    nics = fast_cards(machine)
    finding = next(iter(judge(machine)))
    if finding.verdict is not Verdict.WARN:
        return machine
    added = tuple(
        DevicePath(f"GPU{gpu.index}", f"NIC{at}", "PIX") for gpu, (at, _) in zip(cards(machine), nics, strict=False)
    )
    ends = {(path.a, path.b) for path in added}
    return replace(machine, paths=(*(path for path in machine.paths if (path.a, path.b) not in ends), *added))


CHECK = Check(
    id="nic-per-gpu",
    code="NIC-03",
    title=sentence("check.nic-per-gpu.title", "Each GPU has a network card beside it, where there are enough"),
    severity=Verdict.WARN,
    reads=sentence("check.nic-per-gpu.reads", "the PCI tree, else nvidia-smi's path matrix"),
    rule=sentence(
        "check.nic-per-gpu.rule",
        "Four or more GPUs and at least as many fast network cards: each GPU reaches one through "
        "switches alone (PIX or PXB), else warn.",
    ),
    judge=judge,
    traps=(
        sentence(
            "check.nic-per-gpu.trap-virtual-machines",
            "Virtual machines show PHB for everything, as the host's places are hidden: skip.",
        ),
    ),
    ask=("nvidia-smi topo -m",),
    refs=("https://docs.nvidia.com/deeplearning/nccl/user-guide/docs/env.html",),
    repair=repair,
)
