"""NVIDIA GPUs from the raw answers of NVML (`nvml_query`) to a Machine's part."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from wellfed.hardware.machine import Gpu, GpuLink, Machine, Origin, OsSettings
from wellfed.hardware.pcie import PciDevice, PcieLink
from wellfed.message import sentence
from wellfed.topology.pci import normal_address

# One link, one direction, by nvmlNvlinkVersion_t (1.0, 2.0, 2.2, 3.0, 3.1, 4.0, 5.0); NVIDIA data sheets
_NVLINK_BYTES_PER_S = {1: 20e9, 2: 25e9, 3: 25e9, 4: 25e9, 5: 25e9, 6: 25e9, 7: 50e9}
_REASONS = {  # nvmlClocksEventReasons
    0x1: "gpu_idle", 0x2: "applications_clocks_setting", 0x4: "sw_power_cap", 0x8: "hw_slowdown",
    0x10: "sync_boost", 0x20: "sw_thermal_slowdown", 0x40: "hw_thermal_slowdown",
    0x80: "hw_power_brake_slowdown", 0x100: "display_clock_setting",
}  # fmt: skip
_FABRIC = {
    1: sentence("gpu-nvml.started", "not started"),
    2: sentence("gpu-nvml.progress", "in progress"),
    3: "completed",
}
_VIRTUAL = {0: "none", 1: "pass-through", 2: "vgpu", 3: "host vgpu", 4: "host vsga"}
_NOT_SUPPORTED = re.compile(r"\bnot supported\b|^N/A$", re.IGNORECASE)  # nvmlErrorString(NVML_ERROR_NOT_SUPPORTED)
_PATHS = {0: "PIX", 10: "PIX", 20: "PXB", 30: "PHB", 40: "NODE", 50: "SYS"}  # nvmlGpuTopologyLevel


def read_nvml(text: str | None) -> Machine | None:
    """The part of a Machine that the driver's answers tell; None without answers, `unknown` says why."""
    if text is None:
        return None
    try:
        answer = json.loads(text)
    except ValueError:
        return None
    if not isinstance(answer, dict):
        return None
    if "error" in answer:
        return Machine("", Origin.LIVE, unknown={"nvml": str(answer["error"])})
    entries = [_dict(entry) for entry in _list(answer.get("gpus"))]
    gpus = tuple(_gpu(index, entry, answer) for index, entry in enumerate(entries))
    unknown = {
        f"gpu{index}.{key}": str(why)
        for index, entry in enumerate(entries)
        for key, why in _dict(entry.get("errors")).items()
    }
    driver = _text(answer.get("driver"))
    none = frozenset(key for key, why in unknown.items() if _NOT_SUPPORTED.search(why))
    return Machine(
        "",
        Origin.LIVE,
        gpus=gpus,
        pci=tuple(device for entry in entries if (device := _pci(_dict(entry.get("values")))) is not None),
        gpu_links=_links(entries, gpus),
        os=OsSettings(nvidia_driver=driver),
        unknown=unknown,
        unsupported=none,
    )


def _gpu(index: int, entry: Mapping[str, Any], answer: Mapping[str, Any]) -> Gpu:
    v = _dict(entry.get("values"))
    memory, ecc, remapped = _dict(v.get("memory")), v.get("ecc"), v.get("remapped")
    links = [_dict(link) for link in _list(v.get("nvlinks"))]
    return Gpu(
        index=index,
        name=_text(v.get("name")),
        memory_bytes=_int(memory.get("total")),
        memory_free_bytes=_int(memory.get("free")),
        pci_address=_bus(v),
        numa_node=_first_bit(v.get("memory_affinity")),
        power_limit_w=_scaled(v.get("power_limit"), 1e-3),
        performance_state=_int(v.get("pstate")) if v.get("pstate") != 32 else None,  # 32 = unknown
        clock_hz=_scaled(v.get("clock"), 1e6),
        throttle_reasons=_reasons(_int(v.get("reasons"))),
        ecc_enabled=_pair(ecc, 0),
        ecc_uncorrected=_int(v.get("ecc_uncorrected")),
        remapped_rows_pending=_pair(remapped, 2),
        persistence=_bool(v.get("persistence")),
        foreign_processes=_processes(v.get("processes")),
        vendor="nvidia",
        cpu_affinity=_affinity(v.get("cpu_affinity")),
        replays=_int(v.get("replays")),
        clock_max_hz=_scaled(v.get("clock_max"), 1e6),
        power_draw_w=_scaled(v.get("power"), 1e-3),
        temperature_c=_scaled(v.get("temperature"), 1),
        bar1_bytes=_int(_dict(v.get("bar1")).get("bar1Total")),
        driver=_text(answer.get("driver")),
        mig=_pair(v.get("mig"), 0),
        virtualisation=_named(_VIRTUAL, v.get("virtualisation")),
        ecc_pending=_pair(ecc, 1),
        ecc_corrected=_int(v.get("ecc_corrected")),
        remapping_failed=_pair(remapped, 3),
        retired_pages_pending=_bool(v.get("retired_pending")),
        fabric_state=_named(_FABRIC, v.get("fabric")),
        nvlinks_active=sum(bool(link.get("active")) for link in links) if links else None,
        nvlinks_total=len(links) if links else None,
        memory_clock_hz=_scaled(v.get("memory_clock"), 1e6),
        memory_clock_max_hz=_scaled(v.get("memory_clock_max"), 1e6),
        power_limit_default_w=_scaled(v.get("power_default"), 1e-3),
        nvlink_bytes_per_s=sum(_rate(link) for link in links if link.get("active")) if links else None,
    )


def _pci(v: Mapping[str, Any]) -> PciDevice | None:
    """What NVML says about the GPU's own link; the widest and newest the GPU itself can do is its maximum."""
    address = _bus(v)
    if address is None:
        return None
    ids = _int(_dict(v.get("pci")).get("device")) or None
    newest = v.get("generation_device") or v.get("generation_max")
    return PciDevice(
        address,
        vendor_id=ids & 0xFFFF if ids else None,
        device_id=ids >> 16 if ids else None,
        class_code=0x030200,
        link_current=_link(v.get("generation"), v.get("width")),
        link_max=_link(newest, v.get("width_max")),
    )


def _link(generation: Any, width: Any) -> PcieLink | None:
    if isinstance(generation, int) and isinstance(width, int) and 1 <= generation <= 6 and width > 0:
        return PcieLink(generation, width)
    return None


def _links(entries: list[dict[str, Any]], gpus: tuple[Gpu, ...]) -> tuple[GpuLink, ...]:
    """NVLink pairs: direct ones by their remote address, else all pairs through the switch."""
    places = {gpu.pci_address: gpu.index for gpu in gpus if gpu.pci_address}
    direct: dict[tuple[int, int], float] = {}
    switched: dict[int, float] = {}
    for index, entry in enumerate(entries):
        for link in (_dict(answer) for answer in _list(_dict(entry.get("values")).get("nvlinks"))):
            if not link.get("active"):
                continue
            rate = _rate(link)
            remote = places.get(normal_address(str(_dict(link.get("remote")).get("bus", ""))))
            if remote is None:
                switched[index] = switched.get(index, 0) + rate
            elif index < remote:
                direct[index, remote] = direct.get((index, remote), 0) + rate
    pairs = [GpuLink(a, b, "nvlink", rate) for (a, b), rate in sorted(direct.items())]
    on_switch = sorted(switched)
    pairs += [
        GpuLink(a, b, "nvswitch", min(switched[a], switched[b]))
        for i, a in enumerate(on_switch)
        for b in on_switch[i + 1 :]
    ]
    return tuple(pairs)


def _rate(link: Mapping[str, Any]) -> float:
    """Versions not known yet count as the most common rate."""
    return _NVLINK_BYTES_PER_S.get(_int(link.get("version")) or 0, 25e9)


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _named(names: Mapping[int, str], value: Any) -> str | None:
    """The name of an NVML constant; None for one that has none here, or for anything but a number."""
    number = _int(value)
    return None if number is None else names.get(number)


def _int(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _bool(value: Any) -> bool | None:
    return bool(value) if isinstance(value, int) else None


def _scaled(value: Any, factor: float) -> float | None:
    return value * factor if isinstance(value, int | float) and not isinstance(value, bool) else None


def _pair(value: Any, index: int) -> bool | None:
    return bool(value[index]) if isinstance(value, list) and len(value) > index else None


def _processes(value: Any) -> int | None:
    return len(value) if isinstance(value, list) else _int(value)


def _bus(v: Mapping[str, Any]) -> str | None:
    bus = _dict(v.get("pci")).get("bus")
    return normal_address(bus) if isinstance(bus, str) and re.search(r":", bus) else None


def _reasons(mask: int | None) -> tuple[str, ...]:
    return tuple(name for bit, name in _REASONS.items() if mask and mask & bit)


def _words(value: Any) -> int | None:
    if not isinstance(value, list) or not all(isinstance(word, int) for word in value):
        return None
    return sum((int(word) & (2**64 - 1)) << (64 * index) for index, word in enumerate(value))


def _first_bit(value: Any) -> int | None:
    mask = _words(value) or 0
    return (mask & -mask).bit_length() - 1 if mask else None


def _affinity(value: Any) -> tuple[int, ...]:
    mask = _words(value) or 0
    return tuple(index for index in range(mask.bit_length()) if mask >> index & 1)
