"""A machine with some of its parts changed, as sliders ask for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from wellfed.frozen import dataclass
from wellfed.hardware.machine import Gpu, Machine, Socket
from wellfed.hardware.parts import CpuSpec
from wellfed.hardware.pcie import PcieLink

MOST_GPUS = 16
WIDTHS, GENERATIONS = (1, 2, 4, 8, 16), (1, 2, 3, 4, 5, 6)


@dataclass(frozen=True, slots=True)
class Slider:
    """What may be changed: a parameter's name, its steps, and where the machine stands now."""

    name: str
    steps: tuple[int, ...]
    now: int


def sliders(machine: Machine) -> tuple[Slider, ...]:
    """The sliders that mean something on this machine."""
    rows = [_gpu_count(machine), _channels(machine), _width(machine), _generation(machine), _clock(machine)]
    return tuple(row for row in rows if row is not None)


def _gpu_count(machine: Machine) -> Slider | None:
    if not machine.gpus or machine.unified_memory:
        return None
    most = max(8, min(MOST_GPUS, len(machine.gpus)))
    return Slider("gpus-at", tuple(range(1, most + 1)), len(machine.gpus))


def _channels(machine: Machine) -> Slider | None:
    socket = machine.sockets[0] if machine.sockets else None
    if socket is None or socket.channels is None or machine.unified_memory:
        return None
    most = max(socket.channels, socket.cpu.memory_channels if socket.cpu else 0)
    return Slider("channels-at", tuple(range(1, most + 1)), socket.channels) if most > 1 else None


def _link(machine: Machine) -> PcieLink | None:
    return next((gpu.link for gpu in machine.gpus if gpu.link), None)


def _width(machine: Machine) -> Slider | None:
    link = _link(machine)
    return Slider("width-at", WIDTHS, link.width) if link and link.width in WIDTHS else None


def _generation(machine: Machine) -> Slider | None:
    link = _link(machine)
    return Slider("generation-at", GENERATIONS, link.generation) if link else None


def _clock(machine: Machine) -> Slider | None:
    """In per cent of what it is."""
    return Slider("clock-at", (50, 60, 70, 80, 90, 100, 110, 120, 130), 100) if _cpus(machine) else None


def _cpus(machine: Machine) -> list[CpuSpec]:
    return [socket.cpu for socket in machine.sockets if socket.cpu]


def changed(machine: Machine, values: dict[str, int]) -> Machine:
    """The machine with the sliders' values in place of its own; memory's size stays, only its channels change."""
    changes: dict[str, Callable[[Machine, int], Machine]] = {
        "gpus-at": _with_gpus, "channels-at": _with_channels, "width-at": _with_width,
        "generation-at": _with_generation, "clock-at": _with_clock,
    }  # fmt: skip
    for name, value in values.items():
        machine = changes[name](machine, value)
    return machine


def _with_gpus(machine: Machine, count: int) -> Machine:
    """Fewer: the first ones. More: like the last, with links as the first pair has them where all are linked."""
    now = len(machine.gpus)
    if count <= now:
        links = tuple(link for link in machine.gpu_links if max(link.a, link.b) < count)
        return replace(machine, gpus=machine.gpus[:count], gpu_links=links)
    last = machine.gpus[-1]
    added = tuple(
        replace(last, index=index, pci_address=None, socket=_home(machine, index)) for index in range(now, count)
    )
    meshed = len(machine.gpu_links) == now * (now - 1) // 2 and now > 1
    links = machine.gpu_links
    if meshed:
        pairs = [(a, b) for b in range(now, count) for a in range(b)]
        links = (*links, *(replace(links[0], a=a, b=b) for a, b in pairs))
    return replace(machine, gpus=(*machine.gpus, *added), gpu_links=links)


def _home(machine: Machine, index: int) -> int | None:
    return machine.sockets[index % len(machine.sockets)].index if machine.sockets else None


def _with_channels(machine: Machine, count: int) -> Machine:
    sockets = tuple(_channelled(socket, count) for socket in machine.sockets)
    return replace(machine, sockets=sockets, measured_memory_bandwidth_bytes_per_s=None)


def _channelled(socket: Socket, count: int) -> Socket:
    return replace(socket, channels=count) if socket.channels is not None else socket


def _linked(machine: Machine, change: Callable[[PcieLink], PcieLink]) -> Machine:
    def again(gpu: Gpu) -> Gpu:
        return replace(gpu, link=change(gpu.link)) if gpu.link else gpu

    return replace(machine, gpus=tuple(map(again, machine.gpus)))


def _with_width(machine: Machine, width: int) -> Machine:
    return _linked(machine, lambda link: PcieLink(link.generation, width))


def _with_generation(machine: Machine, generation: int) -> Machine:
    return _linked(machine, lambda link: PcieLink(generation, link.width))


def _with_clock(machine: Machine, per_cent: int) -> Machine:
    def faster(cpu: CpuSpec) -> CpuSpec:
        times = per_cent / 100
        return replace(
            cpu,
            base_clock_hz=cpu.base_clock_hz * times if cpu.base_clock_hz else None,
            boost_clock_hz=cpu.boost_clock_hz * times if cpu.boost_clock_hz else None,
            single_thread_rating=cpu.single_thread_rating * times if cpu.single_thread_rating else None,
        )

    sockets = tuple(replace(s, cpu=faster(s.cpu)) if s.cpu else s for s in machine.sockets)
    clock = machine.measured_clock_hz
    return replace(machine, sockets=sockets, measured_clock_hz=clock * per_cent / 100 if clock else None)
