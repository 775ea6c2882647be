"""What this machine's CPU costs the best plan, against the fastest host that the same GPUs could stand behind."""

from __future__ import annotations

from collections.abc import Iterable

from wellfed.frozen import dataclass, replace
from wellfed.hardware.machine import Machine, Socket
from wellfed.hardware.parts import CpuSpec
from wellfed.message import Amount, Message, message
from wellfed.nouns.calibration import Calibration
from wellfed.nouns.plan import Plan, Request
from wellfed.perf.estimate import estimate
from wellfed.perf.host import REFERENCE_RATING, HostSpeed, host_speed, part_ratio

_X86 = frozenset({"amd", "intel"})
_LANES = 8  # of a GPU, at least
_NOTICED_S = 0.05  # a difference in waiting that people notice (assumed)
_WORTH = 1.03  # a gain below this is within what a day's measurements differ


@dataclass(frozen=True, slots=True)
class HostCost:
    """The plan's speed over that behind the fastest host: shares of 1, first token's time as a multiple.

    `ratio` is this host's core against the reference core (`perf.host`), `fastest_ratio` the fastest catalogued one's.
    """

    plan: Plan  # behind the fastest host
    speed: HostSpeed
    fastest: CpuSpec
    fastest_ratio: float
    total_tok_s_share: float
    decode_tok_s_share: float
    ttft_times: float

    @property
    def ratio(self) -> float:
        """This host's core against the reference core, clock now."""
        return self.speed.ratio

    @property
    def counts(self) -> bool:
        """Whether a faster host would show: in tokens/s, or in a wait for the first one that people notice."""
        sooner = self.ttft_times > _WORTH and (1 - 1 / self.ttft_times) * self.ttft_s > _NOTICED_S
        return self.total_tok_s_share * _WORTH < 1 or sooner

    @property
    def ttft_s(self) -> float:
        """The first token's time behind this host."""
        return self.plan.estimate.ttft_s.value * self.ttft_times

    def sentence(self) -> Message:
        """What the CPU costs, or that it costs nothing, in one sentence."""
        if not self.counts:
            text = "this CPU costs nothing here: behind a {cpu} the same GPUs would be no faster"
            return message("plan.host.free", text, cpu=self.fastest.name)
        text = "this CPU costs {loss} of the tokens/s and {late} of the first token, against a {cpu}"
        return message(
            "plan.host.cost",
            text,
            loss=Amount(1 - self.total_tok_s_share, "%"),
            late=Amount(self.ttft_times - 1, "%"),
            cpu=self.fastest.name,
        )


def host_cost(plan: Plan, calibration: Calibration, cpus: Iterable[CpuSpec]) -> HostCost | None:
    """The cost of the plan's host; None where the machine's CPUs are not known (an assumption then says so)."""
    machine = plan.machine
    best = fastest_host(machine, cpus)
    best_ratio = part_ratio(best) if best is not None else None
    if best is None or best_ratio is None:
        return None
    request = Request(behind(machine, best), plan.model, plan.weights, plan.layout, plan.workload)
    unhindered, here = estimate(request, calibration), plan.estimate
    return HostCost(
        plan=replace(plan, machine=request.machine, estimate=unhindered, reasons=()),
        speed=host_speed(machine),
        fastest=best,
        fastest_ratio=best_ratio,
        total_tok_s_share=min(1.0, here.total_tok_s.value / unhindered.total_tok_s.value),
        decode_tok_s_share=min(1.0, here.decode_tok_s.value / unhindered.decode_tok_s.value),
        ttft_times=max(1.0, here.ttft_s.value / unhindered.ttft_s.value),
    )


def fastest_host(machine: Machine, cpus: Iterable[CpuSpec]) -> CpuSpec | None:
    """The CPU with the fastest cores of those that the machine's GPUs could stand behind: x86, as many sockets, as many
    memory channels, and eight lanes for each GPU. None for machines whose CPU is not known or is part of the GPU.
    """
    installed = [socket.cpu for socket in machine.sockets if socket.cpu is not None]
    if not installed or any(gpu.spec is None or gpu.spec.cpu_id for gpu in machine.gpus):
        return None
    count, channels = len(machine.sockets), min(cpu.memory_channels for cpu in installed)
    lanes = _LANES * len(machine.gpus) / count
    fit = [
        (ratio, cpu)
        for cpu in cpus
        if cpu.vendor in _X86
        and cpu.sockets_max >= count
        and cpu.memory_channels >= channels
        and (cpu.pcie_lanes_of_two if count > 1 and cpu.pcie_lanes_of_two else cpu.pcie_lanes or 0) >= lanes
        and (ratio := part_ratio(cpu)) is not None
    ]
    return max(fit, key=lambda pair: (pair[0], pair[1].id), default=(0.0, None))[1]


def behind(machine: Machine, cpu: CpuSpec) -> Machine:
    """The same machine, memory and links, with cores as fast as `cpu`'s and nothing that holds them down."""
    settings = replace(
        machine.os, governor=None, governors={}, boost=None, cpu_quota=None, cpus_isolated=None, cpus_allowed=None
    )
    return replace(machine, sockets=tuple(_quick(socket, cpu) for socket in machine.sockets), os=settings)


def _quick(socket: Socket, cpu: CpuSpec) -> Socket:
    if socket.cpu is None:
        return socket
    ratio = part_ratio(cpu)
    rating = cpu.single_thread_rating if cpu.single_thread_rating is not None else (ratio or 1.0) * REFERENCE_RATING
    return replace(socket, cpu=replace(socket.cpu, single_thread_rating=rating), clock_max_hz=None)
