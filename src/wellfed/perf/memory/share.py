"""One device's share of a layout: what it holds whatever the load, and what grows with context and sequences."""

from __future__ import annotations

from collections.abc import Callable
from math import floor, inf

from wellfed.frozen import dataclass, replace
from wellfed.nouns.estimate import DeviceMemory, MemoryTerm
from wellfed.perf.identity import per_object, per_object_and_values

Named = tuple[str, float, str]  # name, bytes, note
Growth = Callable[[int, int], tuple[Named, ...]]  # (tokens of context, sequences) -> what they take


@dataclass(frozen=True, slots=True)
class Sized:
    """A growth that also tells its bytes alone: searches ask for these thousands of times, for the notes seldom."""

    sizes: Callable[[int, int], tuple[float, ...]]
    named: Callable[[int, int, tuple[float, ...]], tuple[Named, ...]]

    def __call__(self, context: int, sequences: int) -> tuple[Named, ...]:
        """What they take, each with its name and note."""
        return self.named(context, sequences, self.sizes(context, sequences))


@dataclass(frozen=True, slots=True)
class Share:
    """`fixed` terms, of this device or of one that holds the same, and a `growth`; capacities as in `DeviceMemory`.

    `caches`: part of the cache is here, so an unknown capacity leaves open how many sequences fit.
    """

    device: str
    fixed: tuple[MemoryTerm, ...]
    growth: Growth
    capacity_bytes: float | None
    free_bytes: float | None = None
    caches: bool = True

    def ledger(self, context: int, sequences: int) -> DeviceMemory:
        """The ledger at a load."""
        return self.ledger_of(self.growth(context, sequences))

    def ledger_of(self, terms: tuple[Named, ...]) -> DeviceMemory:
        """The ledger with what grows already known."""
        device = self.device
        fixed = tuple([term if term.device == device else replace(term, device=device) for term in self.fixed])
        grown = tuple([MemoryTerm(device, *term) for term in terms])
        return DeviceMemory(device, fixed + grown, self.capacity_bytes, self.free_bytes)

    @property
    def room_bytes(self) -> float | None:
        """What is left beside the fixed terms; None when the capacity is unknown."""
        available = self.capacity_bytes if self.free_bytes is None else self.free_bytes
        return None if available is None else available - sum([term.bytes for term in self.fixed])

    def grown_bytes(self, context: int, sequences: int) -> float:
        """Sum of the growing terms."""
        if isinstance(self.growth, Sized):
            return sum(self.growth.sizes(context, sequences))
        return sum([size for _, size, _ in self.growth(context, sequences)])


@per_object_and_values
def least_left(shares: tuple[Share, ...], context: int, sequences: int) -> float | None:
    """What the tightest of the shares has left at a load; None where no capacity is known."""
    rooms = [(share, room) for share, room in distinct(shares) if room is not None]
    return min([room - share.grown_bytes(context, sequences) for share, room in rooms], default=None)


@per_object_and_values
def most_sequences(shares: tuple[Share, ...], context: int) -> int | None:
    """Sequences of `context` tokens that all shares have room for; None when a capacity is unknown that matters.

    Growth is nearly affine in the number of sequences (logits of one token each are not): two evaluations tell
    the slope, a third whether it holds.
    """
    most: float | None = None
    for share, room in distinct(shares):
        if room is None and not share.caches:
            continue
        if room is None:
            return None
        first, second = share.grown_bytes(context, 1), share.grown_bytes(context, 2)
        if first > room:
            return 0
        if second > first:
            fitting = _exactly(share, context, room, 1 + floor((room - first) / (second - first)))
            most = fitting if most is None else min(most, fitting)
    return None if most is None else int(most)


def _exactly(share: Share, context: int, room: float, guess: int) -> int:
    """The most sequences for which a share has room, at most so many as a straight line says."""
    low, high = 1, guess
    if share.grown_bytes(context, guess) <= room:
        return guess
    while high - low > 1:
        middle = (low + high) // 2
        if share.grown_bytes(context, middle) <= room:
            low = middle
        else:
            high = middle
    return low


def longest_context(shares: tuple[Share, ...], sequences: int, limit: int, step: int = 1024) -> int | None:
    """The longest context up to `limit`, in steps, for which `sequences` fit; None when a capacity is unknown that
    matters.
    """
    longest = limit
    for share, room in distinct(shares):
        if room is None and not share.caches:
            continue
        if room is None:
            return None
        if share.grown_bytes(longest, sequences) > room:
            longest = _bisect(share, sequences, room, longest, step)
    return longest


def _bisect(share: Share, sequences: int, room: float, limit: int, step: int) -> int:
    low, high = 0, -(-limit // step)
    while high - low > 1:
        middle = (low + high) // 2
        if share.grown_bytes(middle * step, sequences) <= room:
            low = middle
        else:
            high = middle
    return low * step


@per_object
def distinct(shares: tuple[Share, ...]) -> tuple[tuple[Share, float | None], ...]:
    """The shares without those that grow alike and have no less room (tensor-parallel ranks are all alike), each with
    its room.
    """
    alike = {(id(share.fixed), id(share.growth), share.capacity_bytes, share.free_bytes): share for share in shares}
    tightest: dict[int, tuple[float, Share, float | None]] = {}
    for share in alike.values():
        room = share.room_bytes
        key, order = id(share.growth), -inf if room is None else room
        seen_before = tightest.get(key)
        if seen_before is None or order < seen_before[0]:
            tightest[key] = (order, share, room)
    return tuple([(share, room) for _, share, room in tightest.values()])
