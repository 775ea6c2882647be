"""Which CPU to put the GPUs behind: the cheapest, or the least, that costs a plan next to nothing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from wellfed.errors import WellfedError
from wellfed.frozen import dataclass, replace
from wellfed.hardware.machine import Gpu, Machine, Socket
from wellfed.hardware.parts import CpuSpec
from wellfed.message import Amount, Message, message
from wellfed.nouns.calibration import Calibration
from wellfed.nouns.estimate import Speeds
from wellfed.nouns.plan import Plan, Request
from wellfed.patterns import regex
from wellfed.perf.estimate import speeds
from wellfed.perf.host import part_ratio
from wellfed.perf.threads import best_threads
from wellfed.written.parts_list import Card
from wellfed.written.slots import negotiated, place

if TYPE_CHECKING:
    from wellfed.catalog.prices import Prices

WORTH = 0.03  # a loss below this is within what a day's measurements differ
_NOTICED_S = 0.05  # and a first token that comes this much later is a loss, too
_SINCE = 2019  # of CPUs that can still be bought
# Parts that are soldered into portables and small boxes: no machine for cards is built with one.
_PORTABLE = regex(
    r"\d(?:U|H|HQ|HX|HX3D|HS|HK|HL|UL|UE|HE|HRE|PE|TE|GE|Y|V|G\d)\b|\bCore Ultra \d \d+[UHV]|Ryzen AI|"
    r"Ryzen (?:Z|\d \d{3}\b)|\dM[ELR]?\b|Xeon D|Atom|Celeron|Pentium|\bN\d{2,3}\b|Embedded"
)
_LANES = 4  # of a GPU at least: below, a board has no slot for it
_X86 = frozenset({"amd", "intel"})


@dataclass(frozen=True, slots=True)
class HostChoice:
    """A CPU with the plan's speed behind it: shares of the best choice's tokens/s, first token's time as a multiple.

    `lanes` are the GPU links' widths there, `price` of its sockets where prices are known.
    """

    cpu: CpuSpec
    sockets: int
    speeds: Speeds
    total_tok_s_share: float
    ttft_times: float
    late_s: float  # what the first token comes later than behind the best choice
    lanes: tuple[int, ...]
    price: float | None = None

    @property
    def enough(self) -> bool:
        """Whether it costs nothing that shows."""
        return self.total_tok_s_share >= 1 - WORTH and (self.ttft_times <= 1 + WORTH or self.late_s <= _NOTICED_S)

    @property
    def channels(self) -> int:
        """Memory channels of all sockets."""
        return self.cpu.memory_channels * self.sockets


@dataclass(frozen=True, slots=True)
class WhichCpu:
    """The pick, the best of all, and the next weaker one that shows; how many were compared."""

    pick: HostChoice
    best: HostChoice
    weaker: HostChoice | None
    compared: int
    priced: bool

    def sentences(self) -> tuple[Message, ...]:
        """The pick, and what the next weaker one loses."""
        text = "{cpu} is enough: within {loss} of the tokens/s behind a {best}; {lanes} lanes, {channels} channels"
        first = message(
            "plan.cpu.pick",
            text,
            cpu=_named(self.pick),
            loss=Amount(1 - self.pick.total_tok_s_share, "%"),
            best=self.best.cpu.name,
            lanes=sum(self.pick.lanes),
            channels=self.pick.channels,
        )
        if self.weaker is None:
            return (first, message("plan.cpu.no-weaker", "no weaker CPU with the lanes for these GPUs loses more"))
        text = "the next weaker, {cpu}, loses {loss} of the tokens/s and {late} of the first token"
        second = message(
            "plan.cpu.weaker",
            text,
            cpu=_named(self.weaker),
            loss=Amount(1 - self.weaker.total_tok_s_share, "%"),
            late=Amount(self.weaker.ttft_times - 1, "%"),
        )
        return first, second


def _named(choice: HostChoice) -> str:
    return choice.cpu.name if choice.sockets == 1 else f"{choice.sockets}x {choice.cpu.name}"


def which_cpu(
    plan: Plan, calibration: Calibration, cpus: Iterable[CpuSpec], prices: Prices | None = None
) -> WhichCpu | None:
    """Every x86 CPU that the plan's GPUs go behind, each with all channels filled at its official speed.

    The pick is the cheapest of those within 3 % of the best, where prices are known, else the one of fewest watts, then
    cores. CPUs without a published single-thread rating, and those that no machine of so many sockets takes, are left
    out. None for machines whose CPU is part of the GPU, and where nothing fits.
    """
    choices = _choices(plan, calibration, cpus, prices)
    if not choices:
        return None
    best = max(choices, key=lambda choice: (choice.total_tok_s_share, -choice.ttft_times))
    enough = [choice for choice in choices if choice.enough]
    pick = min(enough or [best], key=lambda choice: _cost(choice, prices is not None))
    weaker = [choice for choice in choices if not choice.enough and choice.total_tok_s_share < pick.total_tok_s_share]
    next_weaker = max(weaker, key=lambda choice: (choice.total_tok_s_share, -choice.ttft_times), default=None)
    return WhichCpu(pick, best, next_weaker, len(choices), prices is not None and pick.price is not None)


def _cost(choice: HostChoice, priced: bool) -> tuple[float, ...]:
    unknown = float("inf")
    power = choice.cpu.power_w
    watts = unknown if power is None else power * choice.sockets
    price = (unknown if choice.price is None else choice.price) if priced else 0.0
    return (price, watts, choice.cpu.cores, -(choice.cpu.year or 0))


def _choices(plan: Plan, calibration: Calibration, cpus: Iterable[CpuSpec], prices: Prices | None) -> list[HostChoice]:
    machine, computed = plan.machine, dict[tuple[object, ...], Speeds | None]()
    if not machine.gpus or any(gpu.spec is None or gpu.spec.cpu_id for gpu in machine.gpus):
        return []
    count, rows = max(1, len(machine.sockets)), []
    for cpu in cpus:
        ratio = part_ratio(cpu)
        if not _sold(cpu, count) or ratio is None:
            continue
        rehosted = behind(machine, cpu, count)
        if rehosted is None:
            continue
        key = (
            round(ratio, 3),
            cpu.cores,
            cpu.memory_bandwidth_bytes_per_s(),
            cpu.isa,
            cpu.architecture,
            *_links(rehosted),
        )
        if key not in computed:
            computed[key] = _speeds(plan, rehosted, calibration)
        reached = computed[key]
        if reached is not None:
            rows.append((cpu, reached, _links(rehosted), _price(cpu, count, prices)))
    if not rows:
        return []
    top, first = max(reached.total_tok_s for _, reached, _, _ in rows), min(reached.ttft_s for _, reached, _, _ in rows)
    return [
        HostChoice(
            cpu=cpu,
            sockets=count,
            speeds=reached,
            total_tok_s_share=reached.total_tok_s / top,
            ttft_times=reached.ttft_s / first,
            late_s=reached.ttft_s - first,
            lanes=lanes,
            price=price,
        )
        for cpu, reached, lanes, price in rows
    ]


def _sold(cpu: CpuSpec, sockets: int) -> bool:
    recent = cpu.year is not None and cpu.year >= _SINCE
    portable = cpu.memory_type.upper().startswith("LP") or _PORTABLE.search(cpu.name) is not None
    return cpu.vendor in _X86 and recent and cpu.sockets_max >= sockets and not portable


def _price(cpu: CpuSpec, sockets: int, prices: Prices | None) -> float | None:
    part_price = prices.parts.get(cpu.id) if prices is not None else None
    return None if part_price is None else part_price.amount * sockets


def _links(machine: Machine) -> tuple[int, ...]:
    return tuple(gpu.link.width if gpu.link is not None else 0 for gpu in machine.gpus)


def behind(machine: Machine, cpu: CpuSpec, sockets: int) -> Machine | None:
    """The machine's GPUs behind `sockets` of this CPU: its cores, its channels filled, links as its lanes allow.

    None where its lanes do not suffice.
    """
    cards = tuple(Card(gpu.spec) for gpu in machine.gpus if gpu.spec is not None)
    try:
        slots, _ = place(cards, cpu, sockets)
    except WellfedError:
        return None
    links = [negotiated(card, slot) for card, slot in zip(cards, slots, strict=True)]
    if any(link is not None and link.width < _LANES for link in links):
        return None
    gpus: list[Gpu] = []
    for gpu, link, slot in zip(machine.gpus, links, slots, strict=True):
        gpus.append(replace(gpu, link=link, socket=slot.socket, pci_address=None, numa_node=None))
    socketed = machine.sockets or (Socket(0),) * sockets
    installed = tuple(
        replace(
            socket,
            cpu=cpu,
            cores=cpu.cores,
            channels=cpu.memory_channels,
            mt_s=cpu.memory_mt_s[0],
            isa=cpu.isa,
            clock_max_hz=None,
        )
        for socket in socketed
    )
    settings = replace(
        machine.os, governor=None, governors={}, boost=None, cpu_quota=None, cpus_isolated=None, cpus_allowed=None,
        cpus_online=None, cpus_offline=None,
    )  # fmt: skip
    return replace(
        machine,
        sockets=installed,
        gpus=tuple(gpus),
        cpus=(),
        os=settings,
        measured_memory_bandwidth_bytes_per_s=None,
        measured_small_pages_bytes_per_s=None,
        measured_clock_hz=None,
    )


def _speeds(plan: Plan, machine: Machine, calibration: Calibration) -> Speeds | None:
    layout = replace(plan.layout, threads=None)
    request = Request(machine, plan.model, plan.weights, layout, plan.workload)
    try:
        if plan.layout.threads is not None:
            request = replace(request, layout=replace(layout, threads=best_threads(request, calibration)))
        return speeds(request, calibration)
    except WellfedError:
        return None
