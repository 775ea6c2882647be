"""PCI Express: what a link of some generation and width can carry, and the tree of devices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

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
    """One PCI function. `parent` is the address of the bridge above it, None at a root complex."""

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
