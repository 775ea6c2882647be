"""What joins the GPUs of a replica."""

from __future__ import annotations

from wellfed.errors import Unsupported
from wellfed.hardware.machine import Machine
from wellfed.hardware.parts import GpuSpec
from wellfed.hardware.pcie import PcieLink
from wellfed.message import sentence

_PCIE_BYTES_PER_S = {3: 13e9, 4: 26e9, 5: 55e9, 6: 105e9}  # achieved, x16, one direction
_PCIE_LATENCY, _NETWORK_LATENCY = 3.0, 4.0  # against NVLink


def link(machine: Machine, gpu: GpuSpec, ranks: int) -> tuple[float, float]:
    """Bandwidth (one direction, one GPU, bytes/s) and relative latency of what joins `ranks` GPUs."""
    per_node = max(1, len(machine.gpus))
    if ranks > per_node and ranks > gpu.link_peers:
        network = machine.network_bytes_per_s
        if network is None:
            raise Unsupported(
                sentence(
                    "perf.links.tensor-parallelism",
                    "tensor parallelism over several machines needs to know the network's bandwidth",
                )
            )
        return network / per_node, _NETWORK_LATENCY
    direct = _direct(machine, gpu, ranks)
    if direct is not None:
        return direct, 1.0
    return _over_pcie(machine, gpu, ranks), _PCIE_LATENCY


def _direct(machine: Machine, gpu: GpuSpec, ranks: int) -> float | None:
    """NVLink's or Infinity Fabric's rate among the first `ranks` GPUs; None where they talk over PCIe.

    Baseboards have it by their form. Cards have it where the machine shows bridges. One link that is down among those
    used sends everything over PCIe.
    """
    if gpu.link_bytes_per_s is None or ranks > gpu.link_peers:
        return None
    used = [link for link in machine.gpu_links if link.kind != "p2p" and max(link.a, link.b) < ranks]
    if any(not link.active for link in used) or (not used and gpu.form == "pcie" and ranks > 1):
        return None
    return gpu.link_bytes_per_s


def _over_pcie(machine: Machine, gpu: GpuSpec, ranks: int) -> float:
    """The narrowest link of the GPUs used; the data sheet's where a link is unknown."""
    own = PcieLink(min(gpu.pcie_generation or 4, 6), gpu.pcie_lanes or 16)
    links = [each.link or own for each in machine.gpus[:ranks]] or [own]
    return min(_PCIE_BYTES_PER_S.get(link.generation, 13e9 / 2) * link.width / 16 for link in links)
