"""Layouts in rank order, each estimated when its turn may have come.

A search knows of every layout a rank that it cannot beat (`planner.floors`); of most of them that is enough. Layouts
wait in one queue for each placement (GPU, both, CPU), the best rank first. What stands first with an estimate of its
own is the next plan; what stands there with a bound only is estimated and put back. So the best plans of each placement
are those that estimating every layout would give, at the price of a few.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Generic, TypeVar, overload

from wellfed.nouns.layout import Engine, Layout
from wellfed.nouns.plan import Plan
from wellfed.nouns.workload import Workload
from wellfed.planner.kinds import Kind, kind_of

Rank = tuple[float, ...]
T = TypeVar("T")


class InOrder(Sequence[T], Generic[T]):
    """The items of an iterator, taken from it as far as somebody looks."""

    def __init__(self, items: Iterable[T]) -> None:
        self._rest, self._seen = iter(items), list[T]()

    def _take(self, count: int | None) -> None:
        """Have `count` items at hand, or all."""
        self._seen += self._rest if count is None else islice(self._rest, max(0, count - len(self._seen)))

    @overload
    def __getitem__(self, place: int) -> T: ...

    @overload
    def __getitem__(self, place: slice) -> tuple[T, ...]: ...

    def __getitem__(self, place: int | slice) -> T | tuple[T, ...]:
        if isinstance(place, slice):
            ends = (place.start or 0, -1 if place.stop is None else place.stop)
            self._take(None if min(ends) < 0 else ends[1])
            return tuple(self._seen[place])
        self._take(None if place < 0 else place + 1)
        return self._seen[place]

    def __iter__(self) -> Iterator[T]:
        place = 0
        while True:
            self._take(place + 1)
            if place == len(self._seen):
                return
            yield self._seen[place]
            place += 1

    def __len__(self) -> int:
        self._take(None)
        return len(self._seen)

    def __bool__(self) -> bool:
        self._take(1)
        return bool(self._seen)


def _unsettled() -> Plan:
    raise NotImplementedError


class Contender:
    """A layout under a load with the rank of its plan, or with one that no plan of it can beat.

    `look` makes the plan where the rank is its own; `settle` tells what a layout becomes of which only a bound is
    known.
    """

    __slots__ = ("_becomes", "_plan", "layout", "look", "rank", "settle", "workload")

    def __init__(
        self,
        layout: Layout,
        workload: Workload,
        rank: Rank,
        look: Callable[[], Plan] = _unsettled,
        settle: Callable[[], Iterable[Contender]] | None = None,
    ) -> None:
        self.layout, self.workload, self.rank = layout, workload, rank
        self.look, self.settle = look, settle
        self._plan: Plan | None = None
        self._becomes: tuple[Contender, ...] | None = None

    def settled(self) -> tuple[Contender, ...]:
        """What it becomes, asked once: itself where its rank is its own."""
        if self.settle is None:
            return (self,)
        if self._becomes is None:
            self._becomes = tuple(self.settle())
        return self._becomes

    @property
    def sort(self) -> Sort:
        """Engine, quantisation, KV cache type and placement, and whether it drafts: one row of an answer."""
        layout = self.layout
        return layout.engine, layout.quantisation, layout.kv_type, kind_of(layout), layout.speculation is None

    @property
    def plan(self) -> Plan:
        """The plan, made once."""
        if self._plan is None:
            self._plan = self.look()
        return self._plan


Sort = tuple[Engine, str, str, Kind, bool]

Place = tuple[Rank, int, int]  # rank; of equal ones the order in which they came; and of what one became


class Queue:
    """The contenders of one placement: those that are settled, in rank order, and those behind them."""

    def __init__(self) -> None:
        self.settled: list[tuple[Place, Contender]] = []
        self.waiting: list[tuple[Place, Contender]] = []

    def add(self, place: Place, contender: Contender) -> None:
        """Put one where it belongs; before anything is settled, or not before what is."""
        heapq.heappush(self.waiting, (place, contender))

    def ahead(self, count: int) -> Place | None:
        """The place that the contender after `count` others cannot beat; None where there are no more."""
        ahead = self.settled[count] if count < len(self.settled) else self.waiting[0] if self.waiting else None
        return None if ahead is None else ahead[0]

    def settle_one(self) -> None:
        """Settle the first of those that wait."""
        place, contender = heapq.heappop(self.waiting)
        if contender.settle is None:
            self.settled.append((place, contender))
            return
        for number, settled in enumerate(contender.settled()):
            self.add((settled.rank, place[1], number), settled)

    def __iter__(self) -> Iterator[Contender]:
        """All in rank order, each settled when it is its turn."""
        count = 0
        while self.ahead(count) is not None:
            if count == len(self.settled):
                self.settle_one()
            else:
                yield self.settled[count][1]
                count += 1

    def all(self) -> Iterator[tuple[Place, Contender]]:
        """Every place with its contender, settled or not."""
        yield from self.settled
        yield from self.waiting


def _standing(entry: tuple[Place, Contender]) -> tuple[bool, Place]:
    """Settled ones first, each in their order."""
    return entry[1].settle is not None, entry[0]


def _stands_before(limit: Place, place: Place, contender: Contender) -> bool:
    """Whether what the contender at `place` becomes still has a place before `limit`."""
    if contender.settle is None:
        return place < limit
    places = (((settled.rank, place[1], number), settled) for number, settled in enumerate(contender.settled()))
    return any(at < limit and _stands_before(limit, at, settled) for at, settled in places)


class Standings:
    """The queues of all placements."""

    def __init__(self) -> None:
        self.queues = {kind: Queue() for kind in Kind}
        self._count = 0

    def add(self, contender: Contender) -> None:
        """Put one into the queue of its placement, behind its equals."""
        self._count += 1
        self.queues[kind_of(contender.layout)].add((contender.rank, self._count, 0), contender)

    def all(self) -> Iterator[tuple[Kind, Place, Contender]]:
        """In no order, settled or not."""
        return ((kind, place, contender) for kind, queue in self.queues.items() for place, contender in queue.all())

    def has_sorts_before(self, count: int, place: Place, kind: Kind) -> bool:
        """Whether contenders of `count` different sorts stand before a place; settled are as few as decide it."""
        before: dict[Sort, list[tuple[Place, Contender]]] = {}
        for other_kind, other_place, contender in self.all():
            if (other_place, other_kind) < (place, kind):
                before.setdefault(contender.sort, []).append((other_place, contender))
        possible, sure = len(before), 0
        for contenders in sorted(before.values(), key=lambda sort: all(x.settle for _, x in sort)):
            if sure >= count or possible < count:
                break
            stands = any(_stands_before(place, at, contender) for at, contender in sorted(contenders, key=_standing))
            sure, possible = sure + stands, possible - (not stands)
        return sure >= count

    def joined(self, more: Standings) -> Standings:
        """Those of both, the other's behind their equals."""
        both = Standings()
        both._count = self._count + more._count
        for shift, standings in ((0, self), (self._count, more)):
            for kind, (rank, number, part), contender in standings.all():
                both.queues[kind].add((rank, number + shift, part), contender)
        return both

    def __iter__(self) -> Iterator[Contender]:
        """All in rank order, each settled when it is its turn."""
        counts = dict.fromkeys(self.queues, 0)
        while True:
            ahead = [(place, kind) for kind, count in counts.items() if (place := self.queues[kind].ahead(count))]
            if not ahead:
                return
            kind = min(ahead)[1]
            if counts[kind] == len(self.queues[kind].settled):
                self.queues[kind].settle_one()
            else:
                yield self.queues[kind].settled[counts[kind]][1]
                counts[kind] += 1
