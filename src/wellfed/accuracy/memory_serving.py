"""Rows of serving engines' memory reports: weights by rank, profile peaks, cache budgets, cache tokens."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from wellfed.accuracy import memory_setting as setting
from wellfed.accuracy.case import Case, Outcome, Row, Skipped
from wellfed.accuracy.names import ResolvedModel
from wellfed.errors import UnknownName, WellfedError
from wellfed.message import sentence
from wellfed.models.quantisation import weights as weights_of
from wellfed.models.quantisation_names import quantisation
from wellfed.nouns.calibration import Calibration
from wellfed.nouns.estimate import Quantity
from wellfed.nouns.layout import Engine, Layout
from wellfed.nouns.plan import Request
from wellfed.nouns.workload import Workload
from wellfed.perf.memory import cache_bytes, cache_tokens, memory
from wellfed.units import GB, GIB

_SIGMAS = {"weights": 0.02, "kv": 0.1, "kv_tokens": 0.15, "activation_peak": 0.3, "non_torch_context": 0.5}
_TERMS = {"weights": "weights", "activation_peak": "activations", "non_torch_context": "engine context",
          "cuda_graph": "cuda graphs"}  # fmt: skip
_UTILISATION = re.compile(r"(?:gpu_memory_utilization|\butil|x)\s*(0\.\d+)")
_FRACTION = re.compile(r"mem-fraction(?:-static)?\s*(0\.\d+)")
_POOL = re.compile(r"([0-9.]+) GiB / |\bK ([0-9.]+) \+ V ([0-9.]+) GB")  # SGLang's GB are GiB
_FIRST_V1 = (0, 9, 0)  # earlier vLLM profiled with 256 sequences and one copy of the logits
_NOTHING_SORTED, _MORE_BESIDE_TORCH = (0, 17, 0), (0, 18, 0)  # as `engines.versions` has them
_LAST_UNSORTED = (0, 11, 0)  # the last vLLM whose profile run samples without sorting


def serving_outcome(row: Row, engine: Engine) -> Outcome:
    """The prediction for one row of a serving engine."""
    item, value = row.text("item"), row.number("value")
    cls = f"memory {item}, serving"
    try:
        resolved = setting.named_model(row)
    except UnknownName as error:
        return Skipped(row.index, cls, item, error.message, unresolved=True)
    if resolved is None:
        return Skipped(row.index, cls, item, sentence("memory-serving.row-names-model", "the row names no model"))
    if value is None and item != "oom":
        return Skipped(row.index, cls, item, sentence("memory-serving.no-value", "no value"))
    if value is not None and value < 0:
        return Skipped(
            row.index,
            cls,
            item,
            sentence(
                "memory-serving.negative-size-free", "a negative size: free memory grew while graphs were captured"
            ),
        )
    try:
        predicted = _predicted(row, engine, resolved)
    except WellfedError as error:
        return Skipped(row.index, cls, item, error.message)
    if isinstance(predicted, str):
        return Skipped(row.index, cls, item, predicted)
    amount, request = predicted
    measured = 1.0 if item == "oom" else value or 0.0

    def predict(calibration: Calibration) -> Quantity:
        if item == "oom":
            return Quantity.exact(amount)
        return Quantity.lognormal(amount, calibration.sigma(cls, _SIGMAS.get(item, 0.3)))

    return Case(row.index, cls, item, measured, row.text("source").partition(" (")[0], predict, request)


def _predicted(row: Row, engine: Engine, resolved: ResolvedModel) -> tuple[float, Request] | str:
    item, request = row.text("item"), _request(row, engine, resolved)
    if item == "weights_host":
        device = memory(request).devices[-1]
        return sum(term.bytes for term in device.terms if term.name == "weights") / _unit(row), request
    if item in _TERMS:
        gpu = memory(request).devices[0]
        return sum(term.bytes for term in gpu.terms if term.name == _TERMS[item]) / _unit(row), request
    if not setting.gpus_of(row):
        return sentence("memory-serving.gpu-stated", "the GPU is not stated")
    return _BUDGETS[item](row, request)


def _unit(row: Row) -> float:
    return GB if row.text("unit").startswith("GB") and "GiB" not in row.text("unit") else GIB


def _kv(row: Row, request: Request) -> tuple[float, Request] | str:
    kv_bytes = cache_bytes(request)
    return (
        (max(0.0, kv_bytes) / _unit(row), request)
        if kv_bytes is not None
        else sentence("memory-serving.gpu-size-unknown", "the GPU's size is unknown")
    )


def _tokens(row: Row, request: Request) -> tuple[float, Request] | str:
    """From the cache's bytes where the row tells them, else from the whole budget."""
    pool_note = _POOL.search(row.text("notes"))
    pool = sum(float(number) for number in pool_note.groups() if number) * GIB if pool_note else None
    tokens = cache_tokens(request, pool)
    return (
        (tokens, request)
        if tokens is not None
        else sentence("memory-serving.gpu-size-unknown", "the GPU's size is unknown")
    )


def _oom(row: Row, request: Request) -> tuple[float, Request] | str:
    fits = memory(request).fits
    return (0.0 if fits or fits is None else 1.0), request


_BUDGETS: dict[str, Callable[[Row, Request], tuple[float, Request] | str]] = {
    "kv": _kv,
    "kv_tokens": _tokens,
    "oom": _oom,
}


def _request(row: Row, engine: Engine, resolved: ResolvedModel) -> Request:
    ranks = int(row.number("tp") or 1)
    machine = setting.machine_with(setting.machine(row, 1), ranks)
    kind = resolved.quantisation or quantisation(resolved.model.native_quantisation)
    stated = re.search(r"max-model-len (\d+)", row.text("model"))
    context = int(stated[1]) if stated else int(row.number("ctx") or min(resolved.model.context_limit, 32768))
    layout = Layout(
        engine,
        kind.id,
        gpus=ranks,
        tensor_parallel=ranks,
        latent_cache="no MLA" not in row.text("flash_attn"),
        options=_options(row, engine),
    )
    workload = Workload("row", prompt_tokens=0, output_tokens=0, context_tokens=context)
    return Request(machine, resolved.model, weights_of(resolved.model, replace(kind)), layout, workload)


def _options(row: Row, engine: Engine) -> tuple[tuple[str, str], ...]:
    """Budgets as stated; the version decides defaults and what the profile run does."""
    text = f"{row.text('gpu')} {row.text('notes')}"
    fraction, share, offload = _FRACTION.search(text), _UTILISATION.search(text), re.search(r"offload_gb=(\d+)", text)
    options = [("graphs_in_budget", "0")]
    if engine is Engine.SGLANG:
        options += [("mem_fraction_static", fraction[1])] if fraction else []
    else:
        options.append(("gpu_memory_utilization", share[1] if share else "0.9"))
    if offload:
        options.append(("cpu_offload_gb", offload[1]))
    version = _version(row)
    if version is not None and version < _FIRST_V1:
        options += [("max_num_seqs", "256"), ("batch_tokens", "2048"), ("sampler_bytes", "38.3"), ("nccl_gib", "0.1")]
    elif engine is Engine.VLLM and (version is None or version < _NOTHING_SORTED):
        unsorted = version is not None and version <= _LAST_UNSORTED
        options += [("sampler_bytes", "17" if unsorted else "38.3"), ("nccl_gib", "0.42")]
    if engine is Engine.VLLM and (version is None or version < _MORE_BESIDE_TORCH):
        options.append(("non_torch_gib", "0.13"))
    return tuple(options)


def _version(row: Row) -> tuple[int, int, int] | None:
    """The engine's version; of "0.11.0 (Mistral), others ~0.11+" the part about the row's model."""
    text = row.text("version")
    parts = [part for part in text.split(",") if part.strip()]
    for part in parts:
        name = re.search(r"\((\w+)\)", part)
        if name and name[1].lower() not in row.text("model").lower():
            continue
        match = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?(\+)?", part)
        if match:
            return int(match[1]), int(match[2]), int(match[3] or 0) + (1 if match[4] else 0)
    return None
