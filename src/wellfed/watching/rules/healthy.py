"""The limits an engine runs at when nothing is wrong: only another layout or another part helps."""

from __future__ import annotations

from collections.abc import Iterable

from wellfed.faults.steps import plain
from wellfed.message import sentence
from wellfed.watching.rules.base import ENGINE, Kind, Rule, Sign, hot, percent, rates, sign
from wellfed.watching.view import View

_BUSY = 0.85  # share of the time from which a GPU counts as always busy (assumed)
_NEAR = 0.5  # share of the memory's bandwidth from which decode is bound by it (assumed)


def hbm(view: View) -> Iterable[Sign]:
    """Decode with the GPU always busy."""
    gpus = [gpu for gpu in view.engine_gpus if gpu.busy is not None]
    if not view.on_gpu or not gpus or view.engine is None or not view.engine.decoding:
        return []
    busy = min(gpu.busy or 0.0 for gpu in gpus)
    if busy < _BUSY:
        return []
    memory = [gpu.memory_busy for gpu in gpus if gpu.memory_busy is not None]
    return sign(
        busy,
        gpus[0].subject,
        sentence("watch.healthy.decode-gpu-memory", "decode at the GPU's memory bandwidth"),
        sentence("watch.healthy.busy-time", "busy {busy} of the time", busy=percent(busy)),
        sentence("watch.healthy.memory-busy", "memory busy {memory}", memory=percent(max(memory))) if memory else None,
        _not_measured(view),
        rates(view),
    )


def prefill(view: View) -> Iterable[Sign]:
    """Prompts with the GPU always busy."""
    gpus = [gpu for gpu in view.engine_gpus if gpu.busy is not None]
    engine = view.engine
    if not view.on_gpu or not gpus or engine is None or not engine.serving or engine.decoding:
        return []
    if (engine.prompt_tok_s or 0.0) <= 0 or min(gpu.busy or 0.0 for gpu in gpus) < _BUSY:
        return []
    busy = min(gpu.busy or 0.0 for gpu in gpus)
    return sign(
        busy,
        gpus[0].subject,
        sentence("watch.healthy.prompts-gpu-rate", "prompts at the GPU's rate of computing"),
        sentence("watch.healthy.busy-time", "busy {busy} of the time", busy=percent(busy)),
        sentence("watch.healthy.prompt-tokens-s", "{prompt:.4g} prompt tokens/s", prompt=engine.prompt_tok_s),
    )


def cpu(view: View) -> Iterable[Sign]:
    """A CPU engine whose threads run all the time."""
    process, engine = view.process, view.engine
    if view.on_gpu or process is None or engine is None or not engine.serving or not process.wanting:
        return []
    waiting = process.waiting_share
    if waiting is not None and waiting >= 0.15:
        return []
    bound = _memory_bound(view)
    limit = (
        sentence("watch.healthy.decode-memory", "decode at the memory's bandwidth")
        if bound
        else "decode"
        if engine.decoding
        else "prompts"
    )
    return sign(
        1 - (waiting or 0.0),
        ENGINE,
        sentence(
            "watch.healthy.threads-run-all",
            "{what}: its threads run all the time, and nobody disturbs them",
            what=limit,
        ),
        _not_measured(view)
        or (
            sentence("watch.healthy.fast-planned-plan", "as fast as planned, and the plan is limited by memory")
            if bound
            else None
        ),
        hot(view),
        rates(view)
        or (
            sentence("watch.healthy.prompt-tokens-s", "{prompt:.4g} prompt tokens/s", prompt=engine.prompt_tok_s)
            if engine.prompt_tok_s
            else None
        ),
    )


def _memory_bound(view: View) -> bool:
    """By the bytes that are read; where those are not known, by the plan's own word, where it is kept."""
    share, promise, fraction = _bandwidth_share(view), view.promise, view.against_promise
    if share is not None:
        return share >= _NEAR
    if promise is None or fraction is None or "memory" not in promise.limited_by:
        return False
    return fraction >= promise.decode_low_tok_s / promise.decode_tok_s


def _bandwidth_share(view: View) -> float | None:
    """Decode steps per second x bytes that a step reads, over the bandwidth of the memory they are in.

    Bytes are the plan's, for as many sequences as it has; more read more.
    """
    promise, engine = view.promise, view.engine
    if promise is None or engine is None or not engine.decoding or engine.steps_per_s is None:
        return None
    if not promise.bytes_per_token or not promise.memory_bytes_per_s:
        return None
    return engine.steps_per_s * promise.bytes_per_token / promise.memory_bytes_per_s


def _not_measured(view: View) -> str | None:
    share, promise = _bandwidth_share(view), view.promise
    if share is None or promise is None:
        return None
    reads = sentence(
        "watch.healthy.gb-step", "{bytes_per_token:.3g} GB a step", bytes_per_token=(promise.bytes_per_token or 0) / 1e9
    )
    bandwidth = f"{(promise.memory_bytes_per_s or 0) / 1e9:.3g} GB/s"
    memory_name = f", {promise.memory}" if promise.memory else ""
    return sentence(
        "watch.healthy.reads-memory",
        "reads {reads}: {share} of the memory's bandwidth ({bandwidth}{known})",
        reads=reads,
        share=percent(share),
        bandwidth=bandwidth,
        known=memory_name,
    )


def probes_asked(view: View) -> Iterable[Sign]:
    """An endpoint that tells nothing of itself, and answers as promised."""
    probe, promise, engine = view.probe, view.promise, view.engine
    if probe is None or promise is None or probe.answered < 2 or probe.tok_s is None or probe.ttft_s is None:
        return []
    silent = engine is None or engine.running is None
    if not silent or (probe.failed or 0.0) > 0 or probe.tok_s < promise.decode_low_tok_s:
        return []
    return sign(
        0.5,
        ENGINE,
        sentence("watch.healthy.asked-answers-fast", "asked, it answers as fast as promised"),
        sentence(
            "watch.healthy.requests-our-own",
            "{answered} requests of our own: {tok:.3g} tokens/s, the first after {ttft:.2g} s",
            answered=probe.answered,
            tok=probe.tok_s,
            ttft=probe.ttft_s,
        ),
        sentence("watch.healthy.promised", "promised {decode:.3g}", decode=promise.decode_tok_s)
        + (f" ({promise.source})" if promise.source else ""),
    )


HBM = Rule(
    id="hbm-bound",
    title=sentence("watch.healthy.title", "Decode at the GPU's memory bandwidth (healthy)"),
    kind=Kind.HEALTHY,
    reads=sentence("watch.healthy.reads", "NVML utilisation; the engine's rates"),
    rule=sentence("watch.healthy.rule", "Decoding, every GPU of the engine busy at least 85 % of the time."),
    judge=hbm,
    fix=(
        plain(
            sentence(
                "watch.healthy.fix-fewer-bits-per",
                "# Fewer bits per weight, more requests at once (throughput), or more bandwidth: "
                "`wellfed plan` prices each.",
            )
        ),
    ),
)
PREFILL = Rule(
    id="compute-bound-prefill",
    title=sentence("watch.healthy.title-2", "Prompts at the GPU's compute rate (healthy)"),
    kind=Kind.HEALTHY,
    reads=sentence("watch.healthy.reads-2", "NVML utilisation; prompt tokens/s"),
    rule=sentence("watch.healthy.rule-2", "Reading prompts, every GPU of the engine busy at least 85 % of the time."),
    judge=prefill,
    fix=(plain(sentence("watch.healthy.fix-prefix-caching", "# Prefix caching, shorter prompts, or more compute.")),),
)
CPU = Rule(
    id="cpu-bound",
    title=sentence("watch.healthy.title-3", "CPU engine at its memory bandwidth or compute rate (healthy)"),
    kind=Kind.HEALTHY,
    reads=sentence(
        "watch.healthy.reads-cpu", "/proc/PID/task/*/schedstat; bytes per token and bandwidth where a plan is known"
    ),
    rule=sentence(
        "watch.healthy.rule-3", "Requests run, hot threads wait less than 15 % of the time they want to run."
    ),
    judge=cpu,
    fix=(
        plain(
            sentence(
                "watch.healthy.fix-fewer-bits-per-2",
                "# Fewer bits per weight, more memory channels, or layers on a GPU: `wellfed plan` prices each.",
            )
        ),
    ),
)
ASKED = Rule(
    id="as-promised",
    title=sentence("watch.healthy.title-4", "It answers as fast as promised (healthy)"),
    kind=Kind.HEALTHY,
    reads=sentence(
        "watch.healthy.reads-3", "requests of our own (--probe), the plan or --expect; of an engine without metrics"
    ),
    rule=sentence(
        "watch.healthy.rule-4", "At least 2 answers, none failed, tokens no slower than the promise's low end."
    ),
    judge=probes_asked,
)
