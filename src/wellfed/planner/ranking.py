"""What a search comes to: plans that fit in rank order, and why the other layouts are out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from wellfed.errors import Unsupported
from wellfed.frozen import dataclass
from wellfed.message import Message, counted, listed, sentence
from wellfed.nouns.estimate import Memory
from wellfed.nouns.layout import Layout
from wellfed.nouns.plan import Plan, Request
from wellfed.perf.memory import least_missing_bytes, ledgers, spare_bytes
from wellfed.planner.kinds import Kind, kind_of
from wellfed.planner.refusal import Refusal
from wellfed.planner.standings import Contender, InOrder, Place, Sort, Standings


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

    def in_front(self, count: int, wanted: Callable[[Contender], bool]) -> list[Contender]:
        """The `wanted` ones among the first `count` of `front`, with as few bounds settled as decide which these are.
        Of a sort that is wanted no contender is known by a bound only.
        """
        firsts: dict[Sort, tuple[Place, Kind, Contender]] = {}
        for kind, place, contender in self.standings.all():
            first = firsts.get(contender.sort)
            if wanted(contender) and (first is None or (place, kind) < first[:2]):
                firsts[contender.sort] = place, kind, contender
        chosen: list[Contender] = []
        for place, kind, contender in sorted(firsts.values(), key=lambda first: first[:2]):
            if self.standings.has_sorts_before(count, place, kind):
                break
            chosen.append(contender)
        return chosen

    def placed(self, kind: Kind) -> Iterator[Contender]:
        """The contenders of one placement, in rank order."""
        return iter(self.standings.queues[kind])

    def best_of(self, kind: Kind) -> Plan | None:
        """The best plan that runs on the CPU, on GPUs, or on both."""
        return next((contender.plan for contender in self.placed(kind)), None)
