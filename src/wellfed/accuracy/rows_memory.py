"""Rows of logged buffer sizes: weights, cache, compute and output buffers, budgets, out of memory."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from math import ceil

from wellfed.accuracy import memory_setting as setting
from wellfed.accuracy.case import Case, Outcome, Row, Skipped
from wellfed.accuracy.memory_serving import serving_outcome
from wellfed.accuracy.names import ResolvedModel
from wellfed.errors import UnknownName, WellfedError
from wellfed.frozen import dataclass
from wellfed.hardware.machine import Machine
from wellfed.message import sentence
from wellfed.models.attention import LatentAttention
from wellfed.models.quantisation import weights as weights_of
from wellfed.models.weights import Weights
from wellfed.nouns.calibration import Calibration
from wellfed.nouns.estimate import Memory, Quantity
from wellfed.nouns.layout import Engine, Layout, Offload
from wellfed.nouns.plan import Request
from wellfed.nouns.workload import Workload
from wellfed.perf.memory import kv_bytes_per_sequence, memory
from wellfed.units import GB, GIB, MIB

# Tables of logs are older than builds of 2026: logits of a whole batch, masks in F32, no room for embeddings.
_OLD_BUILDS = (("logits", "all"), ("mask", "f32"), ("inputs", "one"))
_SIGMAS = {"kv": 0.01, "weights": 0.01, "output": 0.3, "compute": 0.1}
_COMFORTABLE = 0.6
_UNDECIDED = 0.15
_SHARED_GPUS = 8  # logs with so many GPUs and no names are of rigs that hold the whole model
_Skip = tuple[str, bool]  # reason, a name was not understood


@dataclass(frozen=True, slots=True)
class Run:
    """A local engine's run as far as the row tells it."""

    row: Row
    engine: Engine
    resolved: ResolvedModel
    place: setting.Where
    context: int | None
    machine: Machine

    @property
    def experts_in_ram(self) -> bool:
        """Whether the experts must have been left in RAM: the file is larger than all GPUs together."""
        size = setting.file_bytes(self.row) or self.weights.total
        gpu_sizes = [gpu.spec.memory_bytes for gpu in self.machine.gpus if gpu.spec]
        if not self.resolved.model.is_moe or not self.machine.gpus or self.row.text("item") == "gpu_total":
            return False
        return size > sum(gpu_sizes) if gpu_sizes else len(self.machine.gpus) < _SHARED_GPUS

    @property
    def weights(self) -> Weights:
        """The file's weights; 4 bits a weight where nothing is said."""
        return _weights(self.resolved)


def _weights(resolved: ResolvedModel) -> Weights:
    from wellfed.models.quantisation_names import quantisation

    return weights_of(resolved.model, resolved.quantisation or quantisation("Q4_K_M"))


def interpret(row: Row) -> tuple[Outcome, ...] | None:
    """The prediction a row with the column `item` allows; None for other tables."""
    if not row.text("item"):
        return None
    return (_outcome(row),)


def _outcome(row: Row) -> Outcome:
    item = row.text("item")
    engine = setting.engine_of(row)
    if engine is None and row.text("engine") != "vllm-hpu":
        return Skipped(
            row.index,
            f"memory {item}",
            item,
            sentence("rows-memory.engine-modelled", "engine {text!r} is not modelled", text=row.text("engine")),
        )
    if engine not in (Engine.LLAMA_CPP, Engine.IK_LLAMA_CPP):
        return serving_outcome(row, engine or Engine.VLLM)
    cls = f"memory {item}, llama.cpp"
    try:
        resolved = setting.named_model(row)
    except UnknownName as error:
        return Skipped(row.index, cls, item, error.message, unresolved=True)
    try:
        return _local(row, engine, resolved, cls)
    except WellfedError as error:
        return Skipped(row.index, cls, item, error.message)


def _local(row: Row, engine: Engine, resolved: ResolvedModel | None, cls: str) -> Outcome:
    item, value, context = row.text("item"), row.number("value"), row.number("ctx")
    if resolved is None:
        return _unnamed(row, engine, cls)
    place = setting.where(row)
    if item == "oom":
        return _oom(row, engine, resolved, cls)
    if item == "gpu_total":
        place = setting.Where("gpu")
    if value is None or place is None:
        return Skipped(
            row.index,
            cls,
            item,
            sentence("rows-memory.copy-place-device", "a copy or a place that is no device")
            if place is None
            else sentence("rows-memory.no-value", "no value"),
        )
    machine = setting.machine(row, place.index + 1 if place.kind in {"gpu", "host", "split"} else 0)
    run = Run(row, engine, resolved, place, None if context is None else int(context), machine)
    predicted = (
        _PREDICTORS[item](run)
        if item in _PREDICTORS
        else (sentence("rows-memory.no-such-buffer", "no such buffer in the model"), False)
    )
    if isinstance(predicted, tuple):
        return Skipped(row.index, cls, item, predicted[0], predicted[1])
    return _case(row, cls, item, value, predicted, None)


def _unnamed(row: Row, engine: Engine, cls: str) -> Outcome:
    """A cache total tells the model where only its family is named; such rows are a class of their own."""
    item, value, context = row.text("item"), row.number("value"), row.number("ctx")
    if item == "kv" and value is not None and context and row.text("gpu").startswith("all devices total"):
        model = setting.model_of_cache(row, value * MIB / context)
        if model is not None:
            run = Run(row, engine, model, setting.Where("total"), int(context), setting.machine(row))
            predicted = _kv(run)
            if isinstance(predicted, float):
                return _case(
                    row,
                    sentence("rows-memory.size-told-cache", "{value}, size told by the cache", value=cls),
                    item,
                    value,
                    predicted,
                    None,
                )
    return Skipped(
        row.index,
        cls,
        item,
        sentence("rows-memory.row-names-model", "the row names no model, or a family without its size"),
    )


def _case(row: Row, cls: str, item: str, value: float, predicted: float, request: Request | None) -> Case:
    unit = unit_bytes(row.text("unit"))

    def predict(calibration: Calibration) -> Quantity:
        return Quantity.lognormal(predicted / unit, calibration.sigma(cls, _SIGMAS.get(item, 0.15)))

    return Case(row.index, cls, item, value, row.text("source").partition(" (")[0], predict, request)


def unit_bytes(unit: str) -> float:
    """Bytes of the table's unit; logs that say "GB(GiB)" mean GiB."""
    if "GiB" in unit:
        return GIB
    return GB if unit.startswith("GB") else MIB


def _layout(run: Run, offload: Offload) -> Layout:
    row, row_facts = run.row, setting.facts(run.row)
    small, large = setting.batch(row)
    latent_cache, day = setting.latent(row, run.engine), setting.built(row)
    options = tuple((key, row_facts[key]) for key in ("mla", "amb") if key in row_facts)
    return Layout(
        run.engine,
        run.weights.quantisation,
        kv_type=setting.cache_type(row) or "f16",
        gpus=max(1, len(run.machine.gpus)),
        tensor_parallel=len(run.machine.gpus) if run.place.kind == "split" else 1,
        offload=offload,
        batch_tokens=large or 2048,
        ubatch_tokens=small or 512,
        flash_attention=row.text("flash_attn") in {"1", "1.0"},
        latent_cache=latent_cache is not False,
        options=(*options, *((("built", day.isoformat()),) if day is not None else ()), *_OLD_BUILDS),
    )


def _offload(run: Run) -> Offload:
    layers = setting.layers_on_gpu(run.row)
    if not run.machine.gpus:
        return Offload(gpu_layers=0)
    if layers is not None and layers[0] < layers[1]:
        return Offload(gpu_layers=layers[0])
    return Offload(cpu_expert_layers=_expert_layers_in_ram(run) if run.experts_in_ram else 0)


def _expert_layers_in_ram(run: Run) -> int | None:
    """Experts of as many layers in RAM as the GPUs lack room for, a fifth of them kept for cache and buffers."""
    gpu_sizes = [gpu.spec.memory_bytes for gpu in run.machine.gpus if gpu.spec]
    experts = sum(layer.routed_experts for layer in run.weights.layers)
    if not gpu_sizes or not experts:
        return None
    lacking = run.weights.total - 0.8 * sum(gpu_sizes)
    return min(run.resolved.model.expert_layers, ceil(run.resolved.model.expert_layers * lacking / experts))


def _request(run: Run) -> Request:
    workload = Workload("row", prompt_tokens=0, output_tokens=0, context_tokens=run.context or 512)
    return Request(run.machine, run.resolved.model, run.weights, _layout(run, _offload(run)), workload)


def _term(ledger: Memory, device: str, *names: str) -> float:
    return sum(
        term.bytes
        for device_memory in ledger.devices
        if device_memory.device == device
        for term in device_memory.terms
        if term.name in names
    )


def _kv(run: Run) -> float | _Skip:
    row, kind = run.row, run.place.kind
    notebook = row.text("notes").startswith("notebook log")
    if run.context is None:
        return sentence("rows-memory.context-stated", "the context is not stated"), False
    if setting.cache_type(row) is None and not notebook:
        return sentence("rows-memory.cache-type-stated", "the cache's type is not stated"), False
    if _is_mla(run) and setting.latent(row, run.engine) is None:
        return sentence("rows-memory.whether-latents", "whether latents were cached is not stated"), False
    if kind in {"total", "cpu"} or (kind == "gpu" and len(setting.gpus_of(row)) == 1):
        return kv_bytes_per_sequence(run.resolved.model, _layout(run, Offload()), run.context)
    if not notebook:
        return sentence("rows-memory.how-layers-split", "how layers were split over the GPUs is not stated"), False
    return _term(memory(_request(run)), f"gpu{run.place.index}", "kv")


def _output(run: Run) -> float | _Skip:
    """Logits of each sequence; llama-perplexity runs as many as its batch has contexts of 512 tokens."""
    _, large = setting.batch(run.row)
    many = run.context is not None and run.context == large and run.context > 512
    sequences = run.context // 512 if many and run.context is not None else 1
    return 4.0 * run.resolved.model.vocabulary * sequences


def _compute(run: Run) -> float | _Skip:
    row, kind = run.row, run.place.kind
    if run.context is None or (setting.batch(row)[0] is None and not row.text("notes").startswith("notebook log")):
        return sentence("rows-memory.context-ubatch", "context and ubatch are not stated"), False
    layers = setting.layers_on_gpu(row)
    none_on_gpu = layers is not None and layers[0] == 0
    if kind == "cpu" and not none_on_gpu and (run.machine.gpus or layers is not None):
        return sentence(
            "rows-memory.cpu-few-operations", "the CPU's few operations beside a GPU are not told apart"
        ), False
    if kind in {"gpu", "host"} and none_on_gpu:
        return sentence(
            "rows-memory.gpu-without-layers", "a GPU without layers: only what it is lent for large batches"
        ), False
    if kind == "cpu" and setting.cache_type(row) is None and _is_mla(run) and row.text("flash_attn") == "1":
        return sentence("rows-memory.cache-type-stated", "the cache's type is not stated"), False
    if kind != "gpu":
        return _term(memory(_request(run)), "ram", "compute")
    if run.resolved.quantisation is None and run.experts_in_ram and run.place.index == 0:
        return sentence(
            "rows-memory.experts-type-stated",
            "the experts' type is not stated, and prefill copies one of their matrices to the GPU",
        ), False
    return _gpu_compute(run)


def _gpu_compute(run: Run) -> float | _Skip:
    """Where the row does not list the GPUs, this one may or may not be the last, which has the head."""
    device = f"gpu{run.place.index}"
    last = _term(memory(_request(run)), device, "compute")
    if setting.gpus_of(run.row):
        return last
    wider = replace(run, machine=setting.machine(run.row, run.place.index + 2))
    inner = _term(memory(_request(wider)), device, "compute")
    if abs(last / inner - 1) > _UNDECIDED:
        return sentence("rows-memory.whether-head-gpu", "whether the head is on this GPU is not stated"), False
    return last


def _is_mla(run: Run) -> bool:
    return any(isinstance(layer.attention, LatentAttention) for layer in run.resolved.model.layers)


def _weights_of(run: Run) -> float | _Skip:
    row, kind = run.row, run.place.kind
    kind_of_file = run.resolved.quantisation
    if kind_of_file is None or not (row.text("quant") or row.text("model").endswith(".gguf")):
        return sentence("rows-memory.quantisation-stated", "the quantisation is not stated"), False
    if re.search(r"-of-\d+", row.text("model")) or (row.text("gpu").startswith("CPU_Mapped") and setting.facts(row)):
        return sentence(
            "rows-memory.one-buffer-per", "one buffer per file: which tensors a part holds is not stated"
        ), False
    if kind_of_file.file_bytes is not None and kind in {"cpu", "host"}:
        return sentence("rows-memory.mix-own-only", "a mix of its own: only the file's size is known"), False
    layers = setting.layers_on_gpu(row)
    if kind == "cpu" and not run.machine.gpus and layers is None:
        return run.weights.total
    if layers is None:
        return sentence("rows-memory.what-which-device", "what is on which device is not stated"), False
    if layers[0] == 0:
        return (
            run.weights.total
            if kind in {"cpu", "host"}
            else (sentence("rows-memory.no-layers", "no layers on it"), False)
        )
    if layers[0] < layers[1] or run.experts_in_ram or not run.machine.gpus:
        return sentence("rows-memory.which-tensors-stay", "which tensors stay in RAM is not stated"), False
    if kind == "gpu" and len(run.machine.gpus) > 1 and not row.text("notes").startswith("notebook log"):
        return sentence("rows-memory.how-layers-split", "how layers were split over the GPUs is not stated"), False
    ledger = memory(_request(run))
    if kind == "split":
        return sum(_term(ledger, f"gpu{i}", "weights") for i in range(len(run.machine.gpus)))
    return _term(ledger, "ram" if kind in {"cpu", "host"} else f"gpu{run.place.index}", "weights")


def _gpu_total(run: Run) -> float | _Skip:
    machine = run.machine if run.machine.gpus else setting.machine(run.row, 1)
    ledger = memory(_request(Run(run.row, run.engine, run.resolved, run.place, run.context, machine)))
    return _term(ledger, "gpu0", "weights", "kv", "compute")


_PREDICTORS: dict[str, Callable[[Run], float | _Skip]] = {
    "kv": _kv,
    "output": _output,
    "compute": _compute,
    "weights": _weights_of,
    "gpu_total": _gpu_total,
}


def _oom(row: Row, engine: Engine, resolved: ResolvedModel, cls: str) -> Outcome:
    """An allocation that failed; failing to pin host memory is only a warning."""
    if "pinned memory" in row.text("notes"):
        return Skipped(
            row.index,
            cls,
            "oom",
            sentence("rows-memory.pinning-host-memory", "pinning host memory failed, which only costs speed"),
        )
    context = row.number("ctx")
    machine = setting.machine(row)
    if not machine.gpus or context is None:
        return Skipped(
            row.index, cls, "oom", sentence("rows-memory.gpus-context-stated", "the GPUs or the context are not stated")
        )
    run = Run(row, engine, resolved, setting.Where("gpu"), int(context), machine)
    request = _request(run)
    fits = memory(request).fits

    def predict(calibration: Calibration) -> Quantity:
        return Quantity.exact(0.0 if fits or fits is None else 1.0)

    group = row.text("source").partition(" (")[0]
    return Case(row.index, cls, "oom", 1.0, group, predict, request, _outlier(row, memory(request)))


def _outlier(row: Row, ledger: Memory) -> str:
    """Why a failed allocation is not of the named model's making."""
    gpus = [device for device in ledger.devices if device.device != "ram"]
    used = max(device.needed_bytes / (device.capacity_bytes or device.needed_bytes) for device in gpus)
    if row.text("notes").startswith("notebook log") and used < _COMFORTABLE:
        return sentence(
            "rows-memory.notebook-ran-several",
            "the notebook ran several models; the one named would leave most of the memory free",
        )
    allocation = re.search(r"allocating ([0-9.]+) MiB", row.text("notes"))
    if allocation and float(allocation[1]) * MIB > 10 * max(device.needed_bytes for device in gpus):
        return sentence("rows-memory.no-layout-needs", "no layout needs that much: a fault of that build")
    return ""
