"""Estimates: two ledgers of named terms that add up, and what follows from them, with intervals."""

from __future__ import annotations

import math
from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

from wellfed.frozen import dataclass
from wellfed.provenance import Assumption

Z80 = 1.2815515655446004  # standard normal quantile that leaves 10 % on each side


@dataclass(frozen=True, slots=True)
class Work:
    """What one op asks of a device, summed over its repetitions in a step.

    `read_bytes` are weights, `cache_bytes` KV cache, `link_bytes` what crosses to other devices; `weight_type` and
    `math` (fp16, fp8, int8 ...) choose the rates.
    """

    name: str
    flops: float = 0.0
    read_bytes: float = 0.0
    cache_bytes: float = 0.0
    write_bytes: float = 0.0
    link_bytes: float = 0.0
    launches: float = 0.0
    fusable: float = 0.0  # of `launches`: those that newer builds run as one kernel
    weight_type: str = ""
    math: str = "fp16"
    elements: float = 0.0  # weights read
    mix: tuple[tuple[str, float], ...] = ()  # weight types and their shares of `elements`
    lone_pairs: float = 0.0  # head-key pairs of sequences with a single query, which share no tile


@dataclass(frozen=True, slots=True)
class Term:
    """A named share of a step's time; `limited_by` is memory bandwidth, compute, launches, link ..."""

    name: str
    seconds: float
    limited_by: str
    device: str = ""


@dataclass(frozen=True, slots=True)
class MemoryTerm:
    """A named share of a device's memory; `device` is gpu0, gpu1 ..., or ram.

    `cached_bytes` are resident too, but file pages that the system takes back when it needs the room. `late_bytes` of
    `bytes` are not resident when the engine is up, but fill as it is used.
    """

    device: str
    name: str
    bytes: float
    note: str = ""
    cached_bytes: float = 0.0
    late_bytes: float = 0.0


@dataclass(frozen=True, slots=True)
class Quantity:
    """A predicted value with its 80 % interval."""

    value: float
    low: float
    high: float

    @classmethod
    def lognormal(cls, value: float, sigma: float) -> Quantity:
        """80 % interval of a value whose log errs by `sigma`."""
        factor = math.exp(Z80 * sigma)
        return cls(value, value / factor, value * factor)

    @classmethod
    def exact(cls, value: float) -> Quantity:
        """A value without an error worth telling."""
        return cls(value, value, value)

    def scaled(self, factor: float) -> Quantity:
        """Value, low and high times `factor`."""
        return Quantity(self.value * factor, self.low * factor, self.high * factor)

    def inverse(self) -> Quantity:
        """1/x: a rate from a time."""
        return Quantity(1 / self.value, 1 / self.high, 1 / self.low)


class Source(StrEnum):
    """Where weights are read from when an engine starts."""

    PAGE_CACHE = "page cache"
    NVME = "nvme"
    SSD = "ssd"
    HDD = "hdd"
    USB = "usb"
    NETWORK = "network"


@dataclass(frozen=True, slots=True)
class Start:
    """One start of an engine: its parts, and seconds until it answers; parts add up to the value of `ready_s`."""

    source: Source
    terms: tuple[Term, ...]
    ready_s: Quantity


@dataclass(frozen=True, slots=True)
class DeviceMemory:
    """One device's ledger against what it has."""

    device: str
    terms: tuple[MemoryTerm, ...]
    capacity_bytes: float | None
    free_bytes: float | None = None  # measured now, on a live machine

    @property
    def needed_bytes(self) -> float:
        """Sum of the terms."""
        return math.fsum(term.bytes for term in self.terms)

    @property
    def resident_bytes(self) -> float:
        """What the engine's process shows as resident once it is up and nothing else asks for memory: the terms, less
        what fills with use, and file pages.
        """
        return self.needed_bytes + math.fsum(term.cached_bytes - term.late_bytes for term in self.terms)

    @property
    def available_bytes(self) -> float | None:
        """Free now where known, else the capacity."""
        return self.capacity_bytes if self.free_bytes is None else self.free_bytes

    @property
    def spare_bytes(self) -> float | None:
        """What is left; negative when it does not fit; None when the capacity is unknown."""
        return None if self.available_bytes is None else self.available_bytes - self.needed_bytes


@dataclass(frozen=True, slots=True)
class Memory:
    """The memory ledger of a layout."""

    devices: tuple[DeviceMemory, ...]
    max_sequences: int | None = None  # of the workload's context that still fit
    max_context: int | None = None  # of the workload's concurrency that still fits

    @property
    def fits(self) -> bool | None:
        """Whether every device has room; None when a capacity is unknown and none overflows."""
        spares = [device.spare_bytes for device in self.devices]
        if any(spare is not None and spare < 0 for spare in spares):
            return False
        return None if any(spare is None for spare in spares) else True

    @property
    def tightest(self) -> DeviceMemory | None:
        """The device with the least room."""
        measured = [device for device in self.devices if device.spare_bytes is not None]
        return min(measured, key=lambda device: device.spare_bytes or 0.0, default=None)


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a layout would do. Rates are per second; `decode_tok_s` is one user's, `total_tok_s` all output.

    `decode` and `prefill` are the terms of one decode step and of one whole prompt.
    """

    memory: Memory
    decode: tuple[Term, ...]
    prefill: tuple[Term, ...]
    ttft_s: Quantity
    tpot_s: Quantity
    prefill_tok_s: Quantity
    total_tok_s: Quantity
    limited_by: str
    running: float = 1.0  # sequences decoding together, mean
    load_s: float | None = None  # until it answers, weights in the page cache; its parts: `perf.load.starts`
    ttft_p99_s: float | None = None
    tpot_p99_s: float | None = None
    assumptions: tuple[Assumption, ...] = ()
    calibration: str = ""

    @property
    def decode_tok_s(self) -> Quantity:
        """Tokens per second that one user sees: 1 / TPOT."""
        return self.tpot_s.inverse()


class Speeds(NamedTuple):
    """What plans are put in order by: seconds to the first token and for each further one, tokens/s of all users."""

    ttft_s: float
    tpot_s: float
    total_tok_s: float


def speeds_of(estimate: Estimate) -> Speeds:
    """The middle of an estimate's intervals."""
    return Speeds(estimate.ttft_s.value, estimate.tpot_s.value, estimate.total_tok_s.value)


def total_seconds(terms: Iterable[Term]) -> float:
    """Sum of the terms; a step's time is nothing else."""
    return math.fsum(term.seconds for term in terms)


MEMORY, COMPUTE = "memory bandwidth", "compute"


def slower_side(memory_s: float, compute_s: float) -> str:
    """The side of a roofline that takes longer: what limits a term."""
    return MEMORY if memory_s >= compute_s else COMPUTE


def heaviest_limit(terms: Iterable[Term]) -> str:
    """What limits most of the time of all terms: what a step is limited by."""
    sums: dict[str, float] = {}
    for term in terms:
        sums[term.limited_by] = sums.get(term.limited_by, 0.0) + term.seconds
    return max(sums, key=lambda limit: sums[limit])
