"""Whether GPUs can copy to each other over PCIe, or only through RAM."""

from __future__ import annotations

from wellfed.hardware.machine import Machine
from wellfed.hardware.parts import GpuSpec

_GEFORCE_WITHOUT_PEERS = frozenset({"turing", "ampere", "ada", "blackwell"})


def without_peers(spec: GpuSpec | None) -> bool:
    """GeForce cards from Turing on: NVIDIA's driver gives them peer access over NVLink alone, never over PCIe."""
    return spec is not None and "geforce" in spec.name.lower() and spec.architecture in _GEFORCE_WITHOUT_PEERS


def staged(machine: Machine, ranks: int) -> bool:
    """Whether copies among the first `ranks` GPUs go through RAM: a pair was told to have no peer access, or, where
    nothing is told, cards are among them that the driver gives none.
    """
    told = [pair for pair in machine.peers if max(pair.a, pair.b) < ranks]
    if told:
        return not all(pair.works for pair in told)
    return any(without_peers(gpu.spec) for gpu in machine.gpus[:ranks])
