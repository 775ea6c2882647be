"""Power of a machine: boards, CPUs and the rest."""

from __future__ import annotations

from wellfed.frozen import dataclass
from wellfed.hardware.machine import Machine
from wellfed.message import sentence
from wellfed.provenance import Assumption

_REST_W = 60.0  # board, fans, drives, per socket
_DIMM_W = 5.0  # a module at work (assumed)
_HEADROOM = 1.25  # for load steps, and so that the supply runs where it is efficient


@dataclass(frozen=True, slots=True)
class Power:
    """Watts under full load. None where a part's power is unknown."""

    gpus_w: float | None
    cpus_w: float | None
    rest_w: float
    assumptions: tuple[Assumption, ...] = ()

    @property
    def total_w(self) -> float | None:
        """Watts of the whole system; None where a part's power is not known."""
        if self.gpus_w is None or self.cpus_w is None:
            return None
        return self.gpus_w + self.cpus_w + self.rest_w

    @property
    def supply_w(self) -> int | None:
        """Power supply to buy, in steps of 50 W."""
        return None if self.total_w is None else -(-round(self.total_w * _HEADROOM) // 50) * 50


def power(machine: Machine) -> Power:
    """Board power of the GPUs (their limit where one is set), the CPUs' rated power, and the rest.

    A superchip's or SoC's board power already holds its CPU. All nodes together.
    """
    boards = [gpu.power_limit_w or (gpu.spec.board_power_w if gpu.spec else None) for gpu in machine.gpus]
    included = any(gpu.spec is not None and gpu.spec.cpu_id is not None for gpu in machine.gpus)
    cpus = [socket.cpu.power_w if socket.cpu else None for socket in machine.sockets if not included]
    dimms = sum(1 for socket in machine.sockets for dimm in socket.dimms if dimm.bytes)
    rest = _REST_W * max(1, len(machine.sockets)) + _DIMM_W * dimms
    note = Assumption(
        sentence("power.w-board-fans", "{rest:.0f} W for board, fans, drives and memory", rest=rest),
        sentence("power.no-data-sheet", "no data sheet covers them"),
    )
    return Power(_total_w(boards, machine.count), _total_w(cpus, machine.count), rest * machine.count, (note,))


def _total_w(values: list[float | None], nodes: int) -> float | None:
    known_values = [value for value in values if value is not None]
    return sum(known_values) * nodes if len(known_values) == len(values) else None
