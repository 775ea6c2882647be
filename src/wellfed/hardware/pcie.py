"""PCI Express: what a link of some generation and width can carry, and the tree of devices."""

from __future__ import annotations

from collections.abc import Mapping

from wellfed.frozen import dataclass

# GT/s per lane and the share left after line coding (PCI-SIG: 8b/10b up to gen 2, 128b/130b to gen 5,
# gen 6 FLIT mode 236/256).
_GENERATIONS: Mapping[int, tuple[float, float]] = {
    1: (2.5, 0.8),
    2: (5.0, 0.8),
    3: (8.0, 128 / 130),
    4: (16.0, 128 / 130),
    5: (32.0, 128 / 130),
    6: (64.0, 236 / 256),
}


@dataclass(frozen=True, slots=True)
class PcieLink:
    """A link's generation (1..6) and width in lanes."""

    generation: int
    width: int

    @property
    def bytes_per_s(self) -> float:
        """Raw data rate of one direction after line coding; protocol overhead is the calibration's."""
        gigatransfers, coding = _GENERATIONS[self.generation]
        return gigatransfers * 1e9 * coding / 8 * self.width

    def __str__(self) -> str:
        return f"Gen{self.generation} x{self.width}"


def generation_of(gigatransfers_per_s: float) -> int | None:
    """The generation whose lane rate this is, or None."""
    for generation, (rate, _) in _GENERATIONS.items():
        if abs(rate - gigatransfers_per_s) < 0.01:
            return generation
    return None


@dataclass(frozen=True, slots=True)
class PciDevice:
    """One PCI function. `parent` is the address of the bridge above it, None at a root complex.

    Every None is "not told by the source", never "no" or 0. `link_*` belong to the link *above* this function
    (for a root port or a switch's downstream port, to the link below it). A current link is what was seen at
    that moment: an idle GPU drops its own link to Gen1.
    """

    address: str  # 0000:01:00.0
    vendor_id: int | None = None
    device_id: int | None = None
    class_code: int | None = None  # 24 bits: 0x030000 is a VGA controller
    name: str | None = None
    parent: str | None = None
    link_current: PcieLink | None = None
    link_max: PcieLink | None = None
    numa_node: int | None = None
    iommu_group: int | None = None
    acs_redirect: bool | None = None  # ACS sends peer traffic up to the root complex
    replays: int | None = None
    port: str | None = None  # root | upstream | downstream | endpoint | integrated | bridge (to conventional PCI)
    secondary_bus: int | None = None  # bridges: first bus below
    subordinate_bus: int | None = None  # bridges: last bus below
    driver: str | None = None
    local_cpus: tuple[int, ...] = ()
    aer_correctable: int | None = None  # errors counted since boot
    aer_nonfatal: int | None = None
    aer_fatal: int | None = None
    errors_logged: str | None = None  # worst in a kernel log: correctable | nonfatal | fatal
    chipset: bool | None = None  # set only by sources that show no ids but a shape (lspci -t)

    @property
    def is_bridge(self) -> bool:
        """PCI-to-PCI bridge: class 0604."""
        return self.class_code is not None and self.class_code >> 8 == 0x0604

    @property
    def bus(self) -> int:
        """The bus number in the address."""
        return int(self.address.split(":")[1], 16)


def path_up(devices: Mapping[str, PciDevice], address: str) -> tuple[PciDevice, ...]:
    """The function and its bridges up to the root port, nearest first; empty for an unknown address."""
    path: list[PciDevice] = []
    visited: set[str] = set()
    here = devices.get(address)
    while here is not None and here.address not in visited:
        visited.add(here.address)
        path.append(here)
        here = devices.get(here.parent) if here.parent else None
    return tuple(path)


_ON_CARD = frozenset(
    {
        (0x1002, 0x1478),
        (0x1002, 0x1479),
        (0x1022, 0x1470),
        (0x1022, 0x1471),
        (0x1022, 0x1500),
        (0x1022, 0x1501),
        (0x8086, 0x4FA0),
        (0x8086, 0x4FA1),
        (0x8086, 0x4FA4),
        (0x8086, 0xE2FF),
        (0x8086, 0xE2F0),
        (0x8086, 0xE2F1),
    }
)


def on_card(device: PciDevice) -> bool:
    """Whether a bridge is the switch soldered onto a Radeon or Instinct card (or Intel's on Arc).

    Ids 1002:1478 (upstream), 1002:1479 (downstream), 1022:1470/1471 (Vega 10), 1022:1500/1501 (Instinct MI300),
    8086:4fa0/4fa1/4fa4 and 8086:e2ff/e2f0/e2f1 (Arc). Source: the PCI ID repository, 2025. Such a
    card is judged at the upstream port's link, which is its edge connector.
    """
    return (device.vendor_id, device.device_id) in _ON_CARD
