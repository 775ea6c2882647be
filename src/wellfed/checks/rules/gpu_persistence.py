"""`gpu-persistence`: does the driver stay loaded?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from wellfed.checks.base import Check, passed, skip, warn
from wellfed.checks.driver import per_nvidia_gpu, untold
from wellfed.checks.mend import with_gpus
from wellfed.checks.places import cards, name
from wellfed.faults.cards import PERSIST
from wellfed.faults.steps import at
from wellfed.hardware.machine import Gpu, Machine
from wellfed.message import message, sentence
from wellfed.nouns.estimate import Estimate
from wellfed.nouns.finding import Cost, Finding, Verdict


def judge(machine: Machine) -> Iterable[Finding]:
    """One finding per NVIDIA GPU."""
    return per_nvidia_gpu(machine, _judge_gpu)


def _judge_gpu(machine: Machine, gpu: Gpu) -> Finding:
    if machine.os.family == "windows" or machine.os.wsl:
        return skip(message("gpu-persistence.windows", "Windows keeps its driver loaded"), name(gpu))
    if gpu.persistence is None:
        return untold(
            machine, gpu, sentence("check.gpu-persistence.persistence-mode", "persistence mode"), "persistence"
        )
    if gpu.persistence:
        return passed(
            name(gpu), sentence("check.gpu-persistence.driver-keeps-gpu", "the driver keeps the GPU ready"), "on", "on"
        )
    why = sentence(
        "check.gpu-persistence.driver-shuts-gpu",
        "the driver shuts the GPU down when the last program leaves: seconds at each start, and settings are lost",
    )
    return warn(name(gpu), why, "off", "on", [at(PERSIST, gpu=gpu.index)])


# NVIDIA on driver persistence: "1-3 seconds per GPU", in which a card with ECC on scrubs its memory.
SCRUB_S = 2.0


def price(machine: Machine, estimate: Estimate) -> Cost:
    """Seconds of each start in which the driver wakes the cards that have ECC on, one after the other."""
    del estimate
    scrubbed = sum(gpu.persistence is False and gpu.ecc_enabled is True for gpu in cards(machine))
    if not scrubbed:
        note = message("gpu-persistence.unpriced", "what a start without ECC takes longer is not published")
        return Cost(note=str(note), message=note)
    return Cost(load_s=SCRUB_S * scrubbed)


def repair(machine: Machine) -> Machine:
    """The machine with persistence on for every NVIDIA GPU."""
    return with_gpus(machine, (replace(gpu, persistence=True) for gpu in machine.gpus if gpu.persistence is False))


CHECK = Check(
    id="gpu-persistence",
    code="GPU-06",
    title=sentence("check.gpu-persistence.title", "Persistence mode is on"),
    severity=Verdict.WARN,
    reads=sentence("check.gpu-persistence.reads", "NVML: persistence mode"),
    rule=sentence(
        "check.gpu-persistence.rule", "On passes, off warns. `systemctl enable --now nvidia-persistenced` keeps it so."
    ),
    judge=judge,
    ask=("nvidia-smi",),
    refs=("https://docs.nvidia.com/deploy/driver-persistence/",),
    repair=repair,
    price=price,
)
