"""`gpu-bar1`: is all of the card's memory within reach of its peers?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from wellfed.checks.base import Check, no_gpus, passed, skip, warn
from wellfed.checks.driver import untold
from wellfed.checks.mend import with_gpus
from wellfed.checks.places import all_linked, cards, name
from wellfed.hardware.machine import Gpu, Machine
from wellfed.hardware.peers import part_mapped, without_peers
from wellfed.message import message, sentence
from wellfed.nouns.finding import Finding, Verdict


def judge(machine: Machine) -> Iterable[Finding]:
    """One finding per GPU."""
    gpus = cards(machine)
    if not gpus:
        return [no_gpus(machine)]
    nvidia = all(gpu.vendor == "nvidia" for gpu in gpus)
    if nvidia and len(gpus) < 2 and "gpus.cut" in machine.unknown:
        return [no_gpus(machine, 2)]
    if nvidia and (len(gpus) < 2 or all_linked(machine, (gpu.index for gpu in gpus))):
        return [skip(message("gpu-bar1.no-peers", "no peers that would reach through it"))]
    if all(without_peers(gpu) for gpu in gpus) and not any(pair.works for pair in machine.peers):
        return [skip(message("gpu-bar1.no-access", "NVIDIA's driver gives these cards no peer access over PCIe"))]
    return [_judge_gpu(machine, gpu) for gpu in gpus]


def _judge_gpu(machine: Machine, gpu: Gpu) -> Finding:
    if gpu.bar1_bytes is None or gpu.memory_bytes is None:
        return untold(machine, gpu, sentence("checked.bar1-size", "BAR1 size"), "bar1")
    measured, wanted = f"{gpu.bar1_bytes >> 20} MiB", f"{gpu.memory_bytes >> 20} MiB"
    if part_mapped(gpu):
        why = sentence(
            "check.gpu-bar1.only-window-memory",
            "only a window of the memory is on the bus: copies between cards go through RAM",
        )
        return warn(name(gpu), why, measured, wanted)
    return passed(name(gpu), sentence("check.gpu-bar1.all-memory-bus", "all memory is on the bus"), measured, wanted)


def repair(machine: Machine) -> Machine:
    """The machine with all of each card's memory on the bus."""
    return with_gpus(
        machine,
        (
            replace(gpu, bar1_bytes=max(gpu.bar1_bytes, gpu.memory_bytes))
            for gpu in machine.gpus
            if gpu.bar1_bytes is not None and gpu.memory_bytes is not None
        ),
    )


CHECK = Check(
    id="gpu-bar1",
    code="P2P-05",
    title=sentence("check.gpu-bar1.title", "Resizable BAR lets peers reach all memory"),
    severity=Verdict.WARN,
    reads=sentence("check.gpu-bar1.reads", "NVML: BAR1 size; amdgpu: visible memory"),
    rule=sentence(
        "check.gpu-bar1.rule",
        "Several GPUs without NVLink (or any AMD or Intel card): BAR at least 90 % of the memory, else warn.",
    ),
    judge=judge,
    traps=(sentence("check.gpu-bar1.trap-single-nvidia-card", "A single NVIDIA card has no peers: skip."),),
    ask=("nvidia-smi -q",),
    refs=("https://docs.kernel.org/PCI/sysfs-pci.html",),
    repair=repair,
)
