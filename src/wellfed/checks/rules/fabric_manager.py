"""`fabric-manager`: is the NVSwitch fabric configured?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from wellfed.checks.base import SYSTEM, Check, fail, passed, skip, unknown
from wellfed.checks.mend import without_gpus
from wellfed.checks.places import cards
from wellfed.hardware.machine import Machine, Origin
from wellfed.message import listed, message, sentence
from wellfed.nouns.finding import Finding, Verdict

NVSWITCH_IDS = frozenset({0x1AC0, 0x1AC1, 0x1AC2, 0x1AF1, 0x22A3})  # DGX-2, HGX A100, HGX H100
SWITCHED = frozenset({"ampere", "hopper", "blackwell"})  # generations whose boards of eight have NVSwitches
NOT_NEEDED = (None, "not supported", "n/a")


def switches(machine: Machine) -> int:
    """NVSwitches the machine has, by the driver's count or on the bus."""
    on_bus = sum(device.vendor_id == 0x10DE and device.device_id in NVSWITCH_IDS for device in machine.pci)
    return max(on_bus, machine.os.nvswitches or 0)


def judge(machine: Machine) -> Iterable[Finding]:
    """One finding for the machine."""
    states = {(gpu.fabric_state or "").lower() or None for gpu in cards(machine)} - set(NOT_NEEDED)
    count = switches(machine)
    if not count and not states:
        return [_uncounted_switches(machine)]
    if states and states != {"completed"}:
        why = sentence(
            "check.fabric-manager.cuda-refuses-start", "CUDA refuses to start until the fabric is configured"
        )
        return [
            fail(
                SYSTEM,
                why,
                sentence(
                    "check.fabric-manager.fabric", "fabric {states}", states=listed(sorted(str(s) for s in states))
                ),
                "completed",
            )
        ]
    if states:
        return [
            passed(SYSTEM, sentence("check.fabric-manager.fabric-configured", "the fabric is configured"), "completed")
        ]
    running = machine.os.fabric_manager_running
    if running is None:
        text = message(
            "fabric-manager.unknown", "required ({count} NVSwitches), but whether it runs is not known", count=count
        )
        return [unknown(text)]
    if not running:
        why = sentence(
            "check.fabric-manager.without-cuda-fails",
            "without it CUDA fails with error 802 (system not yet initialized)",
        )
        return [fail(SYSTEM, why, sentence("check.fabric-manager.running", "not running"), "running")]
    return [passed(SYSTEM, sentence("check.fabric-manager.fabric-manager", "the fabric manager is running"), "running")]


def _uncounted_switches(machine: Machine) -> Finding:
    """Links between all GPUs, or a large board of modules, say that switches are there though nobody counted them."""
    switched = any(link.kind == "nvswitch" for link in machine.gpu_links)
    modules = [gpu for gpu in cards(machine) if gpu.spec and gpu.spec.form == "sxm" and gpu.spec.vendor == "nvidia"]
    large = len(modules) > 4 and all(gpu.spec.architecture in SWITCHED for gpu in modules if gpu.spec)
    if (switched or large) and machine.origin is not Origin.PARTS:
        return unknown(
            message("fabric-manager.unseen", "required by these GPUs' switches; whether it runs is not told")
        )
    return skip(message("fabric-manager.none", "no NVSwitch"))


def effect(machine: Machine) -> Machine:
    """no GPUs: CUDA does not start."""
    failed = any(finding.verdict is Verdict.FAIL for finding in judge(machine))
    return without_gpus(machine, {gpu.index for gpu in machine.gpus}) if failed else machine


def repair(machine: Machine) -> Machine:
    """The machine with the fabric manager running and the fabric configured."""
    if not switches(machine) and all(gpu.fabric_state in NOT_NEEDED for gpu in machine.gpus):
        return machine
    gpus = tuple(
        gpu if gpu.fabric_state in NOT_NEEDED else replace(gpu, fabric_state="completed") for gpu in machine.gpus
    )
    return replace(machine, gpus=gpus, os=replace(machine.os, fabric_manager_running=True))


CHECK = Check(
    id="fabric-manager",
    code="P2P-04",
    title=sentence("check.fabric-manager.title", "NVSwitch machines have a configured fabric"),
    severity=Verdict.FAIL,
    reads=sentence(
        "check.fabric-manager.reads", "NVSwitches on the PCI bus, NVML's fabric state, the nvidia-fabricmanager service"
    ),
    rule=sentence(
        "check.fabric-manager.rule",
        "With NVSwitches: fabric state completed, or the service running. Otherwise fail. No NVSwitch: skip.",
    ),
    judge=judge,
    traps=(
        sentence("check.fabric-manager.trap-cards-without", "Cards without NVSwitch (A10, PCIe A100) do not need it."),
        sentence(
            "check.fabric-manager.trap-virtual-machine-host",
            "In a virtual machine the host may run it: the GPUs' own fabric state counts first.",
        ),
    ),
    ask=(
        "systemctl status nvidia-fabricmanager",
        "nvidia-smi -q",
    ),
    refs=("https://docs.nvidia.com/datacenter/tesla/fabric-manager-user-guide/",),
    repair=repair,
    effect=effect,
)
