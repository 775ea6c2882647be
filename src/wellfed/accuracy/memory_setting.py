"""What a row of logged buffer sizes says of the run behind it: model, device, context, switches."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from functools import cache, lru_cache

from wellfed.accuracy.case import Row
from wellfed.accuracy.names import ResolvedModel, resolve
from wellfed.catalog.hardware import gpu_list
from wellfed.catalog.hardware import measured_gpu as gpu_spec
from wellfed.catalog.model_tables import model_ids
from wellfed.catalog.models import by_id
from wellfed.errors import UnknownName
from wellfed.frozen import dataclass
from wellfed.hardware.machine import Gpu, Machine, Origin
from wellfed.hardware.parts import GpuSpec
from wellfed.nouns.layout import Engine
from wellfed.units import GIB, MIB, parse_bytes

_THREAD = re.compile(r"^\d+ - ")  # collectors put the thread's title where a log names no model
_DEVICE = re.compile(r"^(CUDA|Vulkan|ROCm|SYCL|Metal)(_Host|_Split|\d+)?\b")
_NOTEBOOK = re.compile(r"\[[\w ]*__(\w+?)(?:_(\d))?(?:_v\d)?\.ipynb\]")
_CACHE_TYPES = re.compile(r"\b(?:K|V|c\^KV) \((\w+)\)")
_LATENTS_SINCE = date(2025, 5, 1)  # llama.cpp caches MLA's latents since pull request 12801 of April 2025
_MONTH = re.compile(r"\b(20\d\d-\d\d)\b")
_VISIBLE = re.compile(r"([0-9.]+) GiB(?: visible| usable| x)|of ([0-9.]+)\b")
# wellfed takes the driver's share off a card's size; a log's figure already lacks it
_DRIVER_BYTES, _DRIVER_SHARE = 240 * MIB, 0.003


@dataclass(frozen=True, slots=True)
class Where:
    """The buffer's place. `kind`: gpu, host (pinned, beside a GPU), cpu, split (rows over GPUs) or total."""

    kind: str
    index: int = 0


def facts(row: Row) -> Mapping[str, str]:
    """The notes' key=value pairs: msize, mtype, nlay, mla, amb, ctk ..."""
    pairs = (part.partition("=") for part in row.text("notes").split("; "))
    return {key.strip(): value.strip() for key, separator, value in pairs if separator}


def named_model(row: Row) -> ResolvedModel | None:
    """The row's model and quantisation; None when the row names none. Raises UnknownName for a name nobody knows."""
    text = row.text("model")
    try:
        return _resolve(text, row.text("quant"), row.text("notes"))
    except UnknownName:
        if _THREAD.match(text) or text.lower() in {"", "models", "model"} or _family_only(text):
            return None
        raise


@lru_cache(maxsize=2048)
def _resolve(text: str, quant: str, notes: str) -> ResolvedModel:
    return resolve(text, None, quant or None, notes)


def _family_only(text: str) -> bool:
    """A family without a size: "LLaMA v2"."""
    return bool(re.fullmatch(r"(llama|mistral|qwen|gemma)[ -]?(v?\d(\.\d)?)?", text.strip(), re.IGNORECASE))


def model_of_cache(row: Row, bytes_per_token: float) -> ResolvedModel | None:
    """The only model shape of the row's family whose cache takes so many bytes per token, in 16 bits."""
    family = "llama" if "llama" in row.text("model").lower() else ""
    shapes = {}
    for identity, cache_bytes_per_token in _cache_bytes_per_token().items():
        if identity.startswith(family) and abs(cache_bytes_per_token / bytes_per_token - 1) < 0.005:
            model = by_id(identity)
            shapes[tuple(layer.attention for layer in model.layers)] = model
    return ResolvedModel(next(iter(shapes.values()))) if len(shapes) == 1 else None


@cache
def _cache_bytes_per_token() -> dict[str, float]:
    """Bytes of KV cache a token of every model of the catalogue, in 16 bits, at a context of 512."""
    return {identity: 2 * by_id(identity).cache_elements(512) / 512 for identity in model_ids()}


def engine_of(row: Row) -> Engine | None:
    """The engine that wrote the log; threads of ik_llama.cpp also hold logs of llama.cpp, which print no size."""
    name, cell_facts = row.text("engine").lower(), facts(row)
    if name == "ik_llama.cpp":
        mainline = "mtype" in cell_facts and "msize" not in cell_facts
        return Engine.LLAMA_CPP if mainline or "CPU_Mapped" in row.text("gpu") else Engine.IK_LLAMA_CPP
    return next((engine for engine in Engine if engine.value == name), None)


def where(row: Row) -> Where | None:
    """Where the row's buffer is; None for places that are no device (AMX copies, unnamed)."""
    text = row.text("gpu")
    if text.startswith("all devices total"):
        return Where("total")
    if re.match(r"CPU(_Mapped)?\b", text):
        return Where("cpu")
    match = _DEVICE.match(text)
    if match is None:
        return None
    if match[2] in {"_Host", "_Split"}:
        return Where("host" if match[2] == "_Host" else "split")
    return Where("gpu", int(match[2] or 0))


def gpus_of(row: Row) -> tuple[GpuSpec, ...]:
    """The GPUs that the row names, each as often as it is there; empty when it names none that is known."""
    text = row.text("gpu")
    notebook = _NOTEBOOK.search(text)
    if notebook:
        return _named(notebook[1].replace("_", " ")) * int(notebook[2] or 1)
    if "[" not in text and (_DEVICE.match(text) or text.startswith(("CPU", "all devices", "AMX"))):
        return ()
    bare = re.sub(r"\(.*?\)|\?|\b(mem-fraction|util)\s*[0-9.]+", " ", text) if "[" not in text else text
    stated = re.search(r"\[(\d+) dev:", text)
    try:
        specs = tuple(spec for count, spec in gpu_list(bare) for _ in range(count))
    except UnknownName:
        return ()
    return specs[: int(stated[1])] if stated else specs


def _named(name: str) -> tuple[GpuSpec, ...]:
    for candidate in (name, f"RTX {name}", f"Apple {name}"):
        try:
            return (gpu_spec(candidate),)
        except UnknownName:
            continue
    return ()


def layers_on_gpu(row: Row) -> tuple[int, int] | None:
    """ "nlay=62/62" as (offloaded, all), the head counted as a layer."""
    match = re.match(r"(\d+)/(\d+)", facts(row).get("nlay", ""))
    return (int(match[1]), int(match[2])) if match else None


def file_bytes(row: Row) -> float | None:
    """The model file's size, where the log prints it."""
    text = facts(row).get("msize", "")
    return parse_bytes(text) if text else None


def cache_type(row: Row) -> str | None:
    """The cache's types as the log states them, "q8_0/f16" where keys and values differ; None when it does not."""
    stated = [name.lower() for name in _CACHE_TYPES.findall(row.text("notes"))]
    if stated:
        return stated[0] if len(set(stated)) == 1 else "/".join(stated[:2])
    return facts(row).get("ctk")


def latent(row: Row, engine: Engine) -> bool | None:
    """Whether an MLA model's cache held latents; None when the row does not tell."""
    notes, mode = row.text("notes"), facts(row).get("mla")
    if mode is not None:
        return mode != "0"
    if "c^KV" in notes:
        return True
    if re.search(r"\bK \(\w+\):.*\bV \(", notes):
        return False
    day = built(row)
    return day is not None and day >= _LATENTS_SINCE if engine is Engine.LLAMA_CPP else None


def built(row: Row) -> date | None:
    """The first day of the log's month; None when unknown."""
    match = _MONTH.search(row.text("source"))
    return date.fromisoformat(f"{match[1]}-01") if match else None


def batch(row: Row) -> tuple[int | None, int | None]:
    """Tokens of a micro-batch and of a batch, from the column "ubatch/batch"; None where it is silent."""
    parts = [int(part) if part.strip().isdecimal() else None for part in row.text("ubatch/batch").split("/")]
    return (parts[0], parts[1]) if len(parts) == 2 else (None, None)


def machine(row: Row, at_least: int = 0) -> Machine:
    """A machine with the row's GPUs, as large as the row says programs see them; unknown cards have no size."""
    visible = _VISIBLE.search(f"{row.text('gpu')} {row.text('notes')}")
    size = float(visible[1] or visible[2]) * GIB if visible else None
    nominal = None if size is None else round((size + _DRIVER_BYTES) / (1 - _DRIVER_SHARE))
    cards = [Gpu(index, spec, spec.name, memory_bytes=nominal) for index, spec in enumerate(gpus_of(row))]
    cards += [Gpu(index) for index in range(len(cards), at_least)]
    return Machine("row", Origin.PARTS, gpus=tuple(cards))


def machine_with(base: Machine, count: int) -> Machine:
    """`base` with its first GPU repeated up to `count`."""
    if not base.gpus or len(base.gpus) >= count:
        return base
    extra = tuple(replace(base.gpus[0], index=index) for index in range(len(base.gpus), count))
    return replace(base, gpus=(*base.gpus, *extra))
