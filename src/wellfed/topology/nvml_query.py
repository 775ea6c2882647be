"""NVML asked once: one JSON text of raw answers, which `gpu_nvml` reads and a snapshot keeps.

Every call may fail by itself (old card, no permission, container): its field is then absent from `values` and its
error stands under `errors`. Serial numbers and UUIDs are never asked for. Function names are NVML's own, see the
NVML API reference (docs.nvidia.com/deploy/nvml-api).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

from wellfed.message import sentence

_MAX_LINKS = 36  # NVLinks asked for: nvml.h has NVML_NVLINK_MAX_LINKS 18; twice that, for cards to come


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
        links = []
        for link in range(_MAX_LINKS):
            errors: dict[str, str] = {}
            state = self._try(errors, "state", partial(self._nvml.nvmlDeviceGetNvLinkState, handle, link))
            if state is None:
                break
            version = self._try(errors, "version", partial(self._nvml.nvmlDeviceGetNvLinkVersion, handle, link))
            remote = self._try(errors, "remote", partial(self._nvml.nvmlDeviceGetNvLinkRemotePciInfo, handle, link))
            bus = _plain(remote) if remote is not None else None
            links.append({"active": bool(state), "version": version, "remote": bus})
        return links

    def _fabric(self, handle: Any, errors: dict[str, str]) -> int | None:
        try:
            info = self._nvml.c_nvmlGpuFabricInfo_t()
            self._nvml.nvmlDeviceGetGpuFabricInfo(handle, info)
            return int(info.state)
        except (self._nvml.NVMLError, AttributeError, TypeError) as error:
            errors["fabric"] = str(error) or type(error).__name__
            return None

    def _paths(self, handles: list[Any]) -> list[list[int]]:
        levels = []
        for a, first in enumerate(handles):
            for b, second in enumerate(handles[:a]):
                if first is None or second is None:
                    continue
                level = self._try({}, "path", partial(self._common, first, second))
                if level is not None:
                    levels.append([b, a, int(level)])
        return levels

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
