"""`pcie-chipset`: does the card hang on a CPU, or behind the chipset?"""

from __future__ import annotations

from collections.abc import Iterable

from wellfed.checks.base import Check, fail, no_gpus, passed, skip, unknown, unread, warn
from wellfed.checks.chipsets import Place, place_of
from wellfed.checks.mend import own_port
from wellfed.checks.pcie_path import by_address
from wellfed.checks.places import name
from wellfed.hardware.machine import Gpu, Machine, Origin
from wellfed.message import message, sentence
from wellfed.nouns.finding import Finding, Verdict

WANTED = sentence("check.pcie-chipset.cpu-root-port", "a CPU root port")


def judge(machine: Machine) -> Iterable[Finding]:
    """One finding per GPU."""
    if not machine.gpus:
        return [no_gpus(machine)]
    return [_judge_gpu(machine, gpu) for gpu in machine.gpus]


def _judge_gpu(machine: Machine, gpu: Gpu) -> Finding:
    place, bridge = place_of(by_address(machine), gpu.pci_address, machine.pci_complete)
    if place is Place.NO_BRIDGE:
        return _without_bridge(machine, gpu)
    return _judge_port(place, name(gpu), bridge.address if bridge else "")


def _judge_port(place: Place, subject: str, port: str) -> Finding:
    """By the kind of the bridge at address `port` that the card hangs on."""
    if place is Place.CHIPSET:
        text = message(
            "pcie-chipset.behind",
            "behind the chipset ({place}): it shares a x4 or x8 uplink with disks, network and USB",
            place=port,
        )
        return fail(
            subject,
            text,
            sentence("check.pcie-chipset.chipset-port", "chipset port {where}", where=port),
            WANTED,
            places=[port],
        )
    if place is Place.EMULATED:
        emulated = message(
            "pcie-chipset.emulated",
            "{place} looks like a chipset port, but is an emulated one; the host decides what is behind it",
            place=port,
        )
        return warn(
            subject,
            emulated,
            sentence("check.pcie-chipset.emulated-chipset", "emulated chipset port {where}", where=port),
            WANTED,
        )
    if place is Place.CPU:
        return passed(
            subject,
            sentence("check.pcie-chipset.hangs-cpu", "hangs on a CPU"),
            sentence("check.pcie-chipset.root-port", "root port {where}", where=port),
            WANTED,
        )
    if place is Place.LEGACY:
        return unknown(
            sentence(
                "check.pcie-chipset.belongs-northbridge",
                "{where} belongs to a northbridge of before CPUs had PCIe; not a chipset slot",
                where=port,
            ),
            subject,
        )
    return unknown(
        sentence("check.pcie-chipset.bridge-known-kind", "the bridge {where} is of no known kind", where=port),
        subject,
    )


def _without_bridge(machine: Machine, gpu: Gpu) -> Finding:
    if machine.os.virtualised:
        return skip(
            sentence("check.pcie-chipset.virtual-machine", "a virtual machine shows no bridge above the card"),
            name(gpu),
        )
    if machine.origin is Origin.PARTS and gpu.link is not None:
        return passed(
            name(gpu),
            sentence("check.pcie-chipset.planned-cpu-lanes", "planned on a CPU's lanes"),
            str(gpu.link),
            WANTED,
        )
    if gpu.pci_address and gpu.pci_address in by_address(machine):
        return unknown(
            sentence("check.pcie-chipset.no-bridge-visible", "no bridge is visible above the card"), name(gpu)
        )
    return unread(machine, sentence("checked.pci-tree", "PCI tree"), "pci", subject=name(gpu))


def repair(machine: Machine) -> Machine:
    """Every card behind the chipset moved to a CPU slot."""
    for gpu in machine.gpus:
        if _judge_gpu(machine, gpu).verdict in (Verdict.WARN, Verdict.FAIL):
            machine = own_port(machine, gpu)
    return machine


CHECK = Check(
    id="pcie-chipset",
    code="PCI-03",
    title=sentence("check.pcie-chipset.title", "GPUs hang on a CPU, not behind the chipset"),
    severity=Verdict.FAIL,
    reads=sentence("check.pcie-chipset.reads", "the PCI tree: ids and addresses of the bridges above the GPU"),
    rule=sentence(
        "check.pcie-chipset.rule",
        "Intel: a root port at device 1a to 1d of the bus whose 1f.0 is the LPC bridge. AMD: an "
        "ancestor among the Promontory, X399, X570 and Promontory 21 switches. Either: fail. "
        "Unknown bridges: unknown.",
    ),
    judge=judge,
    traps=(
        sentence(
            "check.pcie-chipset.trap-northbridge-may",
            "A northbridge may be *named* chipset (4 Series Chipset PCI Express Root Port) and yet "
            "be the fast slot of its time: unknown, not a failure.",
        ),
        sentence("check.pcie-chipset.trap-power-arm-machines", "POWER and ARM machines have no such thing: pass."),
        sentence(
            "check.pcie-chipset.trap-virtual-machine",
            "A virtual machine shows the hypervisor's ports, not the host's: a warning at most.",
        ),
    ),
    ask=("lspci -tnnv",),
    refs=("https://pci-ids.ucw.cz", "Intel platform controller hub data sheets, PCI device tables"),
    repair=repair,
)
