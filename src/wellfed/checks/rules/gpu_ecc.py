"""`gpu-ecc`: is the GPU's memory sound?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from wellfed.checks.base import Check, fail, no_gpus, passed, warn
from wellfed.checks.driver import untold
from wellfed.checks.mend import with_gpus
from wellfed.checks.places import cards, name
from wellfed.faults.cards import ECC_OFF, ECC_ON, ERRORS_AGAIN, RESET
from wellfed.faults.steps import at
from wellfed.hardware.machine import Gpu, Machine
from wellfed.message import message, sentence
from wellfed.nouns.estimate import Estimate
from wellfed.nouns.finding import Finding, Verdict

# GDDR cards that NVIDIA ships with ECC on (their data sheets and driver defaults)
SHIPPED_ON = (
    "A2",
    "A10",
    "A16",
    "A40",
    "L4",
    "L20",
    "L40",
    "T4",
    "TESLA",
    "RTX PRO 6000 BLACKWELL SERVER",
    "RTX PRO 6000 SERVER",
)


def judge(machine: Machine) -> Iterable[Finding]:
    """One finding per GPU."""
    return [_judge_gpu(machine, gpu) for gpu in cards(machine)] or [no_gpus(machine)]


def _judge_gpu(machine: Machine, gpu: Gpu) -> Finding:
    if gpu.ecc_uncorrected:
        why = sentence(
            "check.gpu-ecc.memory-returned",
            "memory returned wrong data: results and the driver's stability are in doubt",
        )
        fix = [
            at(RESET, gpu=gpu.index),
            ERRORS_AGAIN,
        ]
        return fail(
            name(gpu),
            why,
            sentence(
                "check.gpu-ecc.uncorrected-errors",
                "{ecc_uncorrected} uncorrected errors",
                ecc_uncorrected=gpu.ecc_uncorrected,
            ),
            "0",
            fix,
        )
    if gpu.ecc_enabled is None:
        return untold(machine, gpu, "ECC", "ecc")
    if gpu.ecc_pending is not None and gpu.ecc_pending != gpu.ecc_enabled:
        state = "on" if gpu.ecc_pending else "off"
        fix = [at(RESET, gpu=gpu.index)]
        return warn(
            name(gpu),
            sentence("check.gpu-ecc.ecc-will-after", "ECC will be {state} after the next reset", state=state),
            sentence("check.gpu-ecc.pending", "pending: {state}", state=state),
            sentence("check.gpu-ecc.effect", "in effect"),
            fix,
        )
    if not gpu.ecc_enabled and gpu.spec and gpu.spec.memory_type.upper().startswith("HBM"):
        why = sentence("check.gpu-ecc.ecc-off-card", "ECC is off on a card that has it for free: bit flips go unseen")
        fix = [at(ECC_ON, gpu=gpu.index), at(RESET, gpu=gpu.index)]
        return warn(name(gpu), why, "off", "on", fix)
    return passed(
        name(gpu),
        sentence("check.gpu-ecc.no-uncorrected", "no uncorrected memory errors"),
        "on" if gpu.ecc_enabled else "off",
    )


def against(machine: Machine, estimate: Estimate) -> Iterable[Finding]:
    """As `judge`; for a model, ECC that costs bandwidth has its price."""
    del estimate
    gpus = {name(gpu): gpu for gpu in cards(machine)}
    return [_with_price(gpus.get(finding.subject), finding) for finding in judge(machine)]


def _with_price(gpu: Gpu | None, finding: Finding) -> Finding:
    if finding.verdict is not Verdict.PASS or gpu is None or not gpu.ecc_enabled or not _takes_bandwidth(gpu):
        return finding
    why = message(
        "gpu-ecc.gddr", "ECC on this memory takes a sixteenth of its bandwidth and of its size: a choice with a price"
    )
    fix = [at(ECC_OFF, gpu=gpu.index), at(RESET, gpu=gpu.index)]
    return warn(name(gpu), why, "on", sentence("check.gpu-ecc.off-safety", "off, or on for its safety"), fix)


def _takes_bandwidth(gpu: Gpu) -> bool:
    """GDDR of a card that ships with ECC off: someone switched it on. Server cards ship with it on: no finding."""
    spec = gpu.spec
    if spec is None or not spec.memory_type.upper().startswith("GDDR"):
        return False
    return not spec.name.upper().startswith(SHIPPED_ON)


def repair(machine: Machine) -> Machine:
    """No errors; ECC as pending, and on where it is free."""
    return with_gpus(machine, (_mended(gpu) for gpu in machine.gpus))


def _mended(gpu: Gpu) -> Gpu:
    if gpu.ecc_enabled is None:
        return replace(gpu, ecc_uncorrected=0 if gpu.ecc_uncorrected else gpu.ecc_uncorrected)
    free = gpu.spec is not None and gpu.spec.memory_type.upper().startswith("HBM")
    ecc = True if free else gpu.ecc_pending if gpu.ecc_pending is not None else gpu.ecc_enabled
    ecc = False if ecc and _takes_bandwidth(gpu) else ecc
    pending = None if gpu.ecc_pending is None else ecc
    zero = 0 if gpu.ecc_uncorrected else gpu.ecc_uncorrected
    return replace(gpu, ecc_uncorrected=zero, ecc_enabled=ecc, ecc_pending=pending)


CHECK = Check(
    id="gpu-ecc",
    code="GPU-02",
    title=sentence("check.gpu-ecc.title", "GPU memory has no uncorrected errors"),
    severity=Verdict.FAIL,
    reads=sentence("check.gpu-ecc.reads", "NVML: ECC mode, pending mode, uncorrected errors"),
    rule=sentence(
        "check.gpu-ecc.rule",
        "Any uncorrected error fails. A mode that waits for a reset, and ECC off on HBM cards "
        "(where it costs nothing), warn.",
    ),
    judge=judge,
    traps=(
        sentence("check.gpu-ecc.trap-geforce-cards-answer", "GeForce cards answer N/A: skip."),
        sentence(
            "check.gpu-ecc.trap-gddr-cards-ecc",
            "On GDDR cards ECC takes memory and bandwidth: off is a choice, not a fault; on has a price for a model.",
        ),
    ),
    ask=("nvidia-smi -q",),
    refs=("https://docs.nvidia.com/deploy/nvml-api/group__nvmlDeviceQueries.html",),
    repair=repair,
    against=against,
)
