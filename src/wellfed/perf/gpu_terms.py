"""The terms of decode steps and prompts on GPUs: `gpu_time`'s seconds, named, with what limits each."""

from __future__ import annotations

from dataclasses import dataclass

from wellfed.estimate import Term, Work
from wellfed.perf import gpu_time
from wellfed.perf.gpu import GpuDevice, GpuRates, weight_kind
from wellfed.perf.gpu_pass import Pass

_VECTOR_TOKENS = 8  # llama.cpp multiplies up to 8 tokens as vectors (MMVQ_MAX_BATCH_SIZE in ggml-cuda)
_LARGE_MATRIX_BYTES = 256 * 2**20


@dataclass(frozen=True, slots=True)
class Run:
    """How the works run: `expand` weights for prefill, `flash` attention, launches `replayed` from a CUDA graph.

    `row_split`: every matrix divided over the GPUs, which meet after each of them.
    """

    gpus: int = 1
    expand: bool = False
    flash: bool = True
    replayed: bool = True
    row_split: bool = False


def decode_terms(step: Pass, device: GpuDevice, rates: GpuRates, run: Run) -> tuple[Term, ...]:
    """One decode step."""
    terms = [_decode_term(work, step, device, rates, run) for work in step.works]
    terms.append(Term("launches", gpu_time.decode_launches(step, device, rates, run.replayed), "launch latency", "gpu"))
    terms.append(Term("logits and host", gpu_time.host_and_link(step, device, rates), "host and link", "gpu"))
    if run.gpus > 1 and run.row_split:
        terms.append(Term("row split", gpu_time.row_sync(step, run.gpus, device, rates), "GPU links", "gpu"))
    elif run.gpus > 1:
        seconds = (run.gpus - 1) * gpu_time.hop(step, device, rates)
        terms.append(Term("GPU to GPU", seconds, "GPU links", "gpu"))
    return tuple(terms)


def _decode_term(work: Work, step: Pass, device: GpuDevice, rates: GpuRates, run: Run) -> Term:
    if not work.read_bytes:
        seconds = gpu_time.decode_cache(work, step, device, rates, run.flash)
        return Term(work.name, seconds, "memory bandwidth", "gpu")
    divided = run.gpus if run.row_split else 1
    cost = gpu_time.matvec(work, step.tokens, device, rates)
    if step.tokens > _VECTOR_TOKENS:
        batched = gpu_time.matmul(work, device, rates, expand=False)
        cost = min(cost, batched, key=lambda one: one.total)
    return Term(work.name, cost.total / divided, cost.limited_by, "gpu")


def prompt_terms(step: Pass, device: GpuDevice, rates: GpuRates, run: Run) -> tuple[Term, ...]:
    """A whole prompt: all its micro-batches; several GPUs work on different ones at the same time."""
    share = 1.0 if run.gpus == 1 else gpu_time.pipeline_share(step, run.gpus, rates, _expand_loss(step, rates, run))
    times = step.repeats * share
    terms = []
    for work in step.works:
        terms.extend(_prompt_work(work, step, device, rates, run, times))
    terms.append(Term("activations", gpu_time.activations(step, device, rates) * times, "memory bandwidth", "gpu"))
    seconds = gpu_time.prompt_launches(step, rates) * times
    terms.append(Term("launches", seconds, "launch latency", "gpu"))
    terms.append(Term("logits and host", gpu_time.host_and_link(step, device, rates), "host and link", "gpu"))
    if run.gpus > 1:
        seconds = (step.repeats + run.gpus - 2) * gpu_time.hop(step, device, rates)
        terms.append(Term("GPU to GPU", seconds, "GPU links", "gpu"))
    return tuple(terms)


def _prompt_work(work: Work, step: Pass, device: GpuDevice, rates: GpuRates, run: Run, times: float) -> list[Term]:
    if not work.read_bytes:
        seconds = gpu_time.prompt_attention(work, step, device, rates, run.flash)
        return [Term(work.name, seconds * times, "compute" if run.flash else "memory bandwidth", "gpu")]
    expand = run.expand and weight_kind(work.weight_type) != "float"
    cost = gpu_time.matmul(work, device, rates, expand)
    terms = [Term(work.name, cost.total * times, cost.limited_by, "gpu")]
    if expand:
        written = gpu_time.expansion(work, device, rates)
        terms.append(Term(f"{work.name}: to FP16", written.total * times, written.limited_by, "gpu"))
    return terms


def _expand_loss(step: Pass, rates: GpuRates, run: Run) -> float:
    """Builds that expand matrices of more than 256 MiB hardly overlap GPUs; seen on 70B, the cause not known."""
    quantised = any(weight_kind(work.weight_type) != "float" for work in step.works if work.read_bytes)
    return rates.expanded_loss if run.expand and quantised and step.largest_matrix_bytes > _LARGE_MATRIX_BYTES else 0.0
