"""`tokeniser-bound`: the API server's thread is the bottleneck, not the engine."""

from __future__ import annotations

from collections.abc import Iterable

from wellfed.faults.serving import API_BOUND
from wellfed.message import sentence
from wellfed.watching.rules.base import ENGINE, Kind, Rule, Sign, percent, rates, sign
from wellfed.watching.rules.feeding import hottest, waiting_gpu
from wellfed.watching.view import View


def judge(view: View) -> Iterable[Sign]:
    """API thread at 100 % of a core, engine threads and GPU with time to spare."""
    api, engine = hottest(view, api=True), hottest(view, api=False)
    if api is None or api.busy < 0.9 or engine is None or engine.busy >= 0.85:
        return []
    gpu = waiting_gpu(view)
    if view.on_gpu and gpu is None:
        return []
    idle = 1 - (gpu.busy or 0.0) if gpu else 1 - engine.busy
    accepting = view.sockets.accepting if view.sockets else None
    return sign(
        idle,
        ENGINE,
        sentence(
            "watch.tokeniser-bound.one-thread-api",
            "one thread of the API server is busy with text (templates, tokens, JSON), and the engine behind it waits",
        ),
        sentence(
            "watch.tokeniser-bound.api-thread-runs",
            "API thread {api} runs {busy} of the time; engine threads at most {busy2}",
            api=api.name,
            busy=percent(api.busy),
            busy2=percent(engine.busy),
        ),
        sentence("watch.tokeniser-bound.gpu-busy-time", "the GPU is busy {busy} of the time", busy=percent(gpu.busy))
        if gpu
        else None,
        sentence(
            "watch.tokeniser-bound.connections-accepted",
            "{accepting:.0f} connections not accepted yet",
            accepting=accepting,
        )
        if accepting
        else None,
        rates(view),
    )


RULE = Rule(
    id="tokeniser-bound",
    title=API_BOUND.title,
    kind=Kind.ILL,
    reads=sentence(
        "watch.tokeniser-bound.reads",
        "CPU time by thread of the API server's process and of the engine's; NVML utilisation",
    ),
    rule=sentence(
        "watch.tokeniser-bound.rule",
        "A thread of the API server above 90 % of a core, every engine thread below 85 %, GPU busy below 85 %.",
    ),
    judge=judge,
    then=sentence("watch.tokeniser-bound.then", "The same load with prompts of token ids instead of text."),
    explains=("queueing",),
)
