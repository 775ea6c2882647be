"""Plans in rank order, each layout estimated when its turn may have come, and each plan made when it is looked at.

A search knows of every layout a rank that it cannot beat (`planner.floors`); of most of them that is enough. Layouts
wait in one queue for each placement (GPU, both, CPU), the best rank first. What stands first with an estimate of its
own is the next plan; what stands there with a bound only is estimated and put back. So the best plans of each placement
are those that estimating every layout would give, at the price of a few.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Generic, NamedTuple, TypeVar, overload

from wellfed.errors import Unsupported
from wellfed.frozen import dataclass
from wellfed.message import Message, counted, listed, sentence
from wellfed.nouns.estimate import Memory
from wellfed.nouns.layout import Engine, Layout
from wellfed.nouns.plan import Plan, Request
from wellfed.nouns.workload import Workload
from wellfed.perf.memory import least_missing_bytes, ledgers, spare_bytes
from wellfed.planner.kinds import Kind, kind_of
from wellfed.planner.refusal import Refusal

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


@dataclass(frozen=True, slots=True)
class NearMiss:
    """The layout that came closest to fitting, and by how much it does not."""

    request: Request
    memory: Memory
    missing_bytes: float
    device: str

    @property
    def layout(self) -> Layout:
        """How the model would be laid out."""
        return self.request.layout


class _Miss(NamedTuple):
    """A layout that does not fit: what it lacks, or lacks at least; and as which it came."""

    missing_bytes: float
    number: int
    request: Request
    exact: bool

    @property
    def looked_at(self) -> _Miss:
        """With what it lacks by its ledger."""
        return self if self.exact else self._replace(missing_bytes=-(spare_bytes(self.request) or 0.0), exact=True)


class Outs:
    """Why layouts are out: too big for the memory, or not to be estimated; what was looked at last is in it."""

    def __init__(self) -> None:
        self.too_big: set[Kind] = set()  # placements of which some layout was tried and found too big
        self._misses: list[_Miss] = []
        self._overflow: Counter[str] = Counter()
        self._reasons: dict[Refusal, None] = {}

    def fits(self, request: Request) -> bool:
        """Whether the memory holds it; what does not is counted. No ledger is made where weights alone are too much."""
        at_least = least_missing_bytes(request)
        missing = at_least or -(spare_bytes(request) or 0.0)
        if missing <= 0:
            return True
        self._overflow[request.layout.engine.value] += 1
        self.too_big.add(kind_of(request.layout))
        self._misses.append(_Miss(missing, self._overflow.total(), request, exact=not at_least))
        return False

    def _nearest(self) -> Request | None:
        """What lacks least, the first of equals: looked at are those that may."""
        nearest: _Miss | None = None
        for miss in sorted(self._misses, key=lambda miss: miss[:2]):
            if nearest is not None and miss.missing_bytes > nearest.missing_bytes:
                break
            looked_at = miss.looked_at
            if nearest is None or looked_at[:2] < nearest[:2]:
                nearest = looked_at
        return None if nearest is None else nearest.request

    @property
    def near_miss(self) -> NearMiss | None:
        """What came closest to fitting, with its ledger."""
        request = self._nearest()
        if request is None:
            return None
        needed = ledgers(request)
        tightest = needed.tightest
        if tightest is None or tightest.spare_bytes is None:
            return None
        return NearMiss(request, needed, -tightest.spare_bytes, tightest.device)

    def refuse(self, request: Request, error: Unsupported) -> None:
        """Keep why it cannot be estimated."""
        self._reasons[Refusal(request.layout.engine.value, error.message)] = None

    def refusals(self) -> Iterator[Refusal]:
        """One for each reason, the memory last."""
        yield from self._reasons
        if not self._overflow:
            return
        counts = listed(f"{engine} {n}" for engine, n in self._overflow.items())
        noun = counted("planner.search.layouts", "{count} layout", "{count} layouts", self._overflow.total())
        text = "too little for {noun} ({counts})"
        yield Refusal(
            sentence("planner.search.memory", "memory"),
            sentence("planner.search.too-little", text, noun=noun, counts=counts),
        )


def _unsettled() -> Plan:
    raise NotImplementedError


class Contender:
    """A layout under a load with the rank of its plan, or with one that no plan of it can beat.

    `look` makes the plan where the rank is its own; `settle` tells what a layout becomes of which only a bound is
    known.
    """

    __slots__ = ("_plan", "layout", "look", "rank", "settle", "workload")

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
        for number, settled in enumerate(contender.settle()):
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


class Standings:
    """The queues of all placements."""

    def __init__(self) -> None:
        self.queues = {kind: Queue() for kind in Kind}
        self._count = 0

    def add(self, contender: Contender) -> None:
        """Put one into the queue of its placement, behind its equals."""
        self._count += 1
        self.queues[kind_of(contender.layout)].add((contender.rank, self._count, 0), contender)

    def all(self) -> Iterator[Contender]:
        """In no order, settled or not."""
        return (contender for queue in self.queues.values() for _, contender in queue.all())

    def joined(self, more: Standings) -> Standings:
        """Those of both, the other's behind their equals."""
        both = Standings()
        both._count = self._count + more._count
        for shift, standings in ((0, self), (self._count, more)):
            for kind, queue in standings.queues.items():
                for (rank, number, part), contender in queue.all():
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


class Ranking:
    """Plans that fit, best first; why others are out; how many layouts were looked at or set aside.

    `drafting`: what drafting tokens does here, where it was tried.
    """

    def __init__(
        self,
        standings: Standings,
        outs: Outs,
        refused: Iterable[Refusal] = (),
        considered: int = 0,
        drafting: Message | None = None,
    ) -> None:
        self.standings, self.considered, self.drafting = standings, considered, drafting
        self._outs, self._refused = outs, tuple(refused)
        self.contenders = InOrder(standings)
        self.plans = InOrder(contender.plan for contender in self.contenders)

    def joined(self, more: Ranking) -> Ranking:
        """The plans of both in order; what is told of those that are out is this one's."""
        standings, considered = self.standings.joined(more.standings), self.considered + more.considered
        return Ranking(standings, self._outs, self._refused, considered, self.drafting)

    def with_drafting(self, drafting: Message | None) -> Ranking:
        """The same with a word of what drafting does."""
        return Ranking(self.standings, self._outs, self._refused, self.considered, drafting)

    @property
    def refused(self) -> tuple[Refusal, ...]:
        """What is out and why, as far as layouts were looked at."""
        return tuple(dict.fromkeys((*self._refused, *self._outs.refusals())))

    @property
    def near_miss(self) -> NearMiss | None:
        """The layout looked at that came closest to fitting, of those that do not."""
        return self._outs.near_miss

    @property
    def too_big(self) -> frozenset[Kind]:
        """Placements of which some layout was looked at and found too big."""
        return frozenset(self._outs.too_big)

    @property
    def best(self) -> Plan | None:
        """The first plan, if any fits."""
        return self.plans[0] if self.plans else None

    def best_of_each_kind(self) -> InOrder[Plan]:
        """The best plan of each engine, quantisation, KV cache type and placement, in rank order."""
        return InOrder(contender.plan for contender in self.front())

    def front(self) -> Iterator[Contender]:
        """The first contender of each engine, quantisation, KV cache type and placement, in rank order."""
        seen: set[object] = set()
        for contender in self.contenders:
            if contender.sort not in seen:
                seen.add(contender.sort)
                yield contender

    def placed(self, kind: Kind) -> Iterator[Contender]:
        """The contenders of one placement, in rank order."""
        return iter(self.standings.queues[kind])

    def best_of(self, kind: Kind) -> Plan | None:
        """The best plan that runs on the CPU, on GPUs, or on both."""
        return next((contender.plan for contender in self.placed(kind)), None)
