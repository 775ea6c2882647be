"""The terms of decode steps and prompts on GPUs: `gpu_time`'s seconds, named, with what limits each."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce

from wellfed.frozen import dataclass
from wellfed.nouns.estimate import MEMORY, Term, Work
from wellfed.perf import gpu_time
from wellfed.perf.gpu import GpuDevice
from wellfed.perf.gpu_pass import Pass
from wellfed.perf.gpu_rates import GpuRates, weight_kind
from wellfed.perf.ops import RECURRENT

CACHE = "kv cache"  # the work of attention itself, as perf.ops names it
_FLOATS = ("float", "bf16")
_OVERLAP = 4.0  # exponent: how sharply the slower of GPU and launching host decides (assumed)


@dataclass(frozen=True, slots=True)
class Run:
    """How the works run: `expand` weights for prefill, `flash` attention, launches `replayed` from a CUDA graph.

    `row_split`: every matrix divided over the GPUs, which meet after each of them. `ahead`: the host launches ahead of
    the GPU, and is waited for only where it is the slower one; else each launch is waited for.
    """

    gpus: int = 1
    expand: bool = False
    flash: bool = True
    replayed: bool = True
    row_split: bool = False
    pipelined: bool = True  # micro-batches of a prompt, over several GPUs
    ahead: bool = True


def decode_terms(step: Pass, device: GpuDevice, rates: GpuRates, run: Run) -> tuple[Term, ...]:
    """Terms (s) of one decode step on `device`, with what limits each."""
    terms = [_decode_term(work, step, device, rates, run) for work in step.works]
    terms.append(Term("launches", gpu_time.decode_launches(step, device, rates), "launch latency", "gpu"))
    if not run.replayed:
        terms.append(_launching(terms, gpu_time.host_launches(step, device, rates), run))
    terms.append(Term("host", gpu_time.host_work(step, device, rates), "host CPU", "host"))
    terms.append(Term("logits", gpu_time.logits(step, device, rates), "host link", "gpu"))
    if run.row_split:
        terms.append(Term("row split", gpu_time.row_sync(step, run.gpus, device, rates), "GPU links", "gpu"))
    elif run.gpus > 1:
        seconds = (run.gpus - 1) * gpu_time.hop(step, device, rates)
        terms.append(Term("GPU to GPU", seconds, "GPU links", "gpu"))
    return tuple(terms)


def _launching(terms: Iterable[Term], host_s: float, run: Run) -> Term:
    """What launching adds to the GPU's time: all of it, or where the host runs ahead what the slower one adds."""
    gpu_s = reduce(lambda total, term: total + term.seconds, terms, 0.0)
    added = gpu_time.joined(gpu_s, host_s, _OVERLAP) - gpu_s if run.ahead else host_s
    return Term("launching", added, "host CPU", "host")


def _decode_term(work: Work, step: Pass, device: GpuDevice, rates: GpuRates, run: Run) -> Term:
    if work.name == CACHE:
        cost = gpu_time.decode_cache(work, step, device, rates, run.flash)
        return Term(work.name, cost.total, cost.limited_by, "gpu")
    if work.name == RECURRENT:
        cost = gpu_time.state(work, device, rates)
        return Term(work.name, cost.total, cost.limited_by, "gpu")
    divided = run.gpus if run.row_split else 1
    cost = gpu_time.matvec(work, step.tokens, device, rates)
    if step.batched:  # whichever kernel is faster; never faster than for one token
        batched = gpu_time.matmul(work, device, rates, expand=False)
        cost = min(cost, batched, key=lambda cost: cost.total)
        cost = max(cost, gpu_time.matvec(work, 1.0, device, rates), key=lambda cost: cost.total)
    return Term(work.name, cost.total / divided, cost.limited_by, "gpu")


def prompt_terms(step: Pass, device: GpuDevice, rates: GpuRates, run: Run) -> tuple[Term, ...]:
    """A whole prompt: all its micro-batches; several GPUs work on different ones at the same time."""
    in_turn = run.gpus > 1 and run.pipelined and not run.row_split
    share = gpu_time.pipeline_share(step, run.gpus, rates, _expand_loss(step, rates, run)) if in_turn else 1.0
    times = step.repeats * share
    terms: list[Term] = []
    for work in step.works:
        terms.extend(_prompt_work(work, step, device, rates, run, times))
    terms.append(Term("activations", gpu_time.activations(step, device, rates) * times, MEMORY, "gpu"))
    terms.append(Term("launches", gpu_time.prompt_launches(step, rates) * times, "launch latency", "gpu"))
    if run.ahead:
        terms.append(_launching(terms, gpu_time.host_launches(step, device, rates) * step.repeats, run))
    terms.append(Term("host", gpu_time.host_work(step, device, rates), "host CPU", "host"))
    terms.append(Term("logits", gpu_time.logits(step, device, rates), "host link", "gpu"))
    if run.row_split:
        seconds = gpu_time.row_sync(step, run.gpus, device, rates) * times
        terms.append(Term("row split", seconds, "GPU links", "gpu"))
    elif in_turn:
        seconds = (step.repeats + run.gpus - 2) * gpu_time.hop(step, device, rates)
        terms.append(Term("GPU to GPU", seconds, "GPU links", "gpu"))
    return tuple(terms)


def _prompt_work(work: Work, step: Pass, device: GpuDevice, rates: GpuRates, run: Run, times: float) -> list[Term]:
    if work.name == CACHE:
        cost = gpu_time.prompt_attention(work, step, device, rates, run.flash)
        return [Term(work.name, cost.total * times, cost.limited_by, "gpu")]
    if work.name == RECURRENT:
        cost = gpu_time.state(work, device, rates)
        return [Term(work.name, cost.total * times, cost.limited_by, "gpu")]
    expand = run.expand and weight_kind(work.weight_type) not in _FLOATS
    cost = gpu_time.matmul(work, device, rates, expand)
    divided = times / run.gpus if run.row_split else times
    terms = [Term(work.name, cost.total * divided, cost.limited_by, "gpu")]
    if expand:
        written = gpu_time.expansion(work, device, rates)
        terms.append(Term(f"{work.name}: to FP16", written.total * divided, written.limited_by, "gpu"))
    return terms


def _expand_loss(step: Pass, rates: GpuRates, run: Run) -> float:
    """Builds that expand large matrices hardly overlap GPUs while they do; seen on 70B, the cause not known."""
    quantised = any(
        weight_kind(work.weight_type) not in _FLOATS for work in step.works if work.name not in (CACHE, RECURRENT)
    )
    return rates.expanded_loss if run.expand and quantised and step.large_matrices else 0.0
