"""Rows that measure llama.cpp with the whole model on GPUs: llama-bench tables, ollama, Apple silicon."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

from wellfed.accuracy import llamacpp_notes as notes
from wellfed.accuracy.case import Case, Outcome, Row, Skipped, source_of
from wellfed.accuracy.hybrid_machine import parse_gpus
from wellfed.accuracy.llamacpp_notes import Timed
from wellfed.accuracy.names import model as resolve
from wellfed.catalog.hardware import cpu as cpu_spec
from wellfed.errors import UnknownName
from wellfed.hardware.machine import Machine, Origin, Socket
from wellfed.hardware.parts import CpuSpec, GpuSpec
from wellfed.hardware.pcie import PcieLink
from wellfed.message import sentence
from wellfed.models.quantisation import weights
from wellfed.models.quantisation_names import quantisation
from wellfed.nouns.calibration import Calibration
from wellfed.nouns.estimate import Quantity
from wellfed.nouns.layout import Engine, Layout
from wellfed.nouns.plan import Request
from wellfed.nouns.workload import Workload
from wellfed.perf.estimate import estimate
from wellfed.perf.gpu import build_number
from wellfed.perf.local import speed_class
from wellfed.perf.memory import memory

_ENGINE = re.compile(r"^(ollama/)?llama\.cpp", re.IGNORECASE)
_OLLAMA_DEFAULT = {"gpt-oss": "mxfp4_moe"}  # by model; others are Q4_K_M (ollama's library)
_ON_GPU = re.compile(r"all layers on gpu|all on gpu|metal$|ngl\s*=\s*(99|999)\b")
_FITS = "fits or out of memory"


def interpret(row: Row) -> tuple[Outcome, ...] | None:
    """Predictions for a row of llama.cpp on GPUs alone; None for any other row."""
    if not _ENGINE.match(row.text("engine")) or not _all_on_gpu(row):
        return None
    if "GPU/CPU" in row.text("notes"):
        return None  # ollama left layers on the CPU
    if re.search(r"\bcluster\b", row.text("gpu"), re.IGNORECASE):
        return (
            Skipped(row.index, "", "", sentence("rows-llamacpp.several-machines", "several machines over a network")),
        )
    request = _request(row)
    spec = request.machine.gpus[0].spec
    group = spec.name if spec else row.text("gpu")
    outcomes: list[Outcome] = []
    if row.text("oom") in ("0", "1") and _tells_memory(row):
        outcomes.append(_fit_case(row, request, group))
    for metric, phase in (("decode_tok_s", "decode"), ("prefill_tok_s", "prefill")):
        measured = row.number(metric)
        if measured:
            outcomes.append(_speed_case(row, request, metric, phase, measured, group))
    return tuple(outcomes) or (
        Skipped(row.index, "", "", sentence("rows-llamacpp.nothing-measured", "nothing measured")),
    )


def _all_on_gpu(row: Row) -> bool:
    offload, gpu = row.text("ngl_or_offload").lower(), row.text("gpu").lower()
    return bool(gpu) and not gpu.startswith(("cpu", "none")) and bool(_ON_GPU.match(offload))


def _tells_memory(row: Row) -> bool:
    """Tables of llama-bench list the cells that ran out of memory beside those that ran."""
    return row.text("oom") == "1" or "llama-bench" in row.text("engine")


def _speed_case(row: Row, request: Request, metric: str, phase: str, measured: float, group: str) -> Case:
    return Case(
        row.index,
        speed_class(phase, request),
        metric,
        measured,
        group,
        _predictor(row, request, phase),
        request,
        outlier=_outlier(row, request),
        source=source_of(row),
        whole_request=phase == "decode" and notes.timed(row).whole_request,
    )


def _predictor(row: Row, request: Request, phase: str) -> Callable[[Calibration], Quantity]:
    whole_request = phase == "decode" and notes.timed(row).whole_request
    batched = request.workload.concurrency > 1 and "batched-bench" in row.text("notes")

    def predict(calibration: Calibration) -> Quantity:
        estimated = estimate(request, calibration)
        if phase == "prefill":
            return estimated.prefill_tok_s
        if batched:
            return estimated.total_tok_s
        return (
            notes.answers_rate(estimated, request.workload.output_tokens) if whole_request else estimated.decode_tok_s
        )

    return predict


def _outlier(row: Row, request: Request) -> str:
    """A speed that was measured although the model does not fit is one of swapping."""
    if memory(request).fits is False:
        return sentence("rows-llamacpp.model-does-fit", "the model does not fit these GPUs: parts were swapped")
    return (
        sentence("rows-llamacpp.reported-fault-one", "reported as the fault of one machine")
        if "a fault of this machine" in row.text("notes")
        else ""
    )


def _fit_case(row: Row, request: Request, group: str) -> Case:
    def predict(calibration: Calibration) -> Quantity:
        fits = estimate(request, calibration).memory.fits
        return Quantity.exact(0.0 if fits or fits is None else 1.0)

    return Case(row.index, _FITS, "oom", float(row.text("oom")), group, predict, request)


def _request(row: Row) -> Request:
    model = resolve(row.text("model"))
    kind = quantisation(_quantisation(row))
    machine, test = machine_of(row), notes.timed(row)
    layout = layout_of(row, kind.id, len(machine.gpus))
    return Request(machine, model, weights(model, kind), layout, _workload(row, test))


def _workload(row: Row, test: Timed) -> Workload:
    users = int(row.number("concurrency_or_batch") or 1)
    return Workload("row", users, test.prompt, test.output, depth_tokens=test.depth)


def _quantisation(row: Row) -> str:
    text = row.text("quant")
    if not text.lower().startswith("ollama"):
        return text
    family = next((name for name in _OLLAMA_DEFAULT if name in row.text("model").lower()), "")
    return _OLLAMA_DEFAULT.get(family, "Q4_K_M")


def layout_of(row: Row, kind: str, gpus: int | None = None) -> Layout:
    """The layout as run. Builds are told by their number, or by the date of the table."""
    number = notes.build(row)
    count = gpus or int(row.number("gpu_count") or 1)
    layout = Layout(
        Engine.LLAMA_CPP,
        kind,
        kv_type=notes.cache_type(row),
        gpus=count,
        tensor_parallel=count if count > 1 and notes.split_by_rows(row) else 1,
        ubatch_tokens=notes.micro_batch(row),
        max_sequences=int(row.number("concurrency_or_batch") or 1),
        cuda_graphs=notes.graphs(row),
        options=(*((("bench", "1"),) if notes.benched(row) else ()), *((("build", number),) if number else ())),
        back_end=notes.back_end(row),
    )
    return replace(layout, flash_attention=notes.flash_attention(row, build_number(layout) is not None))


def machine_of(row: Row) -> Machine:
    """The row's machine: its GPUs, and its host where the catalogue knows it."""
    host = _host(row.text("cpu"))
    cards = parse_gpus(row.text("gpu"), row.number("gpu_count"))
    watts = notes.power_limit_w(row)
    gpus = tuple(replace(card, link=_link(row, card.spec, host), power_limit_w=watts) for card in cards)
    sockets = (Socket(0, host, cores=host.cores),) if host else ()
    return Machine("row", Origin.PARTS, sockets, gpus=gpus)


def _link(row: Row, spec: GpuSpec | None, host: CpuSpec | None) -> PcieLink | None:
    """The link as told, else the slot the host can offer, where that is less than the card's."""
    if spec is None or spec.unified_memory:
        return None
    if (link_told := notes.told_link(row)) is not None:
        return link_told
    if host is None or not host.pcie_generation or not host.pcie_lanes:
        return None
    generation, lanes = spec.pcie_generation or host.pcie_generation, spec.pcie_lanes or 16
    return PcieLink(min(generation, host.pcie_generation), min(lanes, host.pcie_lanes))


@lru_cache(maxsize=256)
def _host(text: str) -> CpuSpec | None:
    """The CPU of `AMD EPYC 7443P 24-Core Processor (48 threads visible)` or `Pi CM5 - 16GB (Nvidia RTX 4090)`."""
    bare = re.sub(r"\([^)]*\)", " ", text.replace("(R)", "").replace("(TM)", ""))
    bare = re.sub(r"@.*$|\bCustom PC\b|- \d+GB|\d+-Core Processor", " ", bare)
    try:
        return cpu_spec(" ".join(bare.split())) if bare.strip() else None
    except UnknownName:
        return None
