"""What a machine's description names, before anything is assumed about the rest."""

from __future__ import annotations

from wellfed.frozen import dataclass
from wellfed.hardware.machine import Disk
from wellfed.hardware.parts import CpuSpec, GpuSpec
from wellfed.provenance import Assumption

GPUS_MAX = 72  # in one machine: an NVL72 rack
DESKTOP_CARD_BYTES = 40e9  # cards with more memory are a data centre's (assumed: desktop cards end at 32 GiB)
SYSTEM_FORMS = frozenset({"soc"})  # a GPU that is its machine


@dataclass(frozen=True, slots=True)
class Seat:
    """How a GPU is connected, as far as the user says. None = not said."""

    width: int | None = None
    generation: int | None = None
    chipset: bool = False
    switch: bool = False
    socket: int | None = None
    power_limit_w: float | None = None


@dataclass(frozen=True, slots=True)
class Card:
    """One GPU of the list and its seat."""

    spec: GpuSpec
    seat: Seat = Seat()


@dataclass(frozen=True, slots=True)
class Modules:
    """Memory as stated: modules of a size, or a total; the type, rated speed and channels where named."""

    count: int | None = None
    module_gib: int | None = None
    total_gib: float | None = None
    kind: str | None = None
    rated_mt_s: float | None = None
    overclocked: bool = False
    per_socket: bool = False
    channels: int | None = None  # of each socket, as said ("12-channel")
    bare: bool = False  # a size alone ("64gb"): it may be the memory of a part that shares it

    @property
    def sized(self) -> bool:
        """Whether the words tell how much memory there is."""
        return bool(self.count or self.total_gib)


@dataclass(frozen=True, slots=True)
class UnnamedCpu:
    """A CPU that no catalogue has: as it was written, and what that tells of it."""

    text: str
    cores: int | None = None
    threads: int | None = None
    boost_ghz: float | None = None
    server: bool = False
    only_counts: bool = False  # nothing but cores and threads: it may speak of a CPU named elsewhere


@dataclass(frozen=True, slots=True)
class PartsList:
    """Everything a line, a file or a designed host says of a machine."""

    cards: tuple[Card, ...] = ()
    cpu: CpuSpec | None = None
    unnamed_cpu: UnnamedCpu | None = None
    sockets: int = 1
    memory: Modules | None = None
    nvlink: bool | None = None
    peers: bool | None = None  # whether cards reach each other over PCIe; None: as their driver gives it
    nodes_per_socket: int = 1
    count: int = 1
    network_bytes_per_s: float | None = None
    power_supply_w: float | None = None
    disks: tuple[Disk, ...] = ()  # models lie on the first, the fastest that is named
    price: float | None = None
    assumptions: tuple[Assumption, ...] = ()
    seats: tuple[tuple[int | None, Seat], ...] = ()  # by ordinal; None = every card
