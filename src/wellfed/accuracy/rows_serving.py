"""Rows that measure serving engines under concurrency: time to first token, time per output token."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache

from wellfed.accuracy.campaign_pools import Asked, Deployment, deployment
from wellfed.accuracy.campaigns import CAMPAIGN, TUNED, Run, Setting, campaign_weights, drafted, setting
from wellfed.accuracy.case import Case, Outcome, Row, Skipped, source_of
from wellfed.accuracy.names import resolve
from wellfed.accuracy.serving_conditions import Conditions, conditions, speculation
from wellfed.accuracy.serving_defaults import served_defaults
from wellfed.accuracy.serving_machine import machine_of
from wellfed.accuracy.serving_notes import Degrees, Pool, degrees, pools, weight_format
from wellfed.catalog.hardware import gpu_or_none
from wellfed.catalog.hardware import measured_gpu as gpu_spec
from wellfed.hardware.parts import GpuSpec
from wellfed.message import sentence
from wellfed.models.model import Model
from wellfed.models.quantisation import Quantisation, weights
from wellfed.models.quantisation_names import quantisation
from wellfed.nouns.calibration import Calibration
from wellfed.nouns.estimate import Estimate, Quantity
from wellfed.nouns.layout import Engine, Layout, Speculation
from wellfed.nouns.plan import Request
from wellfed.nouns.workload import Workload
from wellfed.perf.memory import memory
from wellfed.perf.serving import estimate_serving
from wellfed.perf.serving.formats import formats, peak_rate
from wellfed.perf.serving.totals import totals

_ENGINES = {
    "vllm": Engine.VLLM,
    "sglang": Engine.SGLANG,
    "trtllm": Engine.TENSORRT_LLM,
    "tensorrt-llm": Engine.TENSORRT_LLM,
}
_ENGINE = re.compile(rf"({'|'.join(_ENGINES)})(?:\s+v?\d\S*)?", re.IGNORECASE)
_RANGE = re.compile(r"range ratio ~?([0-9.]+)-1\b")
_BATCH_TOKENS = 8192
_ASCEND_GRAPHS = (0, 11)
_PAGE = 16  # tokens of a prompt that a prefix cache leaves to compute, at least
_REACHABLE = 0.8  # of the data sheet's FLOP/s: more has never been shown over a whole serving run
# Rows that name one worker a pool and no batch sum up deployments of several workers. What they leave out is taken as
# follows: (clients per decode GPU up to here, workers, tokens drafted by models with prediction heads of their own).
_UNTOLD = {
    Engine.TENSORRT_LLM: ((8.0, 2, 2), (64.0, 2, 1), (float("inf"), 4, 0)),
    Engine.SGLANG: ((2.0, 2, 2), (64.0, 2, 1), (float("inf"), 4, 0)),
}
_UNTOLD_ELSE = ((64.0, 2, 0), (float("inf"), 4, 0))
_UNTOLD_WIDE_CROWD = 8.0  # clients per decode GPU up to which wide workers of TensorRT-LLM draft one token
_UNTOLD_OTHERS = 2  # workers of models without
_UNTOLD_WIDEST = 16  # GPUs; larger workers are told whole
_UNTOLD_ACCEPTANCE = 0.75
_KNOWN_ACCEPTANCE = 0.7  # where scripts tell how many tokens are drafted: assumed, from the campaign's rows
# Some aggregated rows of TensorRT-LLM use it without saying so: all are taken to gain half of what one draft may.
_UNSAID_ACCEPTANCE = 0.5
_UNTOLD_SPREAD_CLIENTS = 8  # clients per decode GPU from which attention is data-parallel


def interpret(row: Row) -> tuple[Outcome, ...] | None:
    """Predictions of a row of vLLM, SGLang or TensorRT-LLM that has latencies; None for any other row."""
    engine = engine_of(row.text("engine"))
    if engine is None or not (row.number("tpot_ms") or row.number("ttft_ms")):
        return None
    split = "DISAGG" in row.text("notes")
    kind = "serving disaggregated" if split else "serving"
    if not row.text("gpu"):
        return (Skipped(row.index, kind, "", sentence("rows-serving.no-gpu-named", "no GPU named")),)
    request = request_of(row, engine)
    if why := _too_large(request):
        return (Skipped(row.index, kind, "", why),)
    group = f"{request.model.id} on {row.text('gpu')}"
    return tuple(_cases(row, request, kind, group)) or (
        Skipped(row.index, kind, "", sentence("rows-serving.nothing-measured", "nothing measured")),
    )


def _cases(row: Row, request: Request, kind: str, group: str) -> Iterator[Outcome]:
    """One for each latency that is told. Prompts that were cached count as depth, but for the first token's time."""
    conditions = _conditions(row, request.layout.engine, request.workload.concurrency)
    outlier = _impossible(row, request)
    for metric in ("tpot_ms", "ttft_ms"):
        measured = row.number(metric)
        if not measured or measured <= 0:
            continue
        why, case_request = outlier, request
        if metric == "ttft_ms" and conditions.maybe_cached:
            why = sentence("rows-serving.prompts-may-come", "prompts may come from a prefix cache")
        elif metric == "ttft_ms" and conditions.overloaded:
            why = sentence("rows-serving.overloaded", "more requests came than were served")
        elif metric == "tpot_ms" and conditions.cached_prompt:
            case_request, why = _at_depth(request), ""
        name = f"{kind} {metric[:4]}"
        predict, source = _Predictor(case_request, metric, conditions.whole_request), source_of(row)
        yield Case(row.index, name, metric, measured, group, predict, case_request, why, source)


def _too_large(request: Request) -> str:
    """Why `plan` would refuse a row: the weights alone need more memory than its GPUs have."""
    ledger = memory(request)
    for device in ledger.devices:
        weights_bytes = sum(term.bytes for term in device.terms if term.name == "weights")
        if device.capacity_bytes is not None and weights_bytes > device.capacity_bytes:
            return sentence(
                "rows-serving.does-fit-gb",
                "{request} does not fit: {held:.0f} GB of weights for {device}",
                request=request.model.name,
                held=weights_bytes / 1e9,
                device=device.device,
            )
    return ""


def _at_depth(request: Request) -> Request:
    """The same answers to prompts whose tokens are all but a page in the cache already."""
    load = request.workload
    new = min(_PAGE, load.prompt_tokens)
    load = replace(load, prompt_tokens=new, depth_tokens=load.depth_tokens + load.prompt_tokens - new)
    return replace(request, workload=load)


def _conditions(row: Row, engine: Engine, clients: int) -> Conditions:
    return conditions(row.text("notes"), engine, row.text("engine_version"), row.text("source"), clients)


def engine_of(text: str) -> Engine | None:
    """The serving engine named by a cell, with or without its version; None for any other text."""
    match = _ENGINE.fullmatch(text)
    return _ENGINES[match[1].lower()] if match else None


class _Predictor:
    """The prediction of one metric; equal requests are estimated once."""

    __slots__ = ("metric", "request", "whole_request")

    def __init__(self, request: Request, metric: str, whole_request: bool) -> None:
        self.request, self.metric, self.whole_request = request, metric, whole_request

    def __call__(self, calibration: Calibration) -> Quantity:
        estimate: Estimate = estimate_serving(self.request, calibration)
        if self.metric == "ttft_ms":
            return estimate.ttft_s.scaled(1000)
        first = estimate.ttft_s.value / self.request.workload.output_tokens if self.whole_request else 0.0
        return estimate.tpot_s.scaled(1000 * (1 + first / estimate.tpot_s.value))


def request_of(row: Row, engine: Engine) -> Request:
    """What was run, from the row's cells and notes."""
    notes = row.text("notes")
    model, kind = _model(row.text("model"), weight_format(notes) or row.text("quant"))
    kind = quantisation(campaign_weights(notes, model, kind.id)) if CAMPAIGN in notes else kind
    gpus = max(1, round(row.number("gpu_count") or 1))
    model_weights, spec = weights(model, kind), _card(row, gpus)
    clients = max(1, round(row.number("concurrency_or_batch") or 1))
    conditions = _conditions(row, engine, clients)
    disaggregated = pools(notes, model.is_moe)
    campaign: Setting | None = None
    if disaggregated:
        layout, clients = _split_layout(row, engine, kind, model, disaggregated)
        campaign = Setting() if CAMPAIGN in notes else None
    else:
        spread = degrees(notes, gpus, model.is_moe)
        prompt, output = _lengths(row)
        blackwell = spec.architecture == "blackwell"
        run = Run(engine, model, kind.id, spec.name, blackwell, spread.tensor, clients, prompt, output)
        campaign = setting(notes, run)
        layout = _aggregated(row, engine, kind, model, spec, spread, clients, conditions, campaign)
    machine = machine_of(spec, layout.gpus, row.text("cpu"), conditions.power_w)
    return Request(machine, model, model_weights, layout, _workload(row, clients, conditions, campaign))


def _card(row: Row, gpus: int) -> GpuSpec:
    """The GPU named. Several of a kind that is sold as module and as card are modules where nothing speaks of PCIe."""
    name = row.text("gpu")
    spec = gpu_spec(name)
    if gpus == 1 or spec.form != "pcie" or "pci" in f"{name} {row.text('interconnect')} {row.text('notes')}".lower():
        return spec
    module = gpu_or_none(f"{name} SXM")
    return module if module is not None and module.architecture == spec.architecture else spec


def _aggregated(
    row: Row, engine: Engine, kind: Quantisation, model: Model, spec: GpuSpec, spread: Degrees, clients: int,
    conditions: Conditions, campaign: Setting | None,
) -> Layout:  # fmt: skip
    """The layout of a row whose replicas do both prefill and decode: as told, else the engine's defaults."""
    notes = row.text("notes")
    layout = _layout(engine, kind, spread, clients)
    guess = speculation(notes, model, weights(model, kind))
    options: tuple[tuple[str, str], ...] = (("graphs", "piecewise"),) if conditions.piecewise_graphs else ()
    if campaign is not None:
        options = campaign.options
        layout = replace(layout, batch_tokens=campaign.pass_tokens or layout.batch_tokens)
        tokens = drafted(notes, row.text("engine_version"), spec.name, engine, row.text("model"), spread)
        if tokens is not None:
            guess = _drafting(tokens, _KNOWN_ACCEPTANCE)
        elif engine is Engine.TENSORRT_LLM and _drafts_itself(model) and spread.tensor <= _UNTOLD_WIDEST // 2:
            guess = _drafting(1, _UNSAID_ACCEPTANCE)
    else:
        sequences, chunk = served_defaults(engine, spec, spread.tensor)
        cache = "fp8" if conditions.fp8_cache else "f16"
        layout = replace(layout, kv_type=cache, batch_tokens=chunk, max_sequences=sequences)
    return replace(
        layout,
        cuda_graphs=not (conditions.eager or _before_graphs(row, spec)),
        async_scheduling=conditions.async_scheduling,
        speculation=guess,
        batch_tokens=conditions.chunk or layout.batch_tokens,
        max_sequences=min(conditions.sequences or layout.max_sequences, max(layout.max_sequences, clients)),
        options=options,
    )


def _before_graphs(row: Row, spec: GpuSpec) -> bool:
    """vLLM replays whole passes on Ascend since 0.11; what tells no version is taken to be older."""
    version = re.match(r"v?(\d+)\.(\d+)", row.text("engine_version"))
    return spec.vendor == "huawei" and (version is None or (int(version[1]), int(version[2])) < _ASCEND_GRAPHS)


@lru_cache(maxsize=256)
def _model(name: str, label: str) -> tuple[Model, Quantisation]:
    resolved = resolve(name, quant=label or None)
    return resolved.model, resolved.quantisation or quantisation(resolved.model.native_quantisation)


def _lengths(row: Row) -> tuple[int, int]:
    """Of prompts and answers, as told."""
    return round(row.number("prompt_len") or 1024), round(row.number("gen_len") or 256)


def _workload(row: Row, clients: int, conditions: Conditions, campaign: Setting | None) -> Workload:
    """Lengths drawn evenly from a share of the nominal one up to it have the middle as mean."""
    requests = campaign.rounds * clients if campaign else conditions.requests
    match = _RANGE.search(row.text("notes"))
    equal = (
        campaign.equal_lengths if campaign else match is None and not (conditions.spread or conditions.random_arrivals)
    )
    mean = (1 + float(match[1])) / 2 if match and not equal else 1.0
    prompt, output = _lengths(row)
    return Workload(
        "row",
        concurrency=max(1, clients),
        prompt_tokens=max(1, round(prompt * mean)),
        output_tokens=max(1, round(output * mean)),
        requests=requests,
        length_spread=conditions.spread,
        equal_lengths=equal,
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
    row: Row, engine: Engine, kind: Quantisation, model: Model, worker_pools: dict[str, Pool]
) -> tuple[Layout, int]:
    first, second = worker_pools["prefill"], worker_pools["decode"]
    clients = round(row.number("concurrency_or_batch") or 0)
    if not clients:
        clients = (second.batch or 1) * second.workers * second.degrees.groups
    workers, firsts = second.workers, first.workers
    guess: Speculation | None = None
    matched: tuple[tuple[str, str], ...] = ()
    campaign = CAMPAIGN in row.text("notes")
    known = _deployment(row, engine, kind, model, first, second) if second.batch is None and campaign else None
    if second.batch is None and campaign:
        matched = (("prefill_matched", "1"),)  # whoever sums workers up made the pools for each other
    if known is not None:
        first, second = known.prefill, known.decode
        workers, firsts, guess = second.workers, first.workers, _drafting(known.drafts, _KNOWN_ACCEPTANCE)
    elif matched:
        workers, guess = _untold_workers(engine, model, second.degrees.tensor, clients)
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
        options=(*ways, *matched, *(TUNED if campaign else ())),
        speculation=guess,
    )
    return layout, clients


def _deployment(
    row: Row, engine: Engine, kind: Quantisation, model: Model, first: Pool, second: Pool
) -> Deployment | None:
    """What the campaign's scripts asked for; None where they leave it open."""
    prompt, output = _lengths(row)
    return deployment(
        Asked(
            model.family, row.text("gpu"), "fp4" in kind.id, engine, row.text("engine_version"), prompt, output,
            round(row.number("concurrency_or_batch") or 0), first.degrees.tensor, second.degrees.tensor,
        )
    )  # fmt: skip


def _untold_workers(engine: Engine, model: Model, gpus: int, clients: int) -> tuple[int, Speculation | None]:
    """How many workers there were, and with what speculation."""
    clients_per_gpu, itself = clients / gpus, _drafts_itself(model)
    if gpus > _UNTOLD_WIDEST:
        drafting = itself and engine is Engine.TENSORRT_LLM and clients_per_gpu <= _UNTOLD_WIDE_CROWD
        return 1, _drafting(1, _UNTOLD_ACCEPTANCE) if drafting else None
    if not itself:
        return _UNTOLD_OTHERS, None
    table = _UNTOLD.get(engine, _UNTOLD_ELSE)
    workers, drafts = next((count, tokens) for most, count, tokens in table if clients_per_gpu <= most)
    return workers, _drafting(drafts, _UNTOLD_ACCEPTANCE)


def _drafting(tokens: int, acceptance: float) -> Speculation | None:
    """Drafts of which each is kept with `acceptance` when those before it were."""
    return Speculation(tokens, sum(acceptance**i for i in range(tokens + 1))) if tokens else None


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
    needed = rate * (load.prompt_tokens + load.output_tokens) * _seconds_per_token(request)
    share = needed / request.layout.gpus
    if share < _REACHABLE:
        return ""
    return sentence(
        "rows-serving.needs-gpus-peak",
        "needs {share:.0%} of the GPUs' peak arithmetic: more GPUs than told, or prompts not computed",
        share=share,
    )


def _seconds_per_token(request: Request) -> float:
    """Of one GPU at its peak, projections and feed-forward only."""
    spec = request.machine.gpus[0].spec
    if spec is None:
        return 0.0
    sums, kinds = totals(request.model, request.weights), formats(request.weights, spec)
    parts = (
        (sums.attention_flops, "attention_rate"),
        (sums.dense_flops, "dense_rate"),
        (sums.shared_flops, "shared_rate"),
        (sums.routed_flops, "routed_rate"),
    )
    return sum(flops / peak_rate(kinds[name], spec) for flops, name in parts)
