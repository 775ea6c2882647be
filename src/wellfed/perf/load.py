"""From the command to the first answer: weights read and copied, the engine's own start, compilation, graph capture.

Fitted on 46 published starts (43 of them with their total) of vLLM 0.11 to 0.13 on ten kinds of card, and on the few of
other engines that are known (`tests/perf_host/test_load.py` holds them against this). Left out: downloads, which no
machine line tells of, and the host's single thread, which the starts do not name: the interval holds it.
"""

from __future__ import annotations

from collections.abc import Iterable

from wellfed.hardware.machine import Gpu, Machine
from wellfed.hardware.pcie import PcieLink
from wellfed.models.ffn import MoeFfn
from wellfed.models.model import Model
from wellfed.nouns.estimate import Memory, MemoryTerm, Quantity, Source, Start, Term, total_seconds
from wellfed.nouns.layout import Engine, Layout

# Achieved of the link's rate after line coding: 26 of 31.5 GB/s on Gen4 x16, 55 of 63 on Gen5 (pinned copies).
_ACHIEVED = 0.85
LOCAL = frozenset({Engine.LLAMA_CPP, Engine.IK_LLAMA_CPP, Engine.EXLLAMAV3, Engine.MLX})

# What one process takes out of files that are in memory. Local engines: 19.7 GB in 7.5 s. Serving engines: fitted.
_LOCAL_BYTES_PER_S = 3.5e9
_SERVED_BYTES_PER_S = 7.0e9
_RANKS_EXPONENT = 0.35  # 8 ranks together: 163 shards of 4.2 GB at about 3 a second, 456 GB in 36 s
_REPACKED_BYTES_PER_S = 1.8e9  # one thread: 6.8 GB in 5.0 s, 19 GB in 11.9 s, 271 GB in 150 s
_SECONDS_PER_EXPERT_TENSOR = 1.0e-4  # for each expert's tensor that a serving engine places: from the same starts
_LOCAL_START_S, _LOCAL_SIGMA = 1.0, 0.35
_SERVED_START_S = 25.0  # processes, imports, profiling of the memory
_COMPILE_S_PER_LAYER = 0.3  # from nothing; from the engine's own cache about a third of it
_CAPTURE_S = 4.0
_RANK_S = 9.0  # more for every further rank: they start, and capture, together
_SERVED_SIGMA = 0.35
_OTHER_SIGMA = 0.6  # engines with hardly a row

# Sequential reads, assumed: 7200 rpm at its outer tracks; SATA at 6 Gb/s; USB at 5 Gb/s; NVMe: 85 % of Gen4 x4; a
# network file system at 10 Gb/s.
SOURCE_BYTES_PER_S = {
    Source.NVME: 6.7e9, Source.SSD: 0.55e9, Source.HDD: 0.2e9, Source.USB: 0.45e9, Source.NETWORK: 1.1e9,
}  # fmt: skip


def starts(machine: Machine, model: Model, layout: Layout, memory: Memory) -> tuple[Start, ...]:
    """The start from each source that counts here: the page cache first, then the disk that models lie on (NVMe where
    none is told), then the network.
    """
    disk = next((disk for disk in machine.disks if disk.holds_models), None)
    kinds = {source.value: source for source in Source}
    local = kinds.get(disk.kind or "", Source.NVME) if disk else Source.NVME
    sources = dict.fromkeys((Source.PAGE_CACHE, local, Source.NETWORK))
    rows = (start(machine, model, layout, memory, source) for source in sources)
    return tuple(row for row in rows if row is not None)


def start(machine: Machine, model: Model, layout: Layout, memory: Memory, source: Source) -> Start | None:
    """Seconds until the engine answers, with its parts; None without weights in the ledger, or with a link unknown."""
    weight_bytes = _held_bytes(memory)
    copied = _copy_seconds(machine, memory)
    if not weight_bytes or copied is None:
        return None
    terms = [
        Term(
            "read",
            weight_bytes / machines_used(machine, layout) / _read_bytes_per_s(layout, source, machine),
            source.value,
        ),
        Term("copy", copied, "link"),
    ]
    if layout.engine in LOCAL:
        terms += _local_terms(memory)
        sigma = _LOCAL_SIGMA
    else:
        terms += _served_terms(model, layout)
        sigma = _SERVED_SIGMA if layout.engine is Engine.VLLM else _OTHER_SIGMA
    terms = [term for term in terms if term.seconds > 0]
    return Start(source, tuple(terms), Quantity.lognormal(total_seconds(terms), sigma))


def machines_used(machine: Machine, layout: Layout) -> int:
    """Machines that a layout spreads over; each reads its own share."""
    per_machine = len(machine.gpus) or 1
    return max(1, min(machine.count, -(-layout.gpus // per_machine)))


def _read_bytes_per_s(layout: Layout, source: Source, machine: Machine) -> float:
    """The slower of the file's place and the engine's reader."""
    ranks = max(1, min(layout.gpus, len(machine.gpus) or 1))
    local = layout.engine in LOCAL
    reader = _LOCAL_BYTES_PER_S if local else _SERVED_BYTES_PER_S * ranks**_RANKS_EXPONENT
    return min(reader, SOURCE_BYTES_PER_S.get(source, reader))


def _local_terms(memory: Memory) -> Iterable[Term]:
    repacked = sum(term.cached_bytes for device in memory.devices for term in device.terms if term.name == "page cache")
    yield Term("repack", repacked / _REPACKED_BYTES_PER_S, "one thread")
    yield Term("engine start", _LOCAL_START_S, "cpu")


def _served_terms(model: Model, layout: Layout) -> Iterable[Term]:
    yield Term("tensors", _expert_tensors(model, layout) * _SECONDS_PER_EXPERT_TENSOR, "cpu")
    yield Term("engine start", _SERVED_START_S + _RANK_S * max(0, min(layout.gpus, 8) - 1), "cpu")
    if not layout.cuda_graphs:
        return
    if layout.engine is Engine.VLLM:
        yield Term("compile", _COMPILE_S_PER_LAYER * len(model.layers), "cpu")
    yield Term("graph capture", _CAPTURE_S, "cpu")


def _expert_tensors(model: Model, layout: Layout) -> int:
    """Tensors of single experts in a checkpoint: each costs its handling. Quantised ones carry scales beside them;
    MXFP4 checkpoints keep all experts of a layer in one.
    """
    kind = layout.quantisation.lower()
    if "mxfp4" in kind:
        return 0
    per_matrix = 1 if kind in {"bf16", "fp16", "f16"} else 2 if "fp8" in kind else 4
    return sum(3 * per_matrix * layer.ffn.experts for layer in model.layers if isinstance(layer.ffn, MoeFfn))


def _held_bytes(memory: Memory) -> float:
    return sum(_weight_bytes(device.terms) for device in memory.devices)


def _weight_bytes(terms: Iterable[MemoryTerm]) -> float:
    return sum(term.bytes for term in terms if term.name == "weights")


def _copy_seconds(machine: Machine, memory: Memory) -> float | None:
    """The slowest GPU's weights over its own link; None where a link is unknown."""
    slowest = 0.0
    by_name = {device.device: device for device in memory.devices}
    for position, gpu in enumerate(machine.gpus):
        device = by_name.get(f"gpu{position}")
        size = _weight_bytes(device.terms) if device else 0.0
        if not size:
            continue
        link = gpu.link or _slot_of(gpu)
        if link is None:
            return None
        slowest = max(slowest, size / (link.bytes_per_s * _ACHIEVED))
    return slowest


def _slot_of(gpu: Gpu) -> PcieLink | None:
    """The PCIe link that the card's data sheet names; None where it names none."""
    if gpu.spec is None or not gpu.spec.pcie_generation or not gpu.spec.pcie_lanes:
        return None
    return PcieLink(min(gpu.spec.pcie_generation, 6), gpu.spec.pcie_lanes)
