"""`gpu-launch-bound`: the GPU waits for one CPU thread that cannot launch fast enough."""

from __future__ import annotations

from collections.abc import Iterable

from wellfed.message import sentence
from wellfed.watching.rules.base import Kind, Rule, Sign, hot, percent, rates, sign
from wellfed.watching.rules.feeding import hottest, waiting_gpu
from wellfed.watching.view import View


def judge(view: View) -> Iterable[Sign]:
    """A GPU idle part of the time in decode, one engine thread at 100 % of a core, PCIe quiet."""
    gpu = waiting_gpu(view)
    if gpu is None or view.engine is None or not view.engine.serving:
        return []
    thread = hottest(view, api=False)
    if thread is None or thread.busy < 0.9 or (gpu.link_share or 0.0) > 0.5:
        return []
    return sign(
        1 - (gpu.busy or 0.0),
        gpu.subject,
        sentence(
            "watch.gpu-launch-bound.cpu-cannot-feed",
            "the CPU cannot feed the GPU: kernels end before one busy thread has launched the next",
        ),
        sentence("watch.gpu-launch-bound.gpu-busy-time", "the GPU is busy {busy} of the time", busy=percent(gpu.busy)),
        hot(view),
        None
        if gpu.link_share is None
        else sentence(
            "watch.gpu-launch-bound.pcie",
            "PCIe at {link_share} of {link}",
            link_share=percent(gpu.link_share),
            link=gpu.link or sentence("watch.gpu-launch-bound.link", "its link"),
        ),
        None
        if gpu.power_share is None
        else sentence(
            "watch.gpu-launch-bound.draws-power-limit",
            "draws {power_share} of its power limit",
            power_share=percent(gpu.power_share),
        ),
        rates(view),
    )


RULE = Rule(
    id="gpu-launch-bound",
    title=sentence("watch.gpu-launch-bound.title", "CPU cannot feed the GPU: launch-bound"),
    kind=Kind.ILL,
    loss=True,
    reads=sentence(
        "watch.gpu-launch-bound.reads", "NVML utilisation and PCIe throughput; CPU time of the engine's hottest thread"
    ),
    rule=sentence(
        "watch.gpu-launch-bound.rule",
        "GPU busy below 85 % while serving, one engine thread above 90 % of a core, PCIe below half of its link.",
    ),
    judge=judge,
    then=sentence(
        "watch.gpu-launch-bound.then",
        "Tokens/s with two requests at once: launch-bound engines make nearly twice as many.",
    ),
    explains=("queueing",),
)
