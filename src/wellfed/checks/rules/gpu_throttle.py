"""`gpu-throttle`: is the GPU held back by heat or power?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields, replace

from wellfed.checks.base import Check, fail, no_gpus, passed, reason, warn
from wellfed.checks.driver import queried, untold
from wellfed.checks.mend import with_gpus
from wellfed.checks.places import cards, name
from wellfed.checks.tools import UNDER_LOAD
from wellfed.faults.cards import COOL, LEAVE_GROUP
from wellfed.hardware.machine import Gpu, Machine, Origin
from wellfed.message import listed, sentence
from wellfed.nouns.finding import Finding, Verdict

# NVML on hardware slowdown: core clocks are reduced "by a factor of 2 or more"; where the clock itself is told, that.
HARDWARE, HALF = ("hw_", "brake"), 0.5
AWAKE = 2  # performance states up to P2 show the clocks of work
BAD = ("thermal", "brake", "hw_slowdown")


def judge(machine: Machine) -> Iterable[Finding]:
    """One finding per GPU."""
    return [_judge_gpu(machine, gpu) for gpu in cards(machine)] or [no_gpus(machine)]


def _judge_gpu(machine: Machine, gpu: Gpu) -> Finding:
    reasons = _reasons(gpu)
    bad = [text for text in reasons if any(mark in text for mark in BAD)]
    heat = "" if gpu.temperature_c is None else f", {gpu.temperature_c:.0f} °C"
    if bad:
        why = sentence("check.gpu-throttle.card-clocks-itself", "the card clocks itself down to protect itself")
        return fail(
            name(gpu), why, listed(bad) + heat, sentence("check.gpu-throttle.no-slowdown", "no slowdown"), [COOL]
        )
    if "sync_boost" in reasons:
        why = sentence("check.gpu-throttle.card-clocked-slowest", "the card is clocked with the slowest of its group")
        return warn(
            name(gpu),
            why,
            "sync_boost",
            sentence("check.gpu-throttle.no-slowdown", "no slowdown"),
            [LEAVE_GROUP],
        )
    partly = machine.origin is Origin.DUMP and not gpu.driver_told_all
    if not reasons and (partly or not queried(gpu) or reason(machine, f"{name(gpu)}.reasons")):
        return untold(machine, gpu, sentence("check.gpu-throttle.throttle-reasons", "throttle reasons"), "reasons")
    note = (
        sentence("check.gpu-throttle.power-limit-sets", "the power limit sets the clock, as it should under load")
        if "sw_power_cap" in reasons
        else sentence("check.gpu-throttle.no-slowdown", "no slowdown")
    )
    return passed(name(gpu), note, (listed(reasons) or "none") + heat)


def _reasons(gpu: Gpu) -> list[str]:
    return [text.strip().lower().replace(" ", "_") for text in gpu.throttle_reasons]


def effect(machine: Machine) -> Machine:
    """the rates that the lowered core clock leaves: the clock that was seen at work, half of it where none was seen."""
    return with_gpus(machine, (_slowed(gpu) for gpu in machine.gpus))


def _slowed(gpu: Gpu) -> Gpu:
    share = _clock_share(gpu)
    if gpu.spec is None or share >= 1:
        return gpu
    peak = gpu.spec.peak
    rates = {rate_field.name: rate * share for rate_field in fields(peak) if (rate := getattr(peak, rate_field.name))}
    clock = gpu.clock_max_hz or gpu.spec.boost_clock_hz
    spec = replace(gpu.spec, peak=replace(peak, **rates))
    return replace(gpu, spec=spec, clock_max_hz=clock * share if clock else None)


def _clock_share(gpu: Gpu) -> float:
    """Of the core clock, what is left; 1 where nothing tells how far a slowdown goes."""
    reasons = _reasons(gpu)
    if not any(mark in text for text in reasons for mark in (*BAD, "sync_boost")):
        return 1.0
    if gpu.clock_hz and gpu.clock_max_hz and gpu.performance_state is not None and gpu.performance_state <= AWAKE:
        return min(1.0, gpu.clock_hz / gpu.clock_max_hz)
    return HALF if any(text.startswith(HARDWARE[0]) or HARDWARE[1] in text for text in reasons) else 1.0


def repair(machine: Machine) -> Machine:
    """The machine with no reason of slowdown on any GPU."""
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
    rule=sentence(
        "check.gpu-throttle.rule",
        "Thermal and hardware slowdowns and the power brake fail. Idle, application clocks and "
        "the power limit are normal.",
    ),
    judge=judge,
    traps=(sentence("check.gpu-throttle.trap-idle-gpu-heat", "On an idle GPU heat does not show: look under load."),),
    ask=(UNDER_LOAD,),
    refs=("https://docs.nvidia.com/deploy/nvml-api/group__nvmlClocksEventReasons.html",),
    repair=repair,
    effect=effect,
)
