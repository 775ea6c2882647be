"""Rows that measure llama.cpp with the whole model on GPUs: llama-bench tables, ollama, Apple silicon."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache

from wellfed.accuracy.case import Case, Outcome, Row, Skipped
from wellfed.accuracy.names import model as resolve
from wellfed.calibration import Calibration
from wellfed.catalog.hardware import cpu as cpu_spec
from wellfed.catalog.hardware import gpu as gpu_spec
from wellfed.errors import UnknownName
from wellfed.estimate import Quantity
from wellfed.hardware.machine import Gpu, Machine, Origin, Socket
from wellfed.hardware.parts import CpuSpec, GpuSpec
from wellfed.hardware.pcie import PcieLink
from wellfed.layout import Engine, Layout
from wellfed.models.quantisation import weights
from wellfed.models.quantisation_names import quantisation
from wellfed.perf.estimate import estimate
from wellfed.perf.gpu import build_name
from wellfed.perf.memory import memory
from wellfed.plan import Request
from wellfed.workload import Workload

_ENGINE = re.compile(r"^(ollama/)?llama\.cpp", re.IGNORECASE)
_OLLAMA_DEFAULT = {"gpt-oss": "mxfp4_moe"}  # by model; others are Q4_K_M (ollama's library)
_SHORT_PROMPT, _SHORT_ANSWER = 32, 512  # "short": a question of a line and its answer
_DECEMBER_2023_BUILD = "b1600"
_FITS = "fits or out of memory"


@dataclass(frozen=True, slots=True)
class _Test:
    """What was timed."""

    prompt: int
    output: int
    depth: int = 0


def interpret(row: Row) -> tuple[Outcome, ...] | None:
    """Predictions for a row of llama.cpp on GPUs alone; None for any other row."""
    if not _ENGINE.match(row.text("engine")) or not _all_on_gpu(row):
        return None
    if "GPU/CPU" in row.text("notes"):
        return None  # ollama left layers on the CPU
    if re.search(r"\bcluster\b", row.text("gpu"), re.IGNORECASE):
        return (Skipped(row.index, "", "", "several machines over a network"),)
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
    return tuple(outcomes) or (Skipped(row.index, "", "", "nothing measured"),)


def _all_on_gpu(row: Row) -> bool:
    offload, gpu = row.text("ngl_or_offload").lower(), row.text("gpu").lower()
    return bool(gpu) and not gpu.startswith(("cpu", "none")) and offload.startswith(("all layers on gpu", "all on gpu"))


def _tells_memory(row: Row) -> bool:
    """Tables of llama-bench list the cells that ran out of memory beside those that ran."""
    return row.text("oom") == "1" or "llama-bench" in row.text("engine")


def _speed_case(row: Row, request: Request, metric: str, phase: str, measured: float, group: str) -> Case:
    def predict(calibration: Calibration) -> Quantity:
        found = estimate(request, calibration)
        return found.decode_tok_s if phase == "decode" else found.prefill_tok_s

    current = ", current builds" if build_name(request.layout) == "current" else ""
    legacy = ", split by rows" if request.layout.tensor_parallel > 1 else ""
    cls = f"llama.cpp GPU {phase}{current}{legacy}"
    return Case(row.index, cls, metric, measured, group, predict, request, outlier=_outlier(request))


def _outlier(request: Request) -> str:
    """A speed that was measured although the model does not fit is one of swapping."""
    return "the model does not fit these GPUs: parts were swapped" if memory(request).fits is False else ""


def _fit_case(row: Row, request: Request, group: str) -> Case:
    def predict(calibration: Calibration) -> Quantity:
        fits = estimate(request, calibration).memory.fits
        return Quantity.exact(0.0 if fits or fits is None else 1.0)

    return Case(row.index, _FITS, "oom", float(row.text("oom")), group, predict, request)


def _request(row: Row) -> Request:
    model = resolve(row.text("model"))
    kind = quantisation(_quantisation(row))
    machine, test = machine_of(row), _test(row)
    layout = layout_of(row, kind.id)
    workload = Workload("row", prompt_tokens=test.prompt, output_tokens=test.output, depth_tokens=test.depth)
    return Request(machine, model, weights(model, kind), layout, workload)


def _quantisation(row: Row) -> str:
    text = row.text("quant")
    if not text.lower().startswith("ollama"):
        return text
    family = next((name for name in _OLLAMA_DEFAULT if name in row.text("model").lower()), "")
    return _OLLAMA_DEFAULT.get(family, "Q4_K_M")


def layout_of(row: Row, kind: str) -> Layout:
    """The layout as run. Builds are told by their number, or by the date of the table."""
    build = re.search(r"\bb(\d{4,5})\b", row.text("engine_version"))
    number = build[0] if build else _DECEMBER_2023_BUILD if "Dec 2023" in row.text("source") else ""
    gpus = int(row.number("gpu_count") or 1)
    by_rows = gpus > 1 and "row-split" in row.text("notes")
    flash = not number or bool(re.search(r"\bFA\b|flash", row.text("notes")))
    return Layout(
        Engine.LLAMA_CPP,
        kind,
        gpus=gpus,
        tensor_parallel=gpus if by_rows else 1,
        flash_attention=flash,
        options=(("build", number),) if number else (),
    )


def _test(row: Row) -> _Test:
    """llama-bench starts from an empty cache; `depth 16384` measures decode behind so many tokens."""
    cell, output = row.text("prompt_len"), int(row.number("gen_len") or 0)
    if cell.startswith("depth"):
        return _Test(0, max(1, output), int(row.number("prompt_len") or 0))
    if cell == "short":
        return _Test(_SHORT_PROMPT, output or _SHORT_ANSWER)
    return _Test(int(row.number("prompt_len") or 0), max(1, output))


def machine_of(row: Row) -> Machine:
    """The row's machine: its GPUs, and its host where the catalogue knows it."""
    spec = gpu_spec(row.text("gpu"))
    host = _host(row.text("cpu"))
    gpu = Gpu(0, spec, spec.name, link=_link(spec, host))
    count = int(row.number("gpu_count") or 1)
    sockets = (Socket(0, host, cores=host.cores),) if host else ()
    return Machine("row", Origin.PARTS, sockets, gpus=tuple(replace(gpu, index=index) for index in range(count)))


def _link(spec: GpuSpec, host: CpuSpec | None) -> PcieLink | None:
    """The slot the host can offer, where that is less than the card's."""
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
