"""Catalogue rows as parts in base units."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from wellfed.catalog.tables import Row
from wellfed.hardware.parts import CpuSpec, GpuSpec, PeakRates
from wellfed.provenance import Source
from wellfed.units import GB, GIB, MIB, TFLOP

_RATES = ("fp32", "fp16", "bf16", "fp8", "fp4", "int8", "int4")


def part_id(row: Row) -> str:
    """The part's identifier: its name in lower case with hyphens, without the words everybody leaves out."""
    dropped = {"nvidia", "amd", "intel", "geforce", "radeon", "instinct", "tesla", "edition"}
    tokens = re.findall(r"[a-z0-9.]+", row.name.lower())
    shortened = [token for token in tokens if token not in dropped]
    if not any(character.isdecimal() for token in shortened for character in token):
        shortened = tokens
    return "-".join(shortened)


def gpu_spec(row: Row) -> GpuSpec:
    """The GPU of a row, in base units."""
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
        link_kind=v.get("link_kind"),
        link_switched=v.get("link_switched", False),
        link_peers=v.get("link_peers", 0),
        serving_build=v.get("vllm"),
        compute_units=v["compute_units"],
        boost_clock_hz=v["boost_clock_mhz"] * 1e6,
        l2_bytes=_scaled(v.get("l2_mib"), MIB),
        board_power_w=v.get("board_power_w"),
        ecc_by_default=v.get("ecc_default", False),
        compute_capability=v.get("compute_capability"),
        year=v.get("year"),
        unified_memory=v.get("unified_memory", False),
        memory_of_host=v.get("memory_of_host", False),
        network_bytes_per_s=v["network_gbit_s"] * GB / 8 if v.get("network_gbit_s") else None,
        cpu_id=v.get("cpu"),
        aliases=tuple(v.get("aliases", ())),
        sources=_sources(v),
    )


def _gpu_memory_bytes(v: Mapping[str, Any]) -> int:
    """What the driver reports where known; else the nominal size, binary unless given in decimal gigabytes."""
    if "reported_mib" in v:
        return int(v["reported_mib"]) * MIB
    return int(v["memory_gb"] * GB if "memory_gb" in v else v["memory_gib"] * GIB)


def _peak(v: Mapping[str, Any]) -> PeakRates:
    """Published dense rates, else units x boost clock x operations per unit and clock."""
    clocked = v["compute_units"] * v["boost_clock_mhz"] * 1e6
    per_clock = v.get("ops_per_unit_and_clock", {})
    rates = {
        rate: v[f"{rate}_tflops"] * TFLOP if f"{rate}_tflops" in v else per_clock[rate] * clocked
        for rate in _RATES
        if f"{rate}_tflops" in v or rate in per_clock
    }
    return PeakRates(**rates)


def cpu_spec(row: Row) -> CpuSpec:
    """The CPU of a row, in base units."""
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
        pcie_lanes_of_two=v.get("pcie_lanes_of_two"),
        sockets_max=v.get("sockets_max", 1),
        base_clock_hz=_scaled(v.get("base_ghz"), 1e9),
        boost_clock_hz=_scaled(v.get("boost_ghz"), 1e9),
        performance_cores=v.get("performance_cores"),
        isa=frozenset(v.get("isa", ())),
        l3_bytes=_scaled(v.get("l3_mib"), MIB),
        mesh=v.get("mesh", False),
        dies=v.get("dies"),
        memory_bus_bytes=v.get("memory_bus_bytes", 8),
        memory_validated_mt_s=v.get("validated_mt_s"),
        other_memory_mt_s=tuple((kind, tuple(map(float, speeds))) for kind, speeds in others.items()),
        soldered_memory_bytes=_scaled(v.get("soldered_memory_gb"), 10**9),
        power_w=v.get("power_w"),
        year=v.get("year"),
        single_thread_rating=_single_thread_rating(v),
        graphics_id=v.get("graphics"),
        single_thread_derived="single_thread_rating" not in v,
        aliases=tuple(v.get("aliases", ())),
        sources=(*_sources(v), *_chart_source(v)),
    )


def _single_thread_rating(v: Mapping[str, Any]) -> float | None:
    """From the chart, else what the family reaches per GHz x boost clock; None where neither is known."""
    if "single_thread_rating" in v:
        return float(v["single_thread_rating"])
    per_ghz, boost_ghz = v.get("single_thread_per_ghz"), v.get("boost_ghz")
    if isinstance(per_ghz, Mapping):
        per_ghz = per_ghz.get(v["architecture"])
    return round(per_ghz * boost_ghz, 0) if per_ghz and boost_ghz else None


def _chart_source(v: Mapping[str, Any]) -> tuple[Source, ...]:
    chart = v.get("single_thread_chart")
    return (Source("PassMark CPU Mark, single-thread chart (cpubenchmark.net)", chart),) if chart else ()


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
