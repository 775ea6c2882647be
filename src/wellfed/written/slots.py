"""Which lanes each GPU of a planned machine gets, and the PCI tree that says so."""

from __future__ import annotations

from collections.abc import Sequence

from wellfed.errors import BadInput
from wellfed.frozen import dataclass, replace
from wellfed.hardware.parts import CpuSpec
from wellfed.hardware.pcie import PciDevice, PcieLink
from wellfed.message import sentence
from wellfed.provenance import Assumption
from wellfed.written.parts_list import Card

_VENDOR_IDS = {"amd": 0x1022, "intel": 0x8086, "nvidia": 0x10DE, "ampere": 0x1DEF}
_GPU_VENDOR_IDS = {"nvidia": 0x10DE, "amd": 0x1002, "intel": 0x8086}
_SWITCH_VENDOR_ID = 0x1000  # Broadcom PEX
_BRIDGE, _DISPLAY = 0x060400, 0x030200
_BASEBOARDS = ("sxm", "oam")
DESKTOP_LANES = 28  # at most; what has more is a workstation or a server with a full slot per card


@dataclass(frozen=True, slots=True)
class Slot:
    """A GPU's place: its socket, the slot's link, and what is between them."""

    socket: int
    host: PcieLink | None  # what the slot offers; None: no PCIe between CPU and GPU, or unknown
    behind: str = "cpu"  # cpu | chipset | switch | soc


def place(cards: Sequence[Card], cpu: CpuSpec | None, sockets: int) -> tuple[tuple[Slot, ...], tuple[Assumption, ...]]:
    """A slot for every card. Raises BadInput where the lanes do not suffice."""
    homes = [_home(index, card, len(cards), sockets) for index, card in enumerate(cards)]
    if cpu is None or cpu.pcie_lanes is None or cpu.pcie_generation is None:
        return tuple(_unknown_host(card, home) for card, home in zip(cards, homes, strict=True)), ()
    slots: dict[int, Slot] = {}
    notes: list[Assumption] = []
    for socket in range(sockets):
        here = [index for index, home in enumerate(homes) if home == socket]
        socket_slots, socket_notes = _on_socket([cards[index] for index in here], cpu, socket, sockets)
        slots |= dict(zip(here, socket_slots, strict=True))
        notes += socket_notes
    return tuple(slots[index] for index in range(len(cards))), tuple(dict.fromkeys(notes))


def _home(index: int, card: Card, count: int, sockets: int) -> int:
    """The stated socket, or the cards divided evenly in order."""
    if card.seat.socket is None:
        return index * sockets // count
    if card.seat.socket >= sockets:
        raise BadInput(
            sentence("written.slots.there-socket", "there is no socket {socket}", socket=card.seat.socket),
            sentence(
                "written.slots.machine-counted-from", "the machine has {sockets}, counted from 0", sockets=sockets
            ),
        )
    return card.seat.socket


def _unknown_host(card: Card, socket: int) -> Slot:
    """Without a CPU the slot is taken to suit the card."""
    spec, seat = card.spec, card.seat
    if spec.form in ("soc", "superchip") or spec.pcie_generation is None or spec.pcie_lanes is None:
        return Slot(socket, None, "soc")
    link = PcieLink(seat.generation or spec.pcie_generation, seat.width or spec.pcie_lanes)
    return Slot(socket, link, "chipset" if seat.chipset else "cpu")


def _on_socket(cards: Sequence[Card], cpu: CpuSpec, socket: int, sockets: int) -> tuple[list[Slot], list[Assumption]]:
    lanes = _lanes(cpu, sockets)
    desktop = lanes <= DESKTOP_LANES
    widths = [_stated_width(card) for card in cards]
    open_cards = [at for at, width in enumerate(widths) if width is None]
    spare = lanes - sum(width or 0 for width in widths)
    chosen = _shares(len(open_cards), spare, desktop)
    if spare < 0 or chosen is None:
        raise BadInput(
            _too_many(len(cards), lanes, cpu.name, sockets),
            sentence(
                "written.slots.fewer-cards-another",
                "fewer cards, another CPU, a second socket, or narrower links ('x4' or 'chipset' behind a card)",
            ),
        )
    slots = [_slot(card, cpu, socket, width) for card, width in zip(cards, widths, strict=True)]
    notes: list[Assumption] = []
    for at, width in zip(open_cards, chosen, strict=True):
        slots[at] = _slot(cards[at], cpu, socket, width)
        card_lanes = cards[at].spec.pcie_lanes or 16
        if 0 < width < min(16, card_lanes):
            notes.append(_narrowed(cards[at], width, len(cards), lanes))
        elif width == 0:
            notes.append(_behind_chipset(cards[at], lanes, cpu))
    return slots, notes


def _narrowed(card: Card, width: int, count: int, lanes: int) -> Assumption:
    """That a card gets `width` lanes, since `count` share the CPU's `lanes`."""
    return Assumption(
        sentence("written.slots.x", "x{width} for {spec}", width=width, spec=card.spec.name),
        sentence("written.slots.gpus-share-lanes", "{count} GPUs share {lanes} lanes", count=count, lanes=lanes),
    )


def _behind_chipset(card: Card, lanes: int, cpu: CpuSpec) -> Assumption:
    """That a card has the chipset's slot, since the CPU's `lanes` are taken."""
    return Assumption(
        sentence("written.slots.behind-chipset-x4", "{spec} behind the chipset, x4", spec=card.spec.name),
        sentence(
            "written.slots.slots-lanes-taken",
            "the slots on the {lanes} lanes of {cpu} are taken",
            lanes=lanes,
            cpu=cpu.name,
        ),
    )


def _lanes(cpu: CpuSpec, sockets: int) -> int:
    if sockets > 1 and cpu.pcie_lanes_of_two is not None:
        return cpu.pcie_lanes_of_two
    return cpu.pcie_lanes or 0


def _stated_width(card: Card) -> int | None:
    """CPU lanes a card takes for certain; None: to be shared out. Baseboards, switches and the chipset take none."""
    if card.seat.chipset or card.seat.switch or card.spec.form in (*_BASEBOARDS, "soc", "superchip"):
        return 0
    return card.seat.width


def _shares(count: int, lanes: int, desktop: bool) -> list[int] | None:
    """Lanes per card; 0 is the chipset's slot. None: they do not fit.

    A desktop board divides one x16 slot (x8/x8, x8/x4/x4) and has one x4 slot behind the chipset for the last card;
    others give every card the same, as much as there is, x4 at least.
    """
    if count == 0:
        return []
    if desktop:
        usual = {1: [16], 2: [8, 8], 3: [8, 8, 0], 4: [8, 4, 4, 0], 5: [4, 4, 4, 4, 0]}.get(count)
        if usual is None or lanes < 4:
            return None
        while sum(usual) > lanes and max(usual) > 4:
            usual[usual.index(max(usual))] //= 2
        return usual if sum(usual) <= lanes else None
    width = next((width for width in (16, 8, 4) if width * count <= lanes), None)
    return None if width is None else [width] * count


def _slot(card: Card, cpu: CpuSpec, socket: int, width: int | None) -> Slot:
    spec, seat = card.spec, card.seat
    if spec.form in ("soc", "superchip") or spec.pcie_generation is None or cpu.pcie_generation is None:
        return Slot(socket, None, "soc")
    if seat.chipset or (width == 0 and spec.form not in _BASEBOARDS and not seat.switch):
        generation = seat.generation or (min(4, cpu.pcie_generation) if cpu.pcie_generation > 3 else 3)
        return Slot(socket, PcieLink(generation, min(seat.width or 4, 16)), "chipset")
    lanes = seat.width or width or spec.pcie_lanes or 16
    link = PcieLink(seat.generation or cpu.pcie_generation, lanes)
    return Slot(socket, link, "switch" if seat.switch else "cpu")


def negotiated(card: Card, slot: Slot) -> PcieLink | None:
    """The link as card and slot agree on it."""
    spec = card.spec
    if slot.host is None or spec.pcie_generation is None or spec.pcie_lanes is None:
        return None
    return PcieLink(min(slot.host.generation, spec.pcie_generation), min(slot.host.width, spec.pcie_lanes))


def pci_tree(
    cards: Sequence[Card], slots: Sequence[Slot], cpu: CpuSpec | None, nodes: Sequence[int | None]
) -> tuple[tuple[PciDevice, ...], tuple[str | None, ...]]:
    """The functions from each GPU up to its root port, and the GPUs' addresses (None: not on PCIe)."""
    devices: dict[str, PciDevice] = {}
    addresses: list[str | None] = []
    for index, (card, slot) in enumerate(zip(cards, slots, strict=True)):
        link = negotiated(card, slot)
        if cpu is None or link is None or slot.host is None:
            addresses.append(None)
            continue
        above = _bridges(index, slot, link, cpu)
        for bridge in above:
            devices.setdefault(bridge.address, replace(bridge, numa_node=nodes[index]))
        gpu = _endpoint(index, card, slot, link, above[-1].address)
        devices[gpu.address] = replace(gpu, numa_node=nodes[index])
        addresses.append(gpu.address)
    return tuple(devices.values()), tuple(addresses)


def _endpoint(index: int, card: Card, slot: Slot, link: PcieLink, parent: str) -> PciDevice:
    spec = card.spec
    return PciDevice(
        f"{_domain(slot)}:{0x10 + index:02x}:00.0",
        vendor_id=_GPU_VENDOR_IDS.get(spec.vendor),
        class_code=_DISPLAY,
        name=spec.name,
        parent=parent,
        link_current=link,
        link_max=PcieLink(spec.pcie_generation or link.generation, spec.pcie_lanes or link.width),
        port="endpoint",
    )


def _domain(slot: Slot) -> str:
    return f"{slot.socket:04x}"


def _bridges(index: int, slot: Slot, link: PcieLink, cpu: CpuSpec) -> tuple[PciDevice, ...]:
    """Bridges from the root port down to the GPU's own; those of a chipset or switch recur for every GPU below it."""
    vendor, domain = _VENDOR_IDS.get(cpu.vendor), _domain(slot)
    if slot.behind == "cpu":
        root = f"{domain}:00:{1 + index % 24:02x}.{index // 24}"
        return (_bridge(root, vendor, None, "root", slot.host, link),)
    chipset = slot.behind == "chipset"
    uplink = slot.host if chipset else PcieLink(cpu.pcie_generation or link.generation, 16)
    root, top = f"{domain}:00:{'19' if chipset else '1e'}.0", f"{domain}:{'e0' if chipset else 'f0'}:00.0"
    below = f"{domain}:{'e1' if chipset else 'f1'}:{index % 32:02x}.{index // 32}"
    hub = vendor if chipset else _SWITCH_VENDOR_ID
    return (
        _bridge(root, vendor, None, "root", uplink, uplink),
        _bridge(top, hub, root, "upstream", uplink, uplink, chipset),
        _bridge(below, hub, top, "downstream", slot.host, link, chipset),
    )


def _bridge(
    address: str,
    vendor: int | None,
    parent: str | None,
    port: str,
    link_max: PcieLink | None,
    link: PcieLink | None,
    chipset: bool | None = None,
) -> PciDevice:
    return PciDevice(
        address,
        vendor_id=vendor,
        class_code=_BRIDGE,
        parent=parent,
        link_current=link,
        link_max=link_max,
        port=port,
        chipset=chipset or None,
    )


def _too_many(count: int, lanes: int, cpu: str, sockets: int) -> str:
    if sockets > 1:
        template = "{count} GPUs do not fit on the {lanes} PCIe lanes of a {cpu}"
        return sentence("written.slots.gpus-do-fit-each", template, count=count, lanes=lanes, cpu=cpu)
    template = "{count} GPUs do not fit on the {lanes} PCIe lanes of one {cpu}"
    return sentence("written.slots.gpus-do-fit", template, count=count, lanes=lanes, cpu=cpu)
