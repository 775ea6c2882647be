"""`fabric-manager`: is the NVSwitch fabric configured?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from wellfed.checks.base import SYSTEM, Check, fail, missing, passed, skip, unknown
from wellfed.checks.places import cards
from wellfed.finding import Finding, Verdict
from wellfed.hardware.machine import Machine

FIX = (
    "systemctl enable --now nvidia-fabricmanager",
    "# Its version must be exactly the driver's.",
)
NVSWITCH_IDS = frozenset({0x1AC0, 0x1AC1, 0x1AC2, 0x1AF1, 0x22A3})  # DGX-2, HGX A100, HGX H100
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
        return [skip("no NVSwitch")]
    if states and states != {"completed"}:
        why = "CUDA refuses to start until the fabric is configured"
        return [fail(SYSTEM, why, f"fabric {', '.join(sorted(str(s) for s in states))}", "completed", FIX)]
    if states:
        return [passed(SYSTEM, "the fabric is configured", "completed")]
    running = machine.os.fabric_manager_running
    if running is None:
        found = missing(machine, "fabric manager", "os.fabric_manager_running")
        return [unknown(f"required ({count} NVSwitches), but whether it runs is not known; {found.why}")]
    if not running:
        why = "without it CUDA fails with error 802 (system not yet initialized)"
        return [fail(SYSTEM, why, "not running", "running", FIX)]
    return [passed(SYSTEM, "the fabric manager is running", "running")]


def repair(machine: Machine) -> Machine:
    """Running, and done."""
    if not switches(machine) and all(gpu.fabric_state in NOT_NEEDED for gpu in machine.gpus):
        return machine
    gpus = tuple(
        gpu if gpu.fabric_state in NOT_NEEDED else replace(gpu, fabric_state="completed") for gpu in machine.gpus
    )
    return replace(machine, gpus=gpus, os=replace(machine.os, fabric_manager_running=True))


CHECK = Check(
    id="fabric-manager",
    title="NVSwitch machines have a configured fabric",
    severity=Verdict.FAIL,
    reads="NVSwitches on the PCI bus, NVML's fabric state, the nvidia-fabricmanager service",
    why="On HGX machines the GPUs cannot even start alone: a service programs the switches first.",
    rule="With NVSwitches: fabric state completed, or the service running. Otherwise fail. No NVSwitch: skip.",
    judge=judge,
    traps=(
        "Cards without NVSwitch (A10, PCIe A100) do not need it.",
        "In a virtual machine the host may run it: the GPUs' own fabric state counts first.",
    ),
    refs=("https://docs.nvidia.com/datacenter/tesla/fabric-manager-user-guide/",),
    repair=repair,
)
