"""The way from a GPU up to its socket, hop by hop."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from wellfed.frozen import dataclass
from wellfed.hardware.machine import Gpu, Machine
from wellfed.hardware.pcie import PciDevice, PcieLink, on_card, path_up


@dataclass(frozen=True, slots=True)
class Hop:
    """One PCIe link: the function below it and, where visible, the port above it.

    `edge`: the link of the card itself, at its connector; an idle GPU lets only this one drop. `offered_generation`:
    what the driver says the slot can do where its port is not visible; how many lanes the slot has it does not say.
    """

    lower: PciDevice
    upper: PciDevice | None
    edge: bool = False
    offered_generation: int | None = None

    @property
    def current(self) -> PcieLink | None:
        """The link as it runs now; both ends tell the same, so one is enough."""
        return self.lower.link_current or (self.upper.link_current if self.upper else None)

    @property
    def slot(self) -> PcieLink | None:
        """What the port above offers at most."""
        return self.upper.link_max if self.upper else None

    @property
    def card(self) -> PcieLink | None:
        """What the function below can do at most."""
        return self.lower.link_max

    @property
    def wanted_width(self) -> int | None:
        """Lanes that both ends have; None when neither tells."""
        return min((link.width for link in (self.slot, self.card) if link), default=None)

    @property
    def wanted_generation(self) -> int | None:
        """The generation that both ends can do; None when neither tells."""
        ends = [link.generation for link in (self.slot, self.card) if link]
        return min([*ends, *([self.offered_generation] if self.offered_generation else [])], default=None)

    @property
    def below_both_ends(self) -> bool:
        """Whether it runs with fewer lanes or a lower generation than both ends can do; False where not told."""
        current, width, generation = self.current, self.wanted_width, self.wanted_generation
        if current is None or width is None or generation is None:
            return False
        return current.width < width or current.generation < generation

    @property
    def both_ends_told(self) -> bool:
        """Whether the slot's generation is known, too."""
        return self.slot is not None or self.offered_generation is not None

    @property
    def place(self) -> str:
        """The PCI address of the function below the link: where to look."""
        return self.lower.address


def by_address(machine: Machine) -> dict[str, PciDevice]:
    """The machine's PCI functions by their addresses."""
    return {device.address: device for device in machine.pci}


def card_path(devices: Mapping[str, PciDevice], address: str | None) -> tuple[PciDevice, ...]:
    """From the card's connector up to the root port; the switch on a Radeon's board is part of the card."""
    path = path_up(devices, address or "")
    start = 0
    while start + 1 < len(path) and on_card(path[start + 1]):
        start += 1
    return path[start:]


def hops(devices: Mapping[str, PciDevice], address: str | None) -> tuple[Hop, ...]:
    """The links from the card up to the root port, the card's own first.

    Between a switch's downstream and upstream port there is no link. Where the source has no port types, links
    and insides of switches alternate.
    """
    path = card_path(devices, address)
    links: list[Hop] = []
    below = False
    for at, device in enumerate(path):
        below = device.port in ("endpoint", "upstream") if device.port else not below
        if device.port == "bridge" or (at == 0 and (device.port != "integrated" or device.link_current)):
            below = True
        if below:
            links.append(Hop(device, path[at + 1] if at + 1 < len(path) else None, edge=not links))
    return tuple(links)


def gpu_hops(machine: Machine, gpu: Gpu) -> tuple[Hop, ...]:
    """A GPU's hops; its driver's word on what the slot offers counts where the port's is not visible."""
    links = hops(by_address(machine), gpu.pci_address)
    if not links or links[0].slot or not gpu.link_host_generation or not links[0].card:
        return links
    return (replace(links[0], offered_generation=gpu.link_host_generation), *links[1:])


def root_port(devices: Mapping[str, PciDevice], address: str | None) -> PciDevice | None:
    """The topmost bridge; None when no bridge is seen above."""
    path = path_up(devices, address or "")
    return path[-1] if len(path) > 1 else None


def loaded(hop: Hop) -> PcieLink | None:
    """The hop as it runs under load: current width; on the card's own link the generation both ends can do."""
    current = hop.current
    width = current.width if current else hop.wanted_width
    generation = hop.wanted_generation if hop.edge and hop.wanted_generation else None
    generation = generation or (current.generation if current else hop.wanted_generation)
    return PcieLink(generation, width) if generation and width else None


def narrowest(path: Iterable[Hop]) -> PcieLink | None:
    """The hop with the least bandwidth, under load."""
    links = [link for hop in path if (link := loaded(hop)) is not None]
    return min(links, key=lambda link: link.bytes_per_s, default=None)


def awake(gpu: Gpu) -> bool | None:
    """Whether the card's own link shows its true speed now: in P0, or read under load. None = unknown."""
    if gpu.link_under_load:
        return True
    return None if gpu.performance_state is None else gpu.performance_state == 0
