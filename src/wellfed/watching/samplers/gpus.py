"""GPUs of all vendors that can be read here, NVIDIA's first."""

from __future__ import annotations

from wellfed.watching.sample import Gpu
from wellfed.watching.samplers.amdgpu import AmdSampler
from wellfed.watching.samplers.files import number, text
from wellfed.watching.samplers.nvml import open_nvml


class GpuSamplers:
    """NVML and amdgpu. `none` says why there are no GPUs to be seen, if so."""

    def __init__(self) -> None:
        opened = open_nvml(_pci_node)
        self._nvml = None if isinstance(opened, str) else opened
        amd = AmdSampler(first=0 if self._nvml is None else len(self._nvml))
        self._amd = amd if len(amd) else None
        self.none = opened if isinstance(opened, str) and self._amd is None else ""

    def sample(self) -> tuple[Gpu, ...] | None:
        """Now; None where no driver tells of GPUs."""
        if self._nvml is None and self._amd is None:
            return None
        return (*(self._nvml.sample() if self._nvml else ()), *(self._amd.sample() if self._amd else ()))

    def close(self) -> None:
        """Let the driver go."""
        if self._nvml is not None:
            self._nvml.close()


def _pci_node(address: str) -> int | None:
    node = number((text(f"/sys/bus/pci/devices/{address}/numa_node") or "").strip() or None)
    return node if node is not None and node >= 0 else None
