"""`gpu-row-remap`: are memory rows waiting to be replaced?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from wellfed.checks.base import Check, fail, passed, warn
from wellfed.checks.driver import per_nvidia_gpu, untold
from wellfed.checks.mend import with_gpus
from wellfed.checks.places import name
from wellfed.faults.cards import REPLACE, RESET
from wellfed.faults.steps import at
from wellfed.hardware.machine import Gpu, Machine
from wellfed.message import sentence
from wellfed.nouns.finding import Finding, Verdict


def judge(machine: Machine) -> Iterable[Finding]:
    """One finding per GPU."""
    return per_nvidia_gpu(machine, _judge_gpu)


def _judge_gpu(machine: Machine, gpu: Gpu) -> Finding:
    if gpu.remapping_failed:
        return fail(
            name(gpu),
            sentence("check.gpu-row-remap.no-spare-rows", "no spare rows are left"),
            sentence("check.gpu-row-remap.remapping-failed", "remapping failed"),
            "none",
            [REPLACE],
        )
    if gpu.remapped_rows_pending or gpu.retired_pages_pending:
        why = sentence("check.gpu-row-remap.bad-memory-still", "bad memory is still in use until the GPU is reset")
        return warn(
            name(gpu),
            why,
            "pending",
            sentence("check.gpu-row-remap.none-pending", "none pending"),
            [at(RESET, gpu=gpu.index)],
        )
    states = (gpu.remapping_failed, gpu.remapped_rows_pending, gpu.retired_pages_pending)
    if all(value is None for value in states):
        return untold(
            machine, gpu, sentence("check.gpu-row-remap.row-remapping", "row remapping"), "remapped", "retired_pending"
        )
    return passed(name(gpu), sentence("check.gpu-row-remap.no-rows-pages", "no rows or pages wait to be replaced"))


def repair(machine: Machine) -> Machine:
    """The machine with no remapping pending and none failed."""
    return with_gpus(
        machine,
        (
            replace(
                gpu,
                remapping_failed=_no(gpu.remapping_failed),
                remapped_rows_pending=_no(gpu.remapped_rows_pending),
                retired_pages_pending=_no(gpu.retired_pages_pending),
            )
            for gpu in machine.gpus
        ),
    )


def _no(value: bool | None) -> bool | None:
    return None if value is None else False


CHECK = Check(
    id="gpu-row-remap",
    code="GPU-03",
    title=sentence("check.gpu-row-remap.title", "No GPU memory rows wait to be replaced"),
    severity=Verdict.FAIL,
    reads=sentence("check.gpu-row-remap.reads", "NVML: remapped rows (Ampere on), retired pages (before)"),
    rule=sentence("check.gpu-row-remap.rule", "Failed remapping fails; pending remapping or page retirement warns."),
    judge=judge,
    traps=(sentence("check.gpu-row-remap.trap-geforce-cards-answer", "GeForce cards answer N/A: skip."),),
    ask=("nvidia-smi -q",),
    refs=("https://docs.nvidia.com/deploy/a100-gpu-mem-error-mgmt/",),
    repair=repair,
)
