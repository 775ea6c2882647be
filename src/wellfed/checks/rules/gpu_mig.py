"""`gpu-mig`: is the card cut into slices?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from wellfed.checks.base import Check, passed, warn
from wellfed.checks.driver import per_nvidia_gpu, untold
from wellfed.checks.mend import with_gpus
from wellfed.checks.places import name
from wellfed.faults.cards import MIG_OFF
from wellfed.faults.steps import at
from wellfed.hardware.machine import Gpu, Machine
from wellfed.message import sentence
from wellfed.nouns.finding import Finding, Verdict


def judge(machine: Machine) -> Iterable[Finding]:
    """One finding per GPU."""
    return per_nvidia_gpu(machine, _judge_gpu)


def _judge_gpu(machine: Machine, gpu: Gpu) -> Finding:
    if gpu.mig is None:
        return untold(machine, gpu, sentence("checked.mig-mode", "MIG mode"), "mig")
    if not gpu.mig:
        return passed(name(gpu), sentence("check.gpu-mig.card-whole", "the card is whole"), "off")
    why = sentence(
        "check.gpu-mig.slices-share-memory",
        "slices have a share of memory and compute each, and no NVLink or PCIe peers",
    )
    return warn(name(gpu), why, "on", "off", [at(MIG_OFF, gpu=gpu.index)])


def effect(machine: Machine) -> Machine:
    """no links between cards that are cut up: NVIDIA's MIG user guide knows no peers, by NVLink or PCIe. What smaller
    slices have of memory and compute is not in it: the price is the least.
    """
    cut = {gpu.index for gpu in machine.gpus if gpu.mig}
    if not cut:
        return machine
    links = (replace(link, active=link.active and not cut & {link.a, link.b}) for link in machine.gpu_links)
    return replace(machine, gpu_links=tuple(links))


def repair(machine: Machine) -> Machine:
    """The machine with MIG off: every card whole."""
    return with_gpus(machine, (replace(gpu, mig=False) for gpu in machine.gpus if gpu.mig))


CHECK = Check(
    id="gpu-mig",
    code="GPU-08",
    title=sentence("check.gpu-mig.title", "GPUs are not cut into MIG slices"),
    severity=Verdict.WARN,
    reads="NVML: MIG mode",
    rule=sentence("check.gpu-mig.rule", "On warns."),
    judge=judge,
    ask=("nvidia-smi",),
    refs=("https://docs.nvidia.com/datacenter/tesla/mig-user-guide/",),
    repair=repair,
    effect=effect,
)
