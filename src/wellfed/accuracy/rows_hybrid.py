"""Rows of local engines on CPUs, or on CPUs and GPUs together: what they allow to predict."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date

from wellfed.accuracy.case import Case, Outcome, Row, Skipped, source_of
from wellfed.accuracy.hybrid_machine import machine_of, unused_gpus
from wellfed.accuracy.hybrid_model import named
from wellfed.accuracy.hybrid_notes import (
    Lengths,
    active_experts,
    allocated_context,
    backend,
    built,
    certain,
    concurrency,
    engine_of,
    expert_layers_in_ram,
    expert_layers_on_gpu,
    experts_on_cpu,
    gpu_layers,
    lengths,
    note,
    numa_policy,
    number_note,
    offload_text,
    switches,
    threads,
)
from wellfed.accuracy.llamacpp_notes import SHORT_PROMPT, answers_rate, back_end, over_the_request
from wellfed.errors import UnknownName, Unsupported
from wellfed.frozen import dataclass
from wellfed.hardware.machine import Machine
from wellfed.message import sentence, told_by
from wellfed.models.ffn import MoeFfn
from wellfed.models.model import Model
from wellfed.models.quantisation import weights
from wellfed.models.weights import Weights
from wellfed.nouns.calibration import Calibration
from wellfed.nouns.estimate import Estimate, Quantity
from wellfed.nouns.layout import ALL_GPU, CPU_ONLY, EXPERTS_ON_CPU, Engine, Layout, NumaPolicy, Offload
from wellfed.nouns.plan import Request
from wellfed.nouns.workload import Workload
from wellfed.perf.estimate import estimate
from wellfed.perf.local import speed_class

_METRICS = ("prefill_tok_s", "decode_tok_s")
_LATENT_SINCE = {
    Engine.LLAMA_CPP: date(2025, 4, 15),
    Engine.IK_LLAMA_CPP: date(2025, 3, 15),
}  # latent caches by default
_UBATCH = {Engine.KTRANSFORMERS: 2048}
_USABLE_RAM, _USABLE_VRAM = 0.93, 0.92  # of a machine's memory, where a row does not tell what lay where (assumed)


class NotTold(Exception):
    """The row leaves out something that a prediction needs."""


def interpret(row: Row) -> tuple[Outcome, ...] | None:
    """The speeds of a row of llama.cpp, ik_llama.cpp or KTransformers; None for other engines."""
    if row.text("engine").lower() == "sglang" and "cpu" in offload_text(row):
        return (
            Skipped(
                row.index,
                "CPU decode",
                "decode_tok_s",
                sentence("rows-hybrid.sglang-cpus-alone", "SGLang on CPUs alone is not modelled"),
            ),
        )
    engine = engine_of(row)
    if engine is None or not _is_of_engine(row, engine):
        return None
    measured = [(metric, row.number(metric)) for metric in _METRICS]
    outcomes = [(metric, value) for metric, value in measured if value]
    if row.text("oom") == "1":
        return (_outcome(row, engine, "oom", 1.0),)
    if not outcomes:
        return (
            Skipped(
                row.index, "hybrid", "", sentence("rows-hybrid.no-speed-wellfed", "no speed that wellfed predicts")
            ),
        )
    return tuple(_outcome(row, engine, metric, value) for metric, value in outcomes)


def _is_of_engine(row: Row, engine: Engine) -> bool:
    if engine is not Engine.LLAMA_CPP:
        return True
    on_cpu = row.text("gpu").lower() in ("", "none", "cpu only") or "cpu" in offload_text(row)
    return on_cpu or "all on gpu" not in offload_text(row)


def _outcome(row: Row, engine: Engine, metric: str, measured: float) -> Outcome:
    try:
        request = request_of(row, engine, decode=metric != "prefill_tok_s")
    except UnknownName as error:
        return Skipped(row.index, "hybrid", metric, error.message, unresolved=True)
    except (NotTold, Unsupported) as error:
        return Skipped(row.index, "hybrid", metric, told_by(error))
    return Case(
        row=row.index,
        cls=class_of(request, metric),
        metric=metric,
        measured=measured,
        group=group_of(row),
        predict=_predictor(row, request, metric),
        request=request,
        outlier=_outlier(row),
        source=source_of(row),
        whole_request=metric == "decode_tok_s" and over_the_request(row),
    )


def _outlier(row: Row) -> str:
    if re.search("implausible|low quality", row.text("notes")):
        return sentence("rows-hybrid.source-doubtful", "its source is doubtful")
    foreign = re.search("i2_s", f"{row.text('model')} {row.text('quant')}", re.IGNORECASE)
    return (
        sentence("rows-hybrid.type-another-project", "a type of another project, run without its kernels")
        if foreign
        else ""
    )


def class_of(request: Request, metric: str) -> str:
    """CPU, hybrid, or the class of such GPU speeds; decode, prefill or fits."""
    offload = request.layout.offload
    phase = {"decode_tok_s": "decode", "prefill_tok_s": "prefill", "oom": "fits"}[metric]
    if offload == ALL_GPU and request.machine.gpus:
        return speed_class(phase, request)
    return f"CPU {phase}" if offload.cpu_only and not request.layout.gpus else f"hybrid {phase}"


def group_of(row: Row) -> str:
    """Rows of one thread on one machine stand or fall together."""
    source = re.sub(r" \(.*|#.*", "", row.text("source"))
    cpu = re.sub(r",.*| numactl.*", "", row.text("cpu"))
    return f"{source} | {cpu} | {certain(row.text('gpu'))}"


def _predictor(row: Row, request: Request, metric: str) -> Callable[[Calibration], Quantity]:
    total = concurrency(row) > 1 and bool(re.search(r"batched-bench|aggregate", row.text("notes")))
    whole_request = metric == "decode_tok_s" and over_the_request(row)

    def predict(calibration: Calibration) -> Quantity:
        estimated: Estimate = estimate(request, calibration)
        if metric == "oom":
            return Quantity.exact(0.0 if estimated.memory.fits else 1.0)
        if metric == "prefill_tok_s":
            return estimated.prefill_tok_s
        if whole_request:
            return answers_rate(estimated, request.workload.output_tokens)
        return estimated.total_tok_s if total else estimated.decode_tok_s

    return predict


@dataclass(frozen=True, slots=True)
class _Placed:
    machine: Machine
    offload: Offload


def request_of(row: Row, engine: Engine, decode: bool) -> Request:
    """The question that the row answers. Raises UnknownName, Unsupported or NotTold."""
    side = backend(row)
    if side is None:
        raise NotTold(sentence("rows-hybrid.does-tell-whether", "does not tell whether it ran on CPU or GPU"))
    if side == "vulkan" and engine is Engine.IK_LLAMA_CPP:
        raise NotTold(sentence("rows-hybrid.ik-llama-cpp", "ik_llama.cpp on Vulkan: no calibration"))
    if re.search(r"cluster \(\d+", f"{row.text('cpu')} {row.text('gpu')}".lower()):
        raise NotTold(sentence("rows-hybrid.several-machines", "several machines over a network"))
    if "paged from" in offload_text(row):
        raise NotTold(sentence("rows-hybrid.weights-paged-from", "weights paged from disk"))
    named_model = named(row)
    if named_model is None:
        raise NotTold(sentence("rows-hybrid.model-told", "the model is not told"))
    model, quant = named_model.model, named_model.quantisation
    if quant is None:
        raise NotTold(sentence("rows-hybrid.quantisation-told", "the quantisation is not told"))
    model_weights = weights(model, quant)
    placed = _place(row, side, model, model_weights)
    layout = _layout(row, engine, quant.id, placed, decode)
    return Request(placed.machine, model, model_weights, layout, _workload(row, lengths(row, decode), decode))


def _place(row: Row, side: str, model: Model, model_weights: Weights) -> _Placed:
    if side == "cpu":
        _need(row.text("cpu") or row.text("gpu"), sentence("rows-hybrid.cpu-told", "the CPU is not told"))
        machine = machine_of(row, use_gpus=False, use_cpu=True)
        _need(machine.sockets, sentence("rows-hybrid.cpu-told", "the CPU is not told"))
        _check_memory(machine, model_weights.total)
        return _Placed(machine, CPU_ONLY)
    if side == "metal":
        return _Placed(_metal(row), ALL_GPU)
    _need(not unused_gpus(row) or row.text("gpu"), sentence("rows-hybrid.gpu-told", "the GPU is not told"))
    machine = machine_of(row, use_gpus=True, use_cpu=bool(row.text("cpu")))
    offload = _offload(row, model, model_weights, sum(gpu.spec.memory_bytes for gpu in machine.gpus if gpu.spec))
    if offload != ALL_GPU:
        _need(machine.sockets, sentence("rows-hybrid.cpu-told", "the CPU is not told"))
        _check_memory(machine, _host_bytes(model, model_weights, offload))
    return _Placed(machine, offload)


def _metal(row: Row) -> Machine:
    from wellfed.accuracy.hybrid_machine import cpu_name, parse_gpus
    from wellfed.hardware.machine import Origin

    return Machine("row", Origin.PARTS, gpus=parse_gpus(cpu_name(row.text("cpu")).replace("-", " "), 1))


def _need(value: object, reason: str) -> None:
    if not value:
        raise NotTold(reason)


def _check_memory(machine: Machine, host_bytes: float) -> None:
    if machine.memory_bytes and host_bytes > machine.memory_bytes * _USABLE_RAM:
        raise NotTold(sentence("rows-hybrid.weights-exceed", "the weights exceed the memory: speed is the disk's"))


def _host_bytes(model: Model, model_weights: Weights, offload: Offload) -> float:
    count = len(model.layers)
    first = count - offload.layers_on_gpu(count)
    moe = [i for i in range(first, count) if isinstance(model.layers[i].ffn, MoeFfn)]
    left = moe[: offload.expert_layers_on_cpu(count)]
    return sum(model_weights.layers[i].total for i in range(first)) + sum(
        model_weights.layers[i].routed_experts for i in left
    )


def _offload(row: Row, model: Model, model_weights: Weights, vram_bytes: float) -> Offload:
    """What the row says of placement; where it says nothing, all on the GPU if it fits, else experts on the CPU."""
    text, count, gpu_count = offload_text(row), len(model.layers), gpu_layers(row)
    moe = sum(isinstance(layer.ffn, MoeFfn) for layer in model.layers)
    if re.search(r"all (layers )?on gpu", text):
        return ALL_GPU
    in_ram = expert_layers_in_ram(row)
    if moe and in_ram is not None:
        return Offload(cpu_expert_layers=min(moe, in_ram))
    if moe and experts_on_cpu(row):
        on_gpu = expert_layers_on_gpu(row)
        return Offload(cpu_expert_layers=moe - on_gpu) if on_gpu else EXPERTS_ON_CPU
    if "-ot" in text or "rest on cpu" in text:
        return _fitting_experts(model, model_weights, vram_bytes, moe)
    if "partial" in text:
        return Offload(gpu_layers=int(count * min(1.0, _USABLE_VRAM * vram_bytes / model_weights.total)))
    if gpu_count is not None and gpu_count < count:
        return CPU_ONLY if gpu_count == 0 else Offload(gpu_layers=gpu_count)
    if model_weights.total < vram_bytes * _USABLE_VRAM:
        return ALL_GPU
    if not moe:
        raise NotTold(sentence("rows-hybrid.does-fit-gpus", "does not fit the GPUs, and its offload is not told"))
    return EXPERTS_ON_CPU


def _fitting_experts(model: Model, model_weights: Weights, vram_bytes: float, moe: int) -> Offload:
    experts = sum(layer.routed_experts for layer in model_weights.layers)
    room = _USABLE_VRAM * vram_bytes - (model_weights.total - experts)
    on_gpu = max(0, min(moe, int(room / experts * moe))) if experts else 0
    return Offload(cpu_expert_layers=moe - on_gpu)


def _layout(row: Row, engine: Engine, quant: str, placed: _Placed, decode: bool) -> Layout:
    row_switches, day = switches(row), built(row)
    options: dict[str, str] = {key: row_switches[key] for key in ("mla", "rtr", "fa") if key in row_switches}
    if day and engine is not Engine.KTRANSFORMERS:
        options["built"] = day.isoformat()
    if engine is Engine.KTRANSFORMERS and not row.text("engine_version").startswith("2026") and not _streams(day):
        options["gpu_prefill"] = "0"
    batch_threads = number_note(row, "n_threads_batch", "threads_batch")
    if batch_threads:
        options["threads_batch"] = str(batch_threads)
    sockets = len(placed.machine.sockets)
    policy = numa_policy(row, sockets, engine) if sockets > 1 else NumaPolicy.ONE_SOCKET
    return Layout(
        engine=engine,
        quantisation=quant,
        kv_type=_kv_type(row_switches.get("type_k", "")),
        gpus=len(placed.machine.gpus),
        offload=placed.offload,
        numa=policy,
        threads=threads(row),
        batch_tokens=number_note(row, "n_batch") or (_chunk(row) if engine is Engine.KTRANSFORMERS else 2048),
        ubatch_tokens=_ubatch(row, engine),
        max_sequences=concurrency(row),
        flash_attention=row_switches.get("fa") != "0",
        latent_cache=_latent(row, engine, row_switches, day),
        cuda_graphs="no cuda graph" not in offload_text(row),
        huge_pages="huge pages 1" in offload_text(row),
        active_experts=active_experts(row),
        options=tuple(sorted(options.items())),
        back_end=back_end(row) if engine is Engine.LLAMA_CPP and len(placed.machine.gpus) else None,
    )


def _kv_type(name: str) -> str:
    lowered = name.lower()
    return {"fp16": "f16", "": "f16"}.get(lowered, lowered)


def _ubatch(row: Row, engine: Engine) -> int:
    """llama-sweep-bench measures one ubatch at a time: its prompt length is the ubatch."""
    noted = number_note(row, "n_ubatch")
    if noted:
        return noted
    prompt = lengths(row, decode=False).prompt or 0
    if "sweep-bench" in row.text("notes") and prompt >= 32:
        return prompt
    return _UBATCH.get(engine, 512)


def _chunk(row: Row) -> int:
    """SGLang's chunk under KTransformers: whoever streams layers for prompts makes it as long as these."""
    prompt = lengths(row, decode=False).prompt or 0
    return max(2048, min(prompt, 32768)) if _streams(built(row)) or "layerwise" in offload_text(row) else 2048


def _latent(row: Row, engine: Engine, row_switches: dict[str, str], day: date | None) -> bool:
    if "mla" in row_switches:
        return row_switches["mla"] != "0"
    if re.search(r"\bmla\b|flashmla", note(row, "thread"), re.IGNORECASE):
        return "std" not in row.text("notes") and "standard fa" not in row.text("notes")
    since = _LATENT_SINCE.get(engine)
    return since is None or day is None or day >= since


def _streams(day: date | None) -> bool:
    """Whether KTransformers streams layers for long prompts: kt-kernel 0.5, early in 2026."""
    return day is not None and day.year >= 2026


def _workload(row: Row, row_lengths: Lengths, decode: bool) -> Workload:
    if not decode and not row_lengths.prompt:
        raise NotTold(sentence("rows-hybrid.prompt-length-told", "the prompt's length is not told"))
    workload = _workload_as_timed(row, row_lengths, decode)
    room = allocated_context(row)
    return replace(workload, context_tokens=max(room, workload.context)) if room else workload


def _workload_as_timed(row: Row, row_lengths: Lengths, decode: bool) -> Workload:
    if decode:
        output = row_lengths.output or 128
        prompt = row_lengths.prompt or (SHORT_PROMPT if over_the_request(row) else 0)
        return Workload(
            "row",
            concurrency=concurrency(row),
            prompt_tokens=prompt,
            output_tokens=output,
            depth_tokens=row_lengths.depth,
        )
    return Workload("row", prompt_tokens=row_lengths.prompt or 1, output_tokens=1, depth_tokens=row_lengths.depth)
