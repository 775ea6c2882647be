"""`gpu-throttled`: power, heat or the board slows the GPU."""

from __future__ import annotations

from collections.abc import Iterable

from wellfed.faults.cards import COOL_OR_RAISE
from wellfed.message import listed, sentence
from wellfed.watching.rules.base import Kind, Rule, Sign, percent, sign
from wellfed.watching.view import GpuView, View

_HARD = ("hw_slowdown", "hw_thermal_slowdown", "sw_thermal_slowdown", "hw_power_brake_slowdown")


def judge(view: View) -> Iterable[Sign]:
    """A reason of throttling in most samples, with clocks that show it."""
    return [throttling for gpu in view.engine_gpus for throttling in _judge(gpu)]


def _judge(gpu: GpuView) -> list[Sign]:
    clock = gpu.clock_share
    hard = {name: gpu.reasons[name] for name in _HARD if gpu.reasons.get(name, 0.0) >= 0.3}
    capped = gpu.reasons.get("sw_power_cap", 0.0) >= 0.5
    if clock is None or not ((hard and clock < 0.95) or (capped and clock < 0.8)):
        return []
    names = listed(sorted(hard) or ["sw_power_cap"])
    return sign(
        1 - clock,
        gpu.subject,
        sentence("watch.gpu-throttled.gpu-slowed", "the GPU is slowed: ")
        + (
            sentence("watch.gpu-throttled.heat-board-power", "heat or the board's power supply")
            if hard
            else sentence("watch.gpu-throttled.power-limit", "its power limit")
        ),
        sentence(
            "watch.gpu-throttled.samples",
            "{names} in {hard} of samples",
            names=names,
            hard=percent(max(hard.values(), default=gpu.reasons.get("sw_power_cap", 0.0))),
        ),
        sentence("watch.gpu-throttled.clock-highest", "clock at {clock} of its highest", clock=percent(clock)),
        None
        if gpu.temperature_c is None
        else sentence(
            "watch.gpu-throttled.degrees-c", "{temperature_c:.0f} degrees C", temperature_c=gpu.temperature_c
        ),
        None
        if gpu.power_share is None
        else sentence(
            "watch.gpu-throttled.power-limit-2",
            "{power_share} of its power limit",
            power_share=percent(gpu.power_share),
        ),
    )


RULE = Rule(
    id="gpu-throttled",
    title=sentence("watch.gpu-throttled.title", "GPU throttled by power or heat"),
    kind=Kind.ILL,
    loss=True,
    reads=sentence("watch.gpu-throttled.reads", "NVML clocks event reasons, clocks, power, temperature"),
    rule=sentence(
        "watch.gpu-throttled.rule",
        "A slowdown in 30 % of samples with clocks below 95 %, or the power cap in half with clocks below 80 %.",
    ),
    judge=judge,
    fix=(COOL_OR_RAISE,),
    then=sentence(
        "watch.gpu-throttled.then",
        "`wellfed check --select gpu-throttle,gpu-power-limit`; temperatures over ten minutes.",
    ),
    explains=("queueing", "gpu-low-clocks"),
)
