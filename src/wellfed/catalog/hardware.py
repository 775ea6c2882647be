"""GPUs and CPUs by name: `gpu("3090 24GB")`, `cpu("2x Xeon Gold 6454S (32c each)")`.

Names are taken as people write them; see `match` for the rules. What a name leaves open is settled by the catalogue's
order (the first of several is what the bare name means) and comes back as assumptions from `resolve_gpu`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Generic, TypeVar

from wellfed.catalog import match, names
from wellfed.catalog.tables import Row, read_rows
from wellfed.errors import UnknownName
from wellfed.hardware.parts import CpuSpec, GpuSpec, PeakRates
from wellfed.provenance import Assumption, Source
from wellfed.units import GB, GIB, MIB, TFLOP

T = TypeVar("T")
_RATES = ("fp32", "fp16", "bf16", "fp8", "fp4", "int8", "int4")
_SEPARATORS = re.compile(r"\s*[;&]\s*|\s*[+,]\s*(?=[a-z0-9])", re.IGNORECASE)
_NO_GPU = re.compile(r"^\s*(?:none|no gpu|cpu)\b", re.IGNORECASE)
_DEVICES = re.compile(r"^\s*(\d+)\s*(?:dev|devices?)\s*:\s*", re.IGNORECASE)
_BRACKETED = re.compile(r"\[(.+)\]\s*$")


@dataclass(frozen=True, slots=True)
class Resolved(Generic[T]):
    """What a name means, and what had to be assumed to say so."""

    spec: T
    assumptions: tuple[Assumption, ...] = ()


def gpu(name: str) -> GpuSpec:
    """The GPU meant by `name`; a leading count is ignored. Raises UnknownName with near matches."""
    return resolve_gpu(name).spec


def cpu(name: str) -> CpuSpec:
    """The CPU meant by `name`; a leading count is ignored. Raises UnknownName with near matches."""
    return resolve_cpu(name).spec


@lru_cache(maxsize=1024)
def resolve_gpu(name: str) -> Resolved[GpuSpec]:
    """As `gpu`, with the assumptions made."""
    part, assumptions = match.find("GPU", name, _parts("gpus"))
    return Resolved(_gpu_spec(part.row), assumptions)


@lru_cache(maxsize=1024)
def resolve_cpu(name: str) -> Resolved[CpuSpec]:
    """As `cpu`, with the assumptions made. What follows a comma is ignored unless the CPU is named there."""
    bare = _without_counts(name)
    head, _, tail = bare.partition(",")
    text = f"{head} ({re.sub(r'[()]', ' ', tail)})" if tail else bare
    part, assumptions = match.find("CPU", text, _parts("cpus"))
    return Resolved(_cpu_spec(part.row), assumptions)


def gpus() -> tuple[GpuSpec, ...]:
    """Every GPU of the catalogue."""
    return tuple(_gpu_spec(part.row) for part in _parts("gpus"))


def cpus() -> tuple[CpuSpec, ...]:
    """Every CPU of the catalogue."""
    return tuple(_cpu_spec(part.row) for part in _parts("cpus"))


def gpu_list(text: str) -> tuple[tuple[int, GpuSpec], ...]:
    """The GPUs of a text with counts or several names: "5090; 2x3090" is ((1, 5090), (2, 3090)).

    "4 dev: A; B" names kinds and a total: what the kinds leave over is given to the first. "none" and "CPU only" are
    the empty tuple. Raises UnknownName.
    """
    if _NO_GPU.match(text) and "[" not in text:
        return ()
    bracketed = _BRACKETED.search(text)
    inner = bracketed[1] if bracketed and ("dev:" in bracketed[1] or "x " in bracketed[1]) else text
    devices = _DEVICES.match(inner)
    pieces = [piece for piece in _SEPARATORS.split(_DEVICES.sub("", inner)) if piece.strip()]
    if not pieces:
        raise UnknownName("GPU", text.strip())
    counted = [(names.split_count(names.normalise(piece))[0], gpu(piece)) for piece in pieces]
    missing = int(devices[1]) - sum(count for count, _ in counted) if devices else 0
    if missing > 0:
        counted[0] = (counted[0][0] + missing, counted[0][1])
    return tuple(counted)


def cpu_list(text: str) -> tuple[int, CpuSpec]:
    """How many sockets a text names, and their CPU: "2x Xeon Gold 6454S (32c each)" is (2, 6454S)."""
    count, _ = names.split_count(names.normalise(text))
    return count, cpu(text)


def _without_counts(name: str) -> str:
    """ "2x 2xAMD EPYC 9374F" without its counts."""
    count, rest = names.split_count(name)
    return _without_counts(rest) if rest != name.strip() else rest


@lru_cache(maxsize=2)
def _parts(folder: str) -> tuple[match.Part, ...]:
    return tuple(match.prepare(row, order) for order, row in enumerate(read_rows(folder)))


def part_id(row: Row) -> str:
    """The part's identifier: its name in lower case with hyphens, without the words everybody leaves out."""
    dropped = {"nvidia", "amd", "intel", "geforce", "radeon", "instinct", "tesla", "edition"}
    tokens = re.findall(r"[a-z0-9.]+", row.name.lower())
    kept = [token for token in tokens if token not in dropped]
    if not any(character.isdigit() for token in kept for character in token):
        kept = tokens
    return "-".join(kept)


@lru_cache(maxsize=1024)
def _gpu_spec_by_name(name: str) -> GpuSpec:
    part = next(part for part in _parts("gpus") if part.row.name == name)
    return _build_gpu(part.row)


def _gpu_spec(row: Row) -> GpuSpec:
    return _gpu_spec_by_name(row.name)


def _build_gpu(row: Row) -> GpuSpec:
    v = row.values
    return GpuSpec(
        id=part_id(row),
        name=row.name,
        vendor=v["vendor"],
        architecture=v["architecture"],
        form=v["form"],
        memory_bytes=_gpu_memory_bytes(v),
        memory_bandwidth_bytes_per_s=v["memory_bandwidth_gb_s"] * GB,
        memory_type=v["memory_type"],
        peak=_peak(v),
        pcie_generation=v.get("pcie_generation"),
        pcie_lanes=v.get("pcie_lanes"),
        link_bytes_per_s=v["link_gb_s"] * GB if v.get("link_gb_s") else None,
        link_peers=v.get("link_peers", 0),
        compute_units=v["compute_units"],
        boost_clock_hz=v["boost_clock_mhz"] * 1e6,
        l2_bytes=_scaled(v.get("l2_mib"), MIB),
        board_power_w=v.get("board_power_w"),
        compute_capability=v.get("compute_capability"),
        year=v.get("year"),
        unified_memory=v.get("unified_memory", False),
        cpu_id=v.get("cpu"),
        aliases=tuple(v.get("aliases", ())),
        sources=_sources(v),
    )


def _gpu_memory_bytes(v: Mapping[str, Any]) -> int:
    """What the driver reports where known; else the nominal size, binary unless given in decimal gigabytes."""
    if "reported_mib" in v:
        return int(v["reported_mib"]) * MIB
    return round(v["memory_gb"] * GB) if "memory_gb" in v else round(v["memory_gib"] * GIB)


def _peak(v: Mapping[str, Any]) -> PeakRates:
    """Published dense rates, else units x boost clock x operations per unit and clock."""
    clocked = v["compute_units"] * v["boost_clock_mhz"] * 1e6
    per_clock = v.get("ops_per_unit_and_clock", {})
    rates = {
        rate: v[f"{rate}_tflops"] * TFLOP if f"{rate}_tflops" in v else per_clock[rate] * clocked
        for rate in _RATES
        if f"{rate}_tflops" in v or rate in per_clock
    }
    if "bf16" not in rates and "fp16" not in rates and "fp16_tflops" in v:
        rates["fp16"] = v["fp16_tflops"] * TFLOP
    return PeakRates(**rates)


def _cpu_spec(row: Row) -> CpuSpec:
    return _cpu_spec_by_name(row.name)


@lru_cache(maxsize=1024)
def _cpu_spec_by_name(name: str) -> CpuSpec:
    part = next(part for part in _parts("cpus") if part.row.name == name)
    return _build_cpu(part.row)


def _build_cpu(row: Row) -> CpuSpec:
    v = row.values
    others = v.get("other_memory_mt_s", {})
    return CpuSpec(
        id=part_id(row),
        name=row.name,
        vendor=v["vendor"],
        architecture=v["architecture"],
        cores=v["cores"],
        threads=_threads(v),
        memory_channels=v["memory_channels"],
        memory_type=v["memory_type"],
        memory_mt_s=tuple(float(speed) for speed in v["memory_mt_s"]),
        pcie_generation=v.get("pcie_generation"),
        pcie_lanes=v.get("pcie_lanes"),
        sockets_max=v.get("sockets_max", 1),
        base_clock_hz=_scaled(v.get("base_ghz"), 1e9),
        boost_clock_hz=_scaled(v.get("boost_ghz"), 1e9),
        performance_cores=v.get("performance_cores"),
        isa=frozenset(v.get("isa", ())),
        l3_bytes=_scaled(v.get("l3_mib"), MIB),
        dies=v.get("dies"),
        memory_bus_bytes=v.get("memory_bus_bytes", 8),
        memory_validated_mt_s=v.get("validated_mt_s"),
        other_memory_mt_s=tuple((kind, tuple(map(float, speeds))) for kind, speeds in others.items()),
        power_w=v.get("power_w"),
        year=v.get("year"),
        aliases=tuple(v.get("aliases", ())),
        sources=_sources(v),
    )


def _threads(v: Mapping[str, Any]) -> int:
    """Given, or cores x threads per core; hybrid parts run two threads on performance cores only."""
    per_core = v.get("threads_per_core", 2)
    if "threads" in v:
        return int(v["threads"])
    fast = v.get("performance_cores", v["cores"])
    return int(v["cores"] + fast * (per_core - 1))


def _scaled(value: float | None, factor: float) -> Any:
    """value x factor, an int where the factor is one; None stays None."""
    if value is None:
        return None
    return round(value * factor) if isinstance(factor, int) else value * factor


def _sources(v: Mapping[str, Any]) -> tuple[Source, ...]:
    note = f" ({v['note']})" if "note" in v else ""
    return (Source(v["source"] + note, v["date"]),)
