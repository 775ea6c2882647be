"""`gpu-driver`: has the card a driver that can compute?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from wellfed.checks.base import Check, fail, no_gpus, passed, skip, unknown, warn
from wellfed.checks.driver import queried
from wellfed.checks.mend import with_devices, without_gpus
from wellfed.checks.pcie_path import by_address
from wellfed.checks.places import cards, name
from wellfed.faults.cards import INSTALL_DRIVER, UNBIND
from wellfed.hardware.machine import Gpu, Machine, Origin
from wellfed.hardware.pcie import PciDevice
from wellfed.message import sentence
from wellfed.nouns.finding import Finding, Verdict

OWN = {"nvidia": "nvidia", "amd": "amdgpu", "intel": "xe"}
PICTURE = frozenset({"nouveau", "nvidiafb", "radeon", "simple-framebuffer", "efifb", "vesafb"})
COMPUTE = frozenset({"nvidia", "amdgpu", "i915", "xe"})


def judge(machine: Machine) -> Iterable[Finding]:
    """One finding per GPU."""
    if machine.origin is Origin.PARTS:
        return [skip(sentence("check.gpu-driver.planned-machine", "a planned machine has no drivers"))]
    devices = by_address(machine)
    tells = any(device.driver for device in machine.pci) and machine.origin is not Origin.DUMP
    return [_judge_gpu(gpu, devices.get(gpu.pci_address or ""), tells) for gpu in cards(machine)] or [no_gpus(machine)]


def _judge_gpu(gpu: Gpu, device: PciDevice | None, tells: bool) -> Finding:
    driver = device.driver if device else None
    if driver == "vfio-pci":
        return warn(
            name(gpu),
            sentence("check.gpu-driver.set-aside-virtual", "set aside for virtual machines"),
            driver,
            OWN.get(gpu.vendor or "", sentence("check.gpu-driver.driver", "a driver")),
            [UNBIND],
        )
    if driver in PICTURE:
        why = sentence("check.gpu-driver.driver-shows", "this driver shows pictures, but cannot run models")
        return fail(
            name(gpu),
            why,
            driver,
            OWN.get(gpu.vendor or "", sentence("check.gpu-driver.vendor", "the vendor's")),
            [INSTALL_DRIVER],
        )
    if driver in COMPUTE or queried(gpu):
        return passed(name(gpu), sentence("check.gpu-driver.driver-2", "has its driver"), gpu.driver or driver)
    if driver is not None:
        return unknown(
            sentence(
                "check.gpu-driver.driver-wellfed-does", "{driver} is a driver that wellfed does not know", driver=driver
            ),
            name(gpu),
            driver,
        )
    if device is not None and tells:
        return fail(
            name(gpu),
            sentence("check.gpu-driver.no-driver-bound", "no driver is bound to the card"),
            "none",
            OWN.get(gpu.vendor or "", sentence("check.gpu-driver.driver", "a driver")),
            [INSTALL_DRIVER],
        )
    return unknown(sentence("check.gpu-driver.driver-source-does", "driver: the source does not tell"), name(gpu))


def effect(machine: Machine) -> Machine:
    """no card that has no driver to compute with."""
    lost = {f"gpu{gpu.index}": gpu.index for gpu in machine.gpus}
    faulty = [finding.subject for finding in judge(machine) if finding.verdict in (Verdict.WARN, Verdict.FAIL)]
    return without_gpus(machine, {lost[subject] for subject in faulty if subject in lost})


def repair(machine: Machine) -> Machine:
    """The vendor's driver on every card."""
    devices = by_address(machine)
    cards_by_address = {gpu.pci_address: gpu for gpu in cards(machine) if gpu.pci_address in devices}
    changed = {
        address: replace(devices[address], driver=OWN[gpu.vendor])
        for address, gpu in cards_by_address.items()
        if address and gpu.vendor in OWN and devices[address].driver not in COMPUTE
    }
    return with_devices(machine, changed)


CHECK = Check(
    id="gpu-driver",
    code="GPU-01",
    title=sentence("check.gpu-driver.title", "Every GPU has a driver that can compute"),
    severity=Verdict.FAIL,
    reads=sentence("check.gpu-driver.reads", "the driver link of the GPU's PCI function; NVML"),
    rule=sentence("check.gpu-driver.rule", "nouveau, or none while other devices have theirs: fail. vfio-pci: warn."),
    judge=judge,
    traps=(sentence("check.gpu-driver.trap-dump-without-drivers", "A dump without drivers proves nothing: unknown."),),
    ask=(
        "lspci -nnk",
        "nvidia-smi",
    ),
    refs=("https://docs.kernel.org/driver-api/vfio.html",),
    repair=repair,
    effect=effect,
)
