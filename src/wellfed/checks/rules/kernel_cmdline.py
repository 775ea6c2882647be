"""`kernel-cmdline`: does the kernel's command line take something away?"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from wellfed.checks.base import SYSTEM, Check, missing, passed, warn
from wellfed.faults.cpus import REMOVE_OPTIONS
from wellfed.faults.steps import at
from wellfed.hardware.machine import Machine
from wellfed.message import joined, sentence
from wellfed.nouns.finding import Finding, Verdict

HARMFUL = {
    r"maxcpus=\d+": sentence("check.kernel-cmdline.fewer-cpus-started", "fewer CPUs are started than there are"),
    r"nr_cpus=\d+": sentence("check.kernel-cmdline.fewer-cpus-started", "fewer CPUs are started than there are"),
    r"mem=\S+": sentence("check.kernel-cmdline.less-memory-used", "less memory is used than there is"),
    r"pcie_aspm=force": sentence("check.kernel-cmdline.pcie-links-fall", "PCIe links fall asleep between copies"),
    r"pcie_aspm\.policy=power\S*": sentence(
        "check.kernel-cmdline.pcie-links-fall", "PCIe links fall asleep between copies"
    ),
    r"pci=(\S*,)?nomsi\b\S*": sentence(
        "check.kernel-cmdline.gpus-network-cards", "GPUs and network cards share slow interrupts"
    ),
    r"pci=(\S*,)?pcie_bus_peer2peer\b\S*": sentence(
        "check.kernel-cmdline.all-pcie-packets", "all PCIe packets are cut to 128 bytes"
    ),
    r"iommu\.strict=1": sentence("check.kernel-cmdline.every-dma-mapping", "every DMA mapping is flushed at once"),
    r"intel_iommu=(\S*,)?strict\b\S*": sentence(
        "check.kernel-cmdline.every-dma-mapping", "every DMA mapping is flushed at once"
    ),
}


def judge(machine: Machine) -> Iterable[Finding]:
    """One finding for the machine."""
    line = machine.os.command_line
    if line is None:
        return [
            missing(
                machine, sentence("check.kernel-cmdline.kernel-command-line", "kernel command line"), "os.command_line"
            )
        ]
    harmful = {word: why for word in line.split() for pattern, why in HARMFUL.items() if re.fullmatch(pattern, word)}
    if not harmful:
        return [
            passed(
                SYSTEM,
                sentence(
                    "check.kernel-cmdline.nothing-kernel",
                    "nothing on the kernel's command line takes away CPUs, memory or links",
                ),
            )
        ]
    why = joined("; ", (joined(": ", pair) for pair in harmful.items()))
    fix = [at(REMOVE_OPTIONS, found=" ".join(harmful))]
    return [warn(SYSTEM, why, " ".join(harmful), "without", fix)]


def repair(machine: Machine) -> Machine:
    """The machine whose kernel was started without the harmful words."""
    line = machine.os.command_line
    if line is None:
        return machine
    removed = [word for word in line.split() if any(re.fullmatch(pattern, word) for pattern in HARMFUL)]
    machine = _with_memory_restored(machine, removed)
    harmless = [word for word in line.split() if not any(re.fullmatch(pattern, word) for pattern in HARMFUL)]
    return replace(machine, os=replace(machine.os, command_line=" ".join(harmless)))


def _with_memory_restored(machine: Machine, removed: list[str]) -> Machine:
    """All cores and modules that are there, where words hid some."""
    if any(word.startswith(("maxcpus=", "nr_cpus=")) for word in removed):
        sockets = tuple(replace(socket, cores=socket.cpu.cores) if socket.cpu else socket for socket in machine.sockets)
        settings = replace(machine.os, cpus_online=machine.os.cpus_present, cpus_allowed=None)
        machine = replace(machine, sockets=sockets, os=settings)
    if any(word.startswith("mem=") for word in removed):
        installed = sum(dimm.bytes or 0 for dimm in machine.dimms)
        free = machine.os.memory_free_bytes
        more = max(0, installed - (machine.memory_bytes or 0))
        settings = replace(machine.os, memory_free_bytes=None if free is None else free + more)
        machine = replace(machine, memory_bytes=max(installed, machine.memory_bytes or 0) or None, os=settings)
    return machine


CHECK = Check(
    id="kernel-cmdline",
    code="SYS-01",
    title=sentence("check.kernel-cmdline.title", "The kernel's command line takes nothing away"),
    severity=Verdict.WARN,
    reads="/proc/cmdline",
    rule=sentence(
        "check.kernel-cmdline.rule",
        "maxcpus=, nr_cpus=, mem=, pcie_aspm=force, pci=nomsi, pci=pcie_bus_peer2peer and strict IOMMU flushing warn.",
    ),
    judge=judge,
    traps=(
        sentence(
            "check.kernel-cmdline.trap-mitigations-iommu-pt", "mitigations=, iommu=pt and the like do no harm here."
        ),
    ),
    ask=("cat /proc/cmdline",),
    refs=("https://docs.kernel.org/admin-guide/kernel-parameters.html",),
    repair=repair,
)
