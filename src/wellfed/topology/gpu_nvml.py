"""NVIDIA GPUs through NVML: one JSON text of raw answers first, a Machine's part second.

Every call may fail by itself (old card, no permission, container): its field is then absent from `values` and its
error stands under `errors`. Serial numbers and UUIDs are never asked for. Function names are NVML's own, see the
NVML API reference (docs.nvidia.com/deploy/nvml-api).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from wellfed.hardware.machine import Gpu, GpuLink, Machine, Origin, OsSettings
from wellfed.hardware.pcie import PciDevice, PcieLink
from wellfed.message import sentence
from wellfed.topology.pci import normal_address

_MAX_LINKS = 36
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


def query() -> str:
    """All answers of the driver as JSON; `{"error": why}` where there is none. Never raises."""
    try:
        import pynvml
    except ImportError as error:
        return json.dumps({"error": f"nvidia-ml-py is not installed ({error})"})
    try:
        pynvml.nvmlInit()
    except (pynvml.NVMLError, OSError) as error:
        return json.dumps({"error": f"NVML: {error}"})
    try:
        return json.dumps(_Session(pynvml).ask())
    finally:
        pynvml.nvmlShutdown()


class _Session:
    """One open NVML: asks, and files failures under `errors` instead of raising."""

    def __init__(self, nvml: Any) -> None:
        self._nvml = nvml

    def ask(self) -> dict[str, Any]:
        """Driver, GPUs, pairwise paths."""
        errors: dict[str, str] = {}
        answer: dict[str, Any] = {"driver": self._try(errors, "driver", self._nvml.nvmlSystemGetDriverVersion)}
        count = self._try(errors, "count", self._nvml.nvmlDeviceGetCount) or 0
        handles = [
            self._try(errors, f"gpu{index}", partial(self._nvml.nvmlDeviceGetHandleByIndex, index))
            for index in range(count)
        ]
        answer["gpus"] = [self._gpu(handle) if handle is not None else {} for handle in handles]
        answer["paths"] = self._paths(handles)
        answer["errors"] = errors
        return answer

    def _try(self, errors: dict[str, str], key: str, call: Callable[[], Any]) -> Any:
        try:
            value = call()
        except (self._nvml.NVMLError, AttributeError, ValueError, TypeError) as error:
            errors[key] = str(error) or type(error).__name__
            return None
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else value

    def _gpu(self, handle: Any) -> dict[str, Any]:
        errors: dict[str, str] = {}
        values: dict[str, Any] = {}
        for key, name, arguments in self._questions():
            function = getattr(self._nvml, name, None)
            if function is None:
                errors[key] = sentence("gpu-nvml.nvidia-ml-py", "{name} is not in this nvidia-ml-py", name=name)
                continue
            value = self._try(errors, key, partial(function, handle, *arguments))
            if value is not None:
                values[key] = _plain(value)
        values["nvlinks"] = self._nvlinks(handle)
        values["fabric"] = self._fabric(handle, errors)
        return {"values": values, "errors": errors}

    def _questions(self) -> tuple[tuple[str, str, tuple[Any, ...]], ...]:
        n = self._nvml
        return (
            ("name", "nvmlDeviceGetName", ()),
            ("pci", "nvmlDeviceGetPciInfo", ()),
            ("memory", "nvmlDeviceGetMemoryInfo", ()),
            ("bar1", "nvmlDeviceGetBAR1MemoryInfo", ()),
            ("pstate", "nvmlDeviceGetPerformanceState", ()),
            ("generation", "nvmlDeviceGetCurrPcieLinkGeneration", ()),
            ("generation_max", "nvmlDeviceGetMaxPcieLinkGeneration", ()),
            ("generation_device", "nvmlDeviceGetGpuMaxPcieLinkGeneration", ()),
            ("width", "nvmlDeviceGetCurrPcieLinkWidth", ()),
            ("width_max", "nvmlDeviceGetMaxPcieLinkWidth", ()),
            ("replays", "nvmlDeviceGetPcieReplayCounter", ()),
            ("clock", "nvmlDeviceGetClockInfo", (n.NVML_CLOCK_SM,)),
            ("clock_max", "nvmlDeviceGetMaxClockInfo", (n.NVML_CLOCK_SM,)),
            ("reasons", "nvmlDeviceGetCurrentClocksThrottleReasons", ()),
            ("ecc", "nvmlDeviceGetEccMode", ()),
            ("ecc_uncorrected", "nvmlDeviceGetTotalEccErrors", (n.NVML_MEMORY_ERROR_TYPE_UNCORRECTED, 0)),
            ("ecc_corrected", "nvmlDeviceGetTotalEccErrors", (n.NVML_MEMORY_ERROR_TYPE_CORRECTED, 0)),
            ("remapped", "nvmlDeviceGetRemappedRows", ()),
            ("retired_pending", "nvmlDeviceGetRetiredPagesPendingStatus", ()),
            ("persistence", "nvmlDeviceGetPersistenceMode", ()),
            ("power", "nvmlDeviceGetPowerUsage", ()),
            ("power_limit", "nvmlDeviceGetEnforcedPowerLimit", ()),
            ("power_default", "nvmlDeviceGetPowerManagementDefaultLimit", ()),
            ("memory_clock", "nvmlDeviceGetClockInfo", (n.NVML_CLOCK_MEM,)),
            ("memory_clock_max", "nvmlDeviceGetMaxClockInfo", (n.NVML_CLOCK_MEM,)),
            ("temperature", "nvmlDeviceGetTemperature", (n.NVML_TEMPERATURE_GPU,)),
            ("mig", "nvmlDeviceGetMigMode", ()),
            ("virtualisation", "nvmlDeviceGetVirtualizationMode", ()),
            ("processes", "nvmlDeviceGetComputeRunningProcesses", ()),
            ("memory_affinity", "nvmlDeviceGetMemoryAffinity", (4, n.NVML_AFFINITY_SCOPE_NODE)),
            ("cpu_affinity", "nvmlDeviceGetCpuAffinity", (64,)),
        )

    def _nvlinks(self, handle: Any) -> list[dict[str, Any]]:
        found = []
        for link in range(_MAX_LINKS):
            errors: dict[str, str] = {}
            state = self._try(errors, "state", partial(self._nvml.nvmlDeviceGetNvLinkState, handle, link))
            if state is None:
                break
            version = self._try(errors, "version", partial(self._nvml.nvmlDeviceGetNvLinkVersion, handle, link))
            remote = self._try(errors, "remote", partial(self._nvml.nvmlDeviceGetNvLinkRemotePciInfo, handle, link))
            bus = _plain(remote) if remote is not None else None
            found.append({"active": bool(state), "version": version, "remote": bus})
        return found

    def _fabric(self, handle: Any, errors: dict[str, str]) -> int | None:
        try:
            info = self._nvml.c_nvmlGpuFabricInfo_t()
            self._nvml.nvmlDeviceGetGpuFabricInfo(handle, info)
            return int(info.state)
        except (self._nvml.NVMLError, AttributeError, TypeError) as error:
            errors["fabric"] = str(error) or type(error).__name__
            return None

    def _paths(self, handles: list[Any]) -> list[list[int]]:
        found = []
        for a, first in enumerate(handles):
            for b, second in enumerate(handles[:a]):
                if first is None or second is None:
                    continue
                level = self._try({}, "path", partial(self._common, first, second))
                if level is not None:
                    found.append([b, a, int(level)])
        return found

    def _common(self, first: Any, second: Any) -> Any:
        return self._nvml.nvmlDeviceGetTopologyCommonAncestor(first, second)


def _plain(value: Any) -> Any:
    """NVML structures as JSON: numbers, strings, lists; processes as their number, so no names leak."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, bool | int | float | str):
        return value
    for key in ("busId", "total"):
        if hasattr(value, key):
            return _structure(value, key)
    if isinstance(value, list | tuple):
        items = list(value)
        return items if all(isinstance(item, int) for item in items) else len(items)
    try:
        return [int(item) for item in value]
    except TypeError:
        return str(value)


def _structure(value: Any, key: str) -> Any:
    if key == "busId":
        return {"bus": _plain(value.busId), "device": int(getattr(value, "pciDeviceId", 0))}
    names = ("total", "free", "used", "bar1Total", "bar1Free", "bar1Used")
    return {name: int(getattr(value, name)) for name in names if hasattr(value, name)}


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
        virtualisation=_VIRTUAL.get(_number(v.get("virtualisation"))),
        ecc_pending=_pair(ecc, 1),
        ecc_corrected=_int(v.get("ecc_corrected")),
        remapping_failed=_pair(remapped, 3),
        retired_pages_pending=_bool(v.get("retired_pending")),
        fabric_state=_FABRIC.get(_number(v.get("fabric"))),
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
        for link in (_dict(each) for each in _list(_dict(entry.get("values")).get("nvlinks"))):
            if not link.get("active"):
                continue
            rate = _rate(link)
            remote = places.get(normal_address(str(_dict(link.get("remote")).get("bus", ""))))
            if remote is None:
                switched[index] = switched.get(index, 0) + rate
            elif index < remote:
                direct[index, remote] = direct.get((index, remote), 0) + rate
    pairs = [GpuLink(a, b, "nvlink", rate) for (a, b), rate in sorted(direct.items())]
    known = sorted(switched)
    pairs += [
        GpuLink(a, b, "nvswitch", min(switched[a], switched[b])) for i, a in enumerate(known) for b in known[i + 1 :]
    ]
    return tuple(pairs)


def _rate(link: Mapping[str, Any]) -> float:
    """Versions not known yet count as the most common rate."""
    return _NVLINK_BYTES_PER_S.get(_number(link.get("version")), 25e9)


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _number(value: Any) -> int:
    """The integer, or -1 for anything else."""
    return value if isinstance(value, int) else -1


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
