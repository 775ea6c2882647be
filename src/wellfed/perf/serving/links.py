"""What joins the GPUs of a replica."""

from __future__ import annotations

from wellfed.errors import Unsupported
from wellfed.hardware.machine import Machine
from wellfed.hardware.parts import GpuSpec

_PCIE_BYTES_PER_S = {3: 13e9, 4: 26e9, 5: 55e9, 6: 105e9}  # achieved, x16, one direction
_PCIE_LATENCY, _NETWORK_LATENCY = 3.0, 4.0  # against NVLink


def link(machine: Machine, gpu: GpuSpec, ranks: int) -> tuple[float, float]:
    """Bandwidth (one direction, one GPU, bytes/s) and relative latency of what joins `ranks` GPUs."""
    per_node = max(1, len(machine.gpus))
    if ranks > per_node and ranks > gpu.link_peers:
        network = machine.network_bytes_per_s
        if network is None:
            raise Unsupported("tensor parallelism over several machines needs to know the network's bandwidth")
        return network / per_node, _NETWORK_LATENCY
    if gpu.link_bytes_per_s and ranks <= gpu.link_peers:
        return gpu.link_bytes_per_s, 1.0
    lanes = (gpu.pcie_lanes or 16) / 16
    return _PCIE_BYTES_PER_S.get(gpu.pcie_generation or 4, 26e9) * lanes, _PCIE_LATENCY
