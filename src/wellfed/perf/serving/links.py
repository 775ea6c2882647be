"""What joins the GPUs of a replica."""

from __future__ import annotations

from typing import NamedTuple

from wellfed.errors import Unsupported
from wellfed.hardware.machine import Machine
from wellfed.hardware.parts import GpuSpec
from wellfed.hardware.pcie import PcieLink
from wellfed.hardware.peers import Way, slowest_way, usual_way
from wellfed.message import sentence

# Achieved by x16 in one direction, 0.85 of the line rate as pinned copies reach; Gen6 assumed.
_PCIE_BYTES_PER_S = {3: 13e9, 4: 26e9, 5: 55e9, 6: 105e9}
_PCIE_LATENCY, _NETWORK_LATENCY = 3.0, 4.0  # of a collective against NVLink's: assumed
# Rate and latency of a way against the direct one. Through RAM: 11.3 of 27.1 GB/s between two RTX 3090, 43 of 55.5
# between two RTX 5090, 15 against 1 us; a decode step of eight RTX PRO 6000 takes 1.29 times as long. Through the root
# complex: 50 of 103 GB/s between cards of one switch with access control on; the latency is not published.
_WAYS = {Way.DIRECT: (1.0, 1.0), Way.THROUGH_ROOT: (50 / 103, 1.0), Way.THROUGH_RAM: (0.45, 5 / 3)}


class Link(NamedTuple):
    """What joins GPUs: bytes/s in one direction of one GPU, latency against NVLink, 1 where they have a link of their
    own and 0 where they share a bus or network.
    """

    bytes_per_s: float
    latency: float
    direct: float


def link(machine: Machine, gpu: GpuSpec, ranks: int) -> Link:
    """What joins the first `ranks` GPUs."""
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
        share = network / per_node
        to_adapter = share if gpu.unified_memory else min(share, _over_pcie(machine, gpu, per_node))  # to the adapter
        return Link(to_adapter, _NETWORK_LATENCY, 0.0)
    direct = _direct(machine, gpu, ranks)
    if direct is not None:
        return Link(direct, 1.0, 1.0)
    rate, latency = _WAYS[_way(machine, ranks)]
    return Link(_over_pcie(machine, gpu, ranks) * rate, _PCIE_LATENCY * latency, 0.0)


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
    own_link = PcieLink(min(gpu.pcie_generation or 4, 6), gpu.pcie_lanes or 16)
    links = [gpu.link or own_link for gpu in machine.gpus[:ranks]] or [own_link]
    return min(_PCIE_BYTES_PER_S.get(link.generation, 13e9 / 2) * link.width / 16 for link in links)


def pcie_bytes_per_s(machine: Machine) -> float:
    """What the narrowest of the GPUs' links to the host carries, one direction."""
    spec = next((gpu.spec for gpu in machine.gpus if gpu.spec is not None), None)
    if spec is None:
        raise Unsupported(sentence("perf.links.no-data-sheet", "no data sheet of these GPUs"))
    return _over_pcie(machine, spec, len(machine.gpus))


def _way(machine: Machine, ranks: int) -> Way:
    """The longest way among the first `ranks` GPUs: as told, else what their driver gives."""
    way = slowest_way(machine, ranks)
    return max((usual_way(gpu) for gpu in machine.gpus[:ranks]), default=Way.DIRECT) if way is None else way
