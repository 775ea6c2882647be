"""How long loading takes when the weights are in the page cache: what crosses each GPU's link."""

from __future__ import annotations

from wellfed.hardware.machine import Gpu, Machine
from wellfed.hardware.pcie import PcieLink
from wellfed.nouns.estimate import Memory

# Achieved of the link's rate after line coding: 26 of 31.5 GB/s on Gen4 x16, 55 of 63 on Gen5 (pinned copies).
_ACHIEVED = 0.85


def load_seconds(machine: Machine, memory: Memory) -> float | None:
    """The slowest GPU's weights over its own link; None without GPUs, or where a link is unknown.

    Left out: reading from disk, which no machine line tells of, and what the engine does besides copying.
    """
    slowest = 0.0
    by_name = {device.device: device for device in memory.devices}
    for position, gpu in enumerate(machine.gpus):
        device = by_name.get(f"gpu{position}")
        size = sum(term.bytes for term in device.terms if term.name == "weights") if device else 0.0
        if not size:
            continue
        link = gpu.link or _own(gpu)
        if link is None:
            return None
        slowest = max(slowest, size / (link.bytes_per_s * _ACHIEVED))
    return slowest or None


def _own(gpu: Gpu) -> PcieLink | None:
    """What the data sheet says."""
    if gpu.spec is None or not gpu.spec.pcie_generation or not gpu.spec.pcie_lanes:
        return None
    return PcieLink(min(gpu.spec.pcie_generation, 6), gpu.spec.pcie_lanes)
