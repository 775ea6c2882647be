"""`gpu-xid`: has the driver reported errors?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from wellfed.checks.base import Check, fail, missing, passed, reason, unknown, warn
from wellfed.checks.driver import per_nvidia_gpu
from wellfed.checks.mend import with_gpus
from wellfed.checks.places import name
from wellfed.faults.cards import AGAIN, RESET, WHICH_PROGRAM
from wellfed.faults.steps import at
from wellfed.hardware.machine import Gpu, Machine, Origin
from wellfed.message import joined, listed, sentence
from wellfed.nouns.finding import Finding, Verdict

# Errors of the hardware or its link; all others (13, 31, 43, 45 ...) are mostly a program's own.
HARDWARE: Mapping[int, str] = {
    48: sentence("check.gpu-xid.uncorrected-memory", "uncorrected memory error"),
    61: sentence("check.gpu-xid.internal", "internal microcontroller breakpoint"),
    62: sentence("check.gpu-xid.internal-2", "internal microcontroller halt"),
    63: sentence("check.gpu-xid.row-remapping-page", "row remapping or page retirement"),
    64: sentence("check.gpu-xid.row-remapping-failed", "row remapping failed"),
    74: "NVLink error",
    79: sentence("check.gpu-xid.gpu-fell-off", "the GPU fell off the bus"),
    92: sentence("check.gpu-xid.many-corrected", "many corrected memory errors"),
    94: sentence("check.gpu-xid.contained-memory", "contained memory error"),
    95: sentence("check.gpu-xid.uncontained-memory", "uncontained memory error"),
    109: sentence("check.gpu-xid.context-switch", "context switch timeout"),
    110: sentence("check.gpu-xid.security-fault", "security fault"),
    119: "GSP timeout",
    120: "GSP error",
    136: sentence("check.gpu-xid.link-training-failed", "link training failed"),
    140: sentence("check.gpu-xid.unrecovered-ecc", "unrecovered ECC error"),
    143: sentence("check.gpu-xid.gpu-initialisation", "GPU initialisation failed"),
    145: "NVLink RLW error",
    149: "NVLink NETIR error",
    154: sentence("check.gpu-xid.recovery-action", "recovery action needed"),
}
KEYS = ("xids", "dmesg", "kernel_log", "os.kernel_log")


def judge(machine: Machine) -> Iterable[Finding]:
    """One finding per NVIDIA GPU."""
    return per_nvidia_gpu(machine, _judge_gpu)


def _judge_gpu(machine: Machine, gpu: Gpu) -> Finding:
    hard = [xid for xid in gpu.xids if xid in HARDWARE]
    measured = listed(f"XID {xid}" for xid in dict.fromkeys(gpu.xids))
    if hard:
        why = joined("; ", (joined(": ", (xid, HARDWARE[xid])) for xid in dict.fromkeys(hard)))
        fix = [
            at(RESET, gpu=gpu.index),
            AGAIN,
        ]
        return fail(
            name(gpu),
            sentence("check.gpu-xid.driver-reported", "the driver reported faults of the hardware ({why})", why=why),
            measured,
            "none",
            fix,
        )
    if gpu.xids:
        why = sentence("check.gpu-xid.driver-reported-2", "the driver reported errors that are mostly a program's own")
        return warn(
            name(gpu),
            why,
            measured,
            "none",
            [WHICH_PROGRAM],
        )
    if unseen := reason(machine, f"{name(gpu)}.xids", *KEYS):
        return unknown(sentence("check.gpu-xid.kernel-log", "kernel log: {unseen}", unseen=unseen), name(gpu))
    if machine.origin is Origin.DUMP or machine.origin is Origin.PARTS:
        return missing(machine, sentence("check.gpu-xid.kernel-log-2", "kernel log"), subject=name(gpu))
    return passed(name(gpu), sentence("check.gpu-xid.no-errors-kernel", "no errors in the kernel log"), "none")


def repair(machine: Machine) -> Machine:
    """The machine without reported errors."""
    return with_gpus(machine, (replace(gpu, xids=()) for gpu in machine.gpus))


CHECK = Check(
    id="gpu-xid",
    code="GPU-04",
    title=sentence("check.gpu-xid.title", "The driver has reported no XID errors"),
    severity=Verdict.FAIL,
    reads=sentence("check.gpu-xid.reads", "NVRM Xid lines of the kernel log"),
    rule=sentence("check.gpu-xid.rule", "XIDs of hardware and link fail, others warn."),
    judge=judge,
    traps=(
        sentence(
            "check.gpu-xid.trap-without-right-read", "Without the right to read the kernel log: unknown, not pass."
        ),
        sentence("check.gpu-xid.trap-dump-without-log", "A dump without a log proves nothing."),
    ),
    ask=("sudo dmesg | grep -i xid",),
    refs=("https://docs.nvidia.com/deploy/xid-errors/",),
    repair=repair,
)
