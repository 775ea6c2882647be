"""GPUs through NVML (docs.nvidia.com/deploy/nvml-api). Every question may fail by itself; its field is None then.

Slow questions (PCIe throughput is measured over 20 ms inside the call) are asked one GPU at a time, in turn.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from wellfed.message import sentence
from wellfed.watching.sample import Gpu, GpuProcess

_REASONS = {  # nvmlClocksEventReasons
    0x1: "gpu_idle", 0x2: "applications_clocks_setting", 0x4: "sw_power_cap", 0x8: "hw_slowdown",
    0x10: "sync_boost", 0x20: "sw_thermal_slowdown", 0x40: "hw_thermal_slowdown",
    0x80: "hw_power_brake_slowdown", 0x100: "display_clock_setting",
}  # fmt: skip
_SLOW_EVERY = 4  # links and errors change seldom
_XID_EVENT = 0x8  # nvmlEventTypeXidCriticalError


class GpuSampler:
    """An open NVML. `nodes` gives the NUMA node of a PCI address, where known."""

    def __init__(self, nvml: Any, nodes: Callable[[str], int | None] = lambda _: None) -> None:
        self._nvml = nvml
        nvml.nvmlInit()
        count = self._try(nvml.nvmlDeviceGetCount) or 0
        self._handles = [self._ask("nvmlDeviceGetHandleByIndex", index) for index in range(count)]
        self._addresses = [self._address(handle) for handle in self._handles]
        self._nodes = [nodes(address) if address is not None else None for address in self._addresses]
        self._slow: dict[int, dict[str, Any]] = {}
        self._xids: dict[int, set[int]] = {}
        self._events = self._event_set()
        self._count = 0

    def __len__(self) -> int:
        return len(self._handles)

    def sample(self) -> tuple[Gpu, ...]:
        """What the driver tells of the GPUs now."""
        self._collect_xids()
        gpus = tuple(self._gpu(index, handle) for index, handle in enumerate(self._handles) if handle is not None)
        self._count += 1
        return gpus

    def close(self) -> None:
        """Let the driver go."""
        self._try(self._nvml.nvmlShutdown)

    def _gpu(self, index: int, handle: Any) -> Gpu:
        if index not in self._slow or (self._count + index) % _SLOW_EVERY == 0:
            self._slow[index] = self._seldom(handle)
        n, ask = self._nvml, self._ask
        use = ask("nvmlDeviceGetUtilizationRates", handle)
        memory = ask("nvmlDeviceGetMemoryInfo", handle)
        reasons = _number(ask("nvmlDeviceGetCurrentClocksThrottleReasons", handle))
        return Gpu(
            index=index,
            busy=_times(getattr(use, "gpu", None), 0.01),
            memory_busy=_times(getattr(use, "memory", None), 0.01),
            memory_used_bytes=_number(getattr(memory, "used", None)),
            memory_total_bytes=_number(getattr(memory, "total", None)),
            clock_hz=_times(ask("nvmlDeviceGetClockInfo", handle, getattr(n, "NVML_CLOCK_SM", 1)), 1e6),
            power_w=_times(ask("nvmlDeviceGetPowerUsage", handle), 1e-3),
            temperature_c=_times(ask("nvmlDeviceGetTemperature", handle, getattr(n, "NVML_TEMPERATURE_GPU", 0)), 1.0),
            pstate=_number(ask("nvmlDeviceGetPerformanceState", handle)),
            reasons=None if reasons is None else tuple(name for bit, name in _REASONS.items() if reasons & bit),
            processes=_processes(ask("nvmlDeviceGetComputeRunningProcesses", handle)),
            xids=tuple(sorted(self._xids.get(index, ()))) if self._events is not None else None,
            node=self._nodes[index],
            address=self._addresses[index],
            **self._slow[index],
        )

    def _seldom(self, handle: Any) -> dict[str, Any]:
        n, ask = self._nvml, self._ask
        uncorrected = getattr(n, "NVML_MEMORY_ERROR_TYPE_UNCORRECTED", 1)
        sent, received = getattr(n, "NVML_PCIE_UTIL_TX_BYTES", 0), getattr(n, "NVML_PCIE_UTIL_RX_BYTES", 1)
        return {
            "pcie_read_bytes_per_s": _times(ask("nvmlDeviceGetPcieThroughput", handle, received), 1e3),
            "pcie_write_bytes_per_s": _times(ask("nvmlDeviceGetPcieThroughput", handle, sent), 1e3),
            "clock_max_hz": _times(ask("nvmlDeviceGetMaxClockInfo", handle, getattr(n, "NVML_CLOCK_SM", 1)), 1e6),
            "power_limit_w": _times(ask("nvmlDeviceGetEnforcedPowerLimit", handle), 1e-3),
            "link_generation": _number(ask("nvmlDeviceGetCurrPcieLinkGeneration", handle)),
            "link_width": _number(ask("nvmlDeviceGetCurrPcieLinkWidth", handle)),
            "link_generation_max": _number(ask("nvmlDeviceGetMaxPcieLinkGeneration", handle)),
            "link_width_max": _number(ask("nvmlDeviceGetMaxPcieLinkWidth", handle)),
            "replays": _number(ask("nvmlDeviceGetPcieReplayCounter", handle)),
            "ecc_uncorrected": _number(ask("nvmlDeviceGetTotalEccErrors", handle, uncorrected, 0)),
        }

    def _event_set(self) -> Any:
        events = self._ask("nvmlEventSetCreate")
        if events is None:
            return None
        for handle in self._handles:
            self._ask("nvmlDeviceRegisterEvents", handle, _XID_EVENT, events)
        return events

    def _collect_xids(self) -> None:
        """Events that are there already; waiting for none."""
        for _ in range(16 if self._events is not None else 0):
            event = self._ask("nvmlEventSetWait_v2", self._events, 0)
            xid = _number(getattr(event, "eventData", None))
            if event is None or xid is None:
                return
            index = next((i for i, handle in enumerate(self._handles) if _same(handle, event.device)), 0)
            self._xids.setdefault(index, set()).add(xid)

    def _address(self, handle: Any) -> str | None:
        info = self._ask("nvmlDeviceGetPciInfo", handle) if handle is not None else None
        bus_id = getattr(info, "busId", None)
        if isinstance(bus_id, bytes):
            bus_id = bus_id.decode("ascii", "replace")
        return bus_id.lower()[-12:] if isinstance(bus_id, str) else None

    def _ask(self, name: str, *arguments: Any) -> Any:
        function = getattr(self._nvml, name, None)
        return self._try(function, *arguments) if function is not None else None

    def _try(self, function: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return function(*arguments)
        except (self._nvml.NVMLError, ValueError, TypeError, AttributeError):
            return None


def open_nvml(nodes: Callable[[str], int | None]) -> GpuSampler | str:
    """The driver's GPUs, or why there are none to be seen."""
    try:
        import pynvml
    except ImportError:
        return sentence("nvml.nvidia-ml-py", "nvidia-ml-py is not installed")
    try:
        return GpuSampler(pynvml, nodes)
    except (pynvml.NVMLError, OSError) as error:
        return f"NVML: {error}"


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _times(value: Any, factor: float) -> float | None:
    return value * factor if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0 else None


def _processes(value: Any) -> tuple[GpuProcess, ...] | None:
    if not isinstance(value, list):
        return None
    return tuple(GpuProcess(int(process.pid), _number(getattr(process, "usedGpuMemory", None))) for process in value)


def _same(handle: Any, event_device: Any) -> bool:
    return (
        bool(getattr(handle, "contents", handle) == getattr(event_device, "contents", event_device))
        or handle is event_device
    )
