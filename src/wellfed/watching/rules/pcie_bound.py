"""`pcie-bound`: the GPU waits for data that crosses PCIe."""

from __future__ import annotations

from collections.abc import Iterable

from wellfed.message import sentence
from wellfed.watching.rules.base import Kind, Rule, Sign, percent, rates, sign
from wellfed.watching.view import View


def judge(view: View) -> Iterable[Sign]:
    """Traffic near what the negotiated link achieves."""
    signs: list[Sign] = []
    for gpu in view.engine_gpus:
        if gpu.link_share is not None and gpu.link_share >= 0.65:
            signs += sign(
                min(1.0, gpu.link_share),
                gpu.subject,
                sentence(
                    "watch.pcie-bound.data-crosses-pcie",
                    "data crosses PCIe as fast as this link can: weights or experts in RAM, or GPUs without NVLink",
                ),
                sentence(
                    "watch.pcie-bound.what-achieves",
                    "{link_share} of what {link} achieves",
                    link_share=percent(gpu.link_share),
                    link=gpu.link,
                ),
                sentence(
                    "watch.pcie-bound.gpu-busy-time", "the GPU is busy {busy} of the time", busy=percent(gpu.busy)
                ),
                rates(view),
            )
    return signs


RULE = Rule(
    id="pcie-bound",
    title=sentence("watch.pcie-bound.title", "PCIe-bound"),
    kind=Kind.ILL,
    reads=sentence("watch.pcie-bound.reads", "NVML PCIe throughput against the link's negotiated generation and width"),
    rule=sentence(
        "watch.pcie-bound.rule",
        "At least 65 % of what the negotiated link achieves (85 % of its line rate after coding).",
    ),
    judge=judge,
    then=sentence("watch.pcie-bound.then", "`wellfed check --load --select pcie-*`."),
    explains=("queueing", "gpu-launch-bound"),
)
