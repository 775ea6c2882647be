"""`iommu`: does every DMA go through translation?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from wellfed.checks.base import SYSTEM, Check, missing, no_gpus, passed, skip, warn
from wellfed.checks.places import all_linked, cards
from wellfed.hardware.machine import Machine
from wellfed.message import sentence
from wellfed.nouns.finding import Finding, Verdict


def judge(machine: Machine) -> Iterable[Finding]:
    """One finding for the machine."""
    gpus = cards(machine)
    if not gpus:
        return [no_gpus(machine)]
    if machine.os.virtualised:
        return [skip(sentence("check.iommu.virtual-machine-host", "a virtual machine: the host decides"))]
    mode = machine.os.iommu
    if mode is None:
        return [missing(machine, "IOMMU", "os.iommu")]
    if mode != "on":
        return [
            passed(
                SYSTEM,
                sentence("check.iommu.devices-reach-memory", "devices reach memory and each other directly"),
                mode,
            )
        ]
    if len(gpus) < 2 or all_linked(machine, (gpu.index for gpu in gpus)):
        return [
            passed(
                SYSTEM,
                sentence("check.iommu.translation-but-gpus", "translation is on, but no GPUs talk over PCIe"),
                mode,
            )
        ]
    why = sentence(
        "check.iommu.peer-copies-between",
        "peer copies between GPUs are translated: slower, and on many machines they hang or corrupt",
    )
    return [
        warn(
            SYSTEM,
            why,
            sentence("check.iommu.translating", "on, translating"),
            sentence("check.iommu.passthrough-off", "passthrough or off"),
        )
    ]


def repair(machine: Machine) -> Machine:
    """The machine with its IOMMU in passthrough mode."""
    if machine.os.iommu != "on":
        return machine
    return replace(machine, os=replace(machine.os, iommu="passthrough"))


CHECK = Check(
    id="iommu",
    code="P2P-02",
    title=sentence("check.iommu.title", "The IOMMU does not translate peer traffic"),
    severity=Verdict.WARN,
    reads=sentence("check.iommu.reads", "/sys/class/iommu, iommu= on the kernel command line"),
    rule=sentence(
        "check.iommu.rule",
        "Several GPUs that talk over PCIe, on bare metal: off or passthrough (iommu=pt); `on` warns.",
    ),
    judge=judge,
    traps=(
        sentence(
            "check.iommu.trap-needed-when-cards",
            "Needed when cards are passed through to virtual machines; passthrough mode serves both.",
        ),
    ),
    ask=(
        "cat /proc/cmdline",
        "ls /sys/class/iommu",
    ),
    refs=("https://docs.kernel.org/admin-guide/kernel-parameters.html",),
    repair=repair,
)
