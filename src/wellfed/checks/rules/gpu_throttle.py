"""`gpu-throttle`: is the GPU held back by heat or power?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from wellfed.checks.base import Check, by_hand, fail, no_gpus, passed, reason, warn
from wellfed.checks.driver import queried, untold
from wellfed.checks.mend import with_gpus
from wellfed.checks.places import cards, name
from wellfed.hardware.machine import Gpu, Machine
from wellfed.message import sentence
from wellfed.nouns.finding import Finding, Reach, Verdict

BAD = ("thermal", "brake", "hw_slowdown")
FIX = by_hand(
    sentence(
        "check.gpu-throttle.cooling-fans-dust",
        "Cooling: fans, dust, airflow between cards, inlet temperature. Power: all connectors, supply, chassis brake.",
    ),
    Reach.HARDWARE,
)


def judge(machine: Machine) -> Iterable[Finding]:
    """One finding per GPU."""
    return [_judge_gpu(machine, gpu) for gpu in cards(machine)] or [no_gpus(machine)]


def _judge_gpu(machine: Machine, gpu: Gpu) -> Finding:
    reasons = [text.strip().lower().replace(" ", "_") for text in gpu.throttle_reasons]
    bad = [text for text in reasons if any(mark in text for mark in BAD)]
    heat = "" if gpu.temperature_c is None else f", {gpu.temperature_c:.0f} °C"
    if bad:
        why = sentence("check.gpu-throttle.card-clocks-itself", "the card clocks itself down to protect itself")
        return fail(
            name(gpu), why, ", ".join(bad) + heat, sentence("check.gpu-throttle.no-slowdown", "no slowdown"), [FIX]
        )
    if "sync_boost" in reasons:
        why = sentence("check.gpu-throttle.card-clocked-slowest", "the card is clocked with the slowest of its group")
        return warn(
            name(gpu),
            why,
            "sync_boost",
            sentence("check.gpu-throttle.no-slowdown", "no slowdown"),
            [sentence("check.gpu-throttle.leave-sync-boost", "# Leave the sync boost group: nvidia-smi boost-slider")],
        )
    if not reasons and (not queried(gpu) or reason(machine, f"{name(gpu)}.reasons")):
        return untold(machine, gpu, sentence("check.gpu-throttle.throttle-reasons", "throttle reasons"), "reasons")
    note = (
        sentence("check.gpu-throttle.power-limit-sets", "the power limit sets the clock, as it should under load")
        if "sw_power_cap" in reasons
        else sentence("check.gpu-throttle.no-slowdown", "no slowdown")
    )
    return passed(name(gpu), note, (", ".join(reasons) or "none") + heat)


def repair(machine: Machine) -> Machine:
    """No slowdown."""
    keep = ("gpu_idle", "sw_power_cap", "applications_clocks_setting", "display_clock_setting")
    return with_gpus(
        machine,
        (
            replace(
                gpu,
                throttle_reasons=tuple(r for r in gpu.throttle_reasons if r.strip().lower().replace(" ", "_") in keep),
            )
            for gpu in machine.gpus
        ),
    )


CHECK = Check(
    id="gpu-throttle",
    code="GPU-05",
    title=sentence("check.gpu-throttle.title", "GPUs are not slowed down by heat or power brakes"),
    severity=Verdict.FAIL,
    reads=sentence("check.gpu-throttle.reads", "NVML: clocks event (throttle) reasons, temperature"),
    why=sentence(
        "check.gpu-throttle.why",
        "Prefill and batches are compute: a card at half its clock needs twice the time, and the others wait for it.",
    ),
    rule=sentence(
        "check.gpu-throttle.rule",
        "Thermal and hardware slowdowns and the power brake fail. Idle, application clocks and "
        "the power limit are normal.",
    ),
    judge=judge,
    traps=(sentence("check.gpu-throttle.trap-idle-gpu-heat", "On an idle GPU heat does not show: look under load."),),
    ask=("nvidia-smi -q (while the GPUs work)",),
    hardware=True,
    refs=("https://docs.nvidia.com/deploy/nvml-api/group__nvmlClocksEventReasons.html",),
    repair=repair,
)
