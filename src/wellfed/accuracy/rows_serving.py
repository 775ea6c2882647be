"""Rows that measure serving engines under concurrency: time to first token, time per output token."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache

from wellfed.accuracy.case import Case, Outcome, Row, Skipped
from wellfed.accuracy.names import resolve
from wellfed.accuracy.serving_machine import machine_of
from wellfed.accuracy.serving_notes import Degrees, Pool, degrees, pools, weight_format
from wellfed.calibration import Calibration
from wellfed.catalog.hardware import measured_gpu as gpu_spec
from wellfed.estimate import Estimate, Quantity
from wellfed.layout import Engine, Layout
from wellfed.models.model import Model
from wellfed.models.quantisation import Quantisation, weights
from wellfed.models.quantisation_names import quantisation
from wellfed.models.weights import Weights
from wellfed.perf.serving import estimate_serving
from wellfed.perf.serving.formats import formats, peak_rate
from wellfed.perf.serving.totals import totals
from wellfed.plan import Request
from wellfed.workload import Workload

_ENGINES = {
    "vllm": Engine.VLLM,
    "sglang": Engine.SGLANG,
    "trtllm": Engine.TENSORRT_LLM,
    "tensorrt-llm": Engine.TENSORRT_LLM,
}
_ENGINE = re.compile(rf"({'|'.join(_ENGINES)})(?:\s+v?\d\S*)?", re.IGNORECASE)
_RANGE = re.compile(r"range ratio ~?([0-9.]+)-1\b")
_BATCH_TOKENS = 8192
_REACHABLE = 0.8  # of the data sheet's FLOP/s: more has never been shown over a whole serving run
# Rows that name one worker a pool and no batch sum up deployments of several workers. What they leave out is taken as
# follows: (clients per decode GPU up to here, workers, tokens drafted by models with prediction heads of their own).
_UNTOLD = ((8.0, 2, 2), (64.0, 2, 1), (float("inf"), 4, 0))
_UNTOLD_OTHERS = 2  # workers of models without
_UNTOLD_WIDEST = 16  # GPUs; larger workers are told whole
_UNTOLD_ACCEPTANCE = 0.75
# Some aggregated rows of TensorRT-LLM use it without saying so: all are taken to gain half of what one draft may.
_UNSAID_ACCEPTANCE = 0.5
_UNTOLD_SPREAD_CLIENTS = 8  # clients per decode GPU from which attention is data-parallel


def interpret(row: Row) -> tuple[Outcome, ...] | None:
    """Predictions of a row of vLLM, SGLang or TensorRT-LLM that has latencies; None for any other row."""
    engine = engine_of(row.text("engine"))
    if engine is None or not (row.number("tpot_ms") or row.number("ttft_ms")):
        return None
    request = request_of(row, engine)
    split = "DISAGG" in row.text("notes")
    kind = "serving disaggregated" if split else "serving"
    group = f"{request.model.id} on {row.text('gpu')}"
    outlier = _impossible(row, request)
    cases: list[Outcome] = []
    for metric in ("tpot_ms", "ttft_ms"):
        measured = row.number(metric)
        name = f"{kind} {metric[:4]}"
        if measured and measured > 0:
            cases.append(Case(row.index, name, metric, measured, group, _predictor(request, metric), request, outlier))
    return tuple(cases) or (Skipped(row.index, kind, "", "nothing measured"),)


def engine_of(text: str) -> Engine | None:
    """The serving engine named by a cell, with or without its version; None for any other text."""
    match = _ENGINE.fullmatch(text)
    return _ENGINES[match[1].lower()] if match else None


class _Predictor:
    """The prediction of one metric; equal requests are estimated once."""

    __slots__ = ("metric", "request")

    def __init__(self, request: Request, metric: str) -> None:
        self.request, self.metric = request, metric

    def __call__(self, calibration: Calibration) -> Quantity:
        found: Estimate = estimate_serving(self.request, calibration)
        return (found.tpot_s if self.metric == "tpot_ms" else found.ttft_s).scaled(1000)


def _predictor(request: Request, metric: str) -> _Predictor:
    return _Predictor(request, metric)


def request_of(row: Row, engine: Engine) -> Request:
    """What was run, from the row's cells and notes."""
    notes = row.text("notes")
    model, kind = _model(row.text("model"), weight_format(notes) or row.text("quant"))
    held, spec = weights(model, kind), gpu_spec(row.text("gpu"))
    gpus = max(1, round(row.number("gpu_count") or 1))
    found = pools(notes, model.is_moe)
    if found:
        layout, clients = _split_layout(row, engine, kind, model, found)
    else:
        clients = round(row.number("concurrency_or_batch") or 1)
        layout = _layout(engine, kind, degrees(notes, gpus, model.is_moe), clients)
        if engine is Engine.TENSORRT_LLM and _drafts_itself(model) and gpus <= _UNTOLD_WIDEST // 2:
            layout = replace(layout, options=_speculation(1, _UNSAID_ACCEPTANCE))
    return Request(machine_of(spec, layout.gpus), model, held, layout, _workload(row, clients))


@lru_cache(maxsize=256)
def _model(name: str, label: str) -> tuple[Model, Quantisation]:
    found = resolve(name, quant=label or None)
    return found.model, found.quantisation or quantisation(found.model.native_quantisation)


def _workload(row: Row, clients: int) -> Workload:
    """Lengths drawn evenly from a share of the nominal one up to it have the middle as mean."""
    match = _RANGE.search(row.text("notes"))
    mean = (1 + float(match[1])) / 2 if match else 1.0
    prompt, output = row.number("prompt_len") or 1024, row.number("gen_len") or 256
    return Workload(
        "row",
        concurrency=max(1, clients),
        prompt_tokens=max(1, round(prompt * mean)),
        output_tokens=max(1, round(output * mean)),
    )


def _layout(engine: Engine, kind: Quantisation, spread: Degrees, clients: int) -> Layout:
    return Layout(
        engine,
        kind.id,
        kv_type=_cache_type(kind),
        gpus=spread.tensor * spread.pipeline,
        tensor_parallel=spread.tensor,
        pipeline_parallel=spread.pipeline,
        expert_parallel=spread.experts,
        attention_data_parallel=spread.groups,
        batch_tokens=_BATCH_TOKENS,
        max_sequences=max(1, clients),
    )


def _cache_type(kind: Quantisation) -> str:
    """Benchmarks of FP8 and FP4 weights keep the cache in FP8, as the vendors' recipes do."""
    return "fp8" if kind.id.startswith(("fp8", "nvfp4")) else "f16"


def _split_layout(
    row: Row, engine: Engine, kind: Quantisation, model: Model, found: dict[str, Pool]
) -> tuple[Layout, int]:
    first, second = found["prefill"], found["decode"]
    clients = round(row.number("concurrency_or_batch") or 0)
    if not clients:
        clients = (second.batch or 1) * second.workers * second.degrees.groups
    workers, firsts = second.workers, first.workers
    options: tuple[tuple[str, str], ...] = ()
    if second.batch is None:
        workers, options = _untold_workers(model, second.degrees.tensor, clients)
        firsts = workers
        first, second = _untold(first, model, clients), _untold(second, model, clients)
    layout = _layout(engine, kind, second.degrees, clients)
    prefill = first.degrees
    ways = (
        ("prefill_tensor_parallel", str(prefill.tensor)),
        ("prefill_attention_data_parallel", str(prefill.groups)),
        ("prefill_expert_parallel", str(prefill.experts)),
    )
    gpus = prefill.tensor * firsts
    layout = replace(
        layout,
        gpus=gpus + second.degrees.tensor * workers,
        data_parallel=workers,
        prefill_gpus=gpus,
        options=(*ways, *options),
    )
    return layout, clients


def _untold_workers(model: Model, gpus: int, clients: int) -> tuple[int, tuple[tuple[str, str], ...]]:
    """How many workers there were, and with what speculation."""
    if gpus > _UNTOLD_WIDEST:
        return 1, ()
    if not _drafts_itself(model):
        return _UNTOLD_OTHERS, ()
    workers, drafts = next((count, tokens) for most, count, tokens in _UNTOLD if clients / gpus <= most)
    return workers, _speculation(drafts, _UNTOLD_ACCEPTANCE)


def _speculation(tokens: int, acceptance: float) -> tuple[tuple[str, str], ...]:
    return (("speculative_tokens", str(tokens)), ("acceptance", str(acceptance))) if tokens else ()


def _drafts_itself(model: Model) -> bool:
    """Whether deployments draft with the model's own multi-token prediction: DeepSeek-V3 and R1."""
    return model.family == "deepseek"


def _untold(pool: Pool, model: Model, clients: int) -> Pool:
    """Large batches of MoE models with latent attention are run with data-parallel attention."""
    wide = pool.degrees.tensor
    if clients / wide <= _UNTOLD_SPREAD_CLIENTS or model.family not in {"deepseek", "glm"}:
        return pool
    return replace(pool, degrees=Degrees(wide, 1, wide, wide))


def _impossible(row: Row, request: Request) -> str:
    """Why a row cannot be what it says: it would need more arithmetic than its GPUs have."""
    tpot, ttft = row.number("tpot_ms"), row.number("ttft_ms")
    if not tpot or not ttft:
        return ""
    load = request.workload
    rate = load.concurrency / ((ttft + tpot * load.output_tokens) / 1000)
    needed = rate * (load.prompt_tokens + load.output_tokens) * _seconds_per_token(request.model, request.weights, row)
    share = needed / request.layout.gpus
    if share < _REACHABLE:
        return ""
    return f"needs {share:.0%} of the GPUs' peak arithmetic: more GPUs than told, or prompts not computed"


def _seconds_per_token(model: Model, held: Weights, row: Row) -> float:
    """Of one GPU at its peak, projections and feed-forward only."""
    spec = gpu_spec(row.text("gpu"))
    sums, kinds = totals(model, held), formats(held, spec)
    parts = (
        (sums.attention_flops, "attention_rate"),
        (sums.dense_flops, "dense_rate"),
        (sums.shared_flops, "shared_rate"),
        (sums.routed_flops, "routed_rate"),
    )
    return sum(flops / peak_rate(kinds[name], spec) for flops, name in parts)
