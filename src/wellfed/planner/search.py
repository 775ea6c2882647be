"""Estimate the candidates, drop what cannot be, rank the rest."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from wellfed.engines.capabilities import CAPABILITIES
from wellfed.engines.usual import can_be_started, is_usual
from wellfed.errors import Unsupported
from wellfed.frozen import dataclass
from wellfed.hardware.machine import Machine
from wellfed.hardware.selection import alike
from wellfed.message import Message, counted, listed, sentence
from wellfed.models.model import Model
from wellfed.models.quantisation import Quantisation, weights
from wellfed.models.weights import Weights
from wellfed.nouns.calibration import Calibration
from wellfed.nouns.estimate import Estimate, Memory
from wellfed.nouns.layout import MOST_SLOTS, DraftKind, Layout, Speculation
from wellfed.nouns.plan import Plan, Request
from wellfed.nouns.workload import Workload
from wellfed.perf.estimate import estimate
from wellfed.perf.memory import ledgers
from wellfed.perf.memory.kv import kv_element_bytes
from wellfed.planner import speculate
from wellfed.planner.candidates import Refusal, candidates
from wellfed.planner.dominated import Dominated
from wellfed.planner.goal import Goal, Objective, coarseness, kv_coarseness
from wellfed.planner.kinds import Kind, kind_of
from wellfed.planner.offloads import as_many_as_fit
from wellfed.planner.usable import equal_ones
from wellfed.progress import tell

QuantisationOf = Callable[[str], Quantisation]
_COARSE, _FINE = (1, 16, 128, 1024), (2, 4, 8, 32, 64, 256, 512)
_RATE_SLOTS = (64, 1024)  # under a request rate nobody knows how many run: few and many
_REFINED = 24  # layouts whose whole curve is computed
KEEPS_UP = 0.99  # of the requests: what serves more is not overloaded
_LOCAL_RATE_SLOTS = (4, 16, 64)
_DRAFTED_PLANS = 12  # front runners that are tried with drafted tokens, too


@dataclass(frozen=True, slots=True)
class Missed:
    """A latency target ("ttft" or "tpot") that a plan misses: `by` 0.5 is half as long again as wanted."""

    target: str
    by: float


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


@dataclass(frozen=True, slots=True)
class Ranking:
    """Plans that fit, best first; why others are out; how many layouts were looked at or set aside."""

    plans: tuple[Plan, ...]
    refused: tuple[Refusal, ...]
    considered: int
    near_miss: NearMiss | None = None
    too_big: frozenset[Kind] = frozenset()  # placements of which some layout was tried and found too big
    drafting: Message | None = None  # what drafting tokens does here, where it was tried

    @property
    def best(self) -> Plan | None:
        """The first plan, if any fits."""
        return self.plans[0] if self.plans else None

    def best_of_each_kind(self) -> tuple[Plan, ...]:
        """The best plan of each engine, quantisation, KV cache type and placement, in rank order."""
        seen: dict[object, Plan] = {}
        for plan in self.plans:
            layout = plan.layout
            key = (layout.engine, layout.quantisation, layout.kv_type, kind_of(layout), layout.speculation is None)
            seen.setdefault(key, plan)
        return tuple(seen.values())

    def best_of(self, kind: Kind) -> Plan | None:
        """The best plan that runs on the CPU, on GPUs, or on both."""
        return next((plan for plan in self.plans if kind_of(plan.layout) is kind), None)


@dataclass(frozen=True, slots=True)
class Search:
    """Everything a search needs: what to run on what, for what, and the model of speed."""

    machine: Machine
    model: Model
    workload: Workload
    goal: Goal
    calibration: Calibration
    quantisation: QuantisationOf
    sweep: bool = False  # try many concurrencies
    file_weights: Weights | None = None  # of a file that is at hand: no other quantisation is tried

    def estimate(self, request: Request) -> Estimate:
        """The one estimate, with this search's calibration."""
        return estimate(request, self.calibration)

    def run(self) -> Ranking:
        """Rank every candidate layout; a sweep computes the whole curve of the front runners only."""
        refused: list[Refusal] = []
        found = candidates(self.machine, self.model, self.goal, refused, self.workload)
        if not self.sweep:
            return self._drafting(self.rank(found, refused))
        coarse = self.rank(found, refused, _COARSE)
        front = dict.fromkeys(plan.layout for plan in coarse.plans)
        widths = {
            replace(layout, max_sequences=1): layout for layout in front
        }  # one curve for each, whatever the slots
        fine = self.rank(_with_slots(list(widths)[:_REFINED]), None, _FINE)
        plans = tuple(sorted((*coarse.plans, *fine.plans), key=self.rank_key))
        return replace(coarse, plans=plans, considered=coarse.considered + fine.considered)

    def _drafting(self, ranking: Ranking) -> Ranking:
        """The front runners once more with what drafts tokens (or, where drafting was asked for, without), and what
        that does.
        """
        asked = self.goal.speculation is not None
        guess = speculate.by_itself(self.model) if self.goal.may_speculate else None
        front = list(dict.fromkeys(plan.layout for plan in ranking.best_of_each_kind()[:_DRAFTED_PLANS]))
        if not asked:
            front = [layout for layout in self._draftable(front, guess, ranking) if self._has_predictors(layout)]
        if asked:
            bare = [replace(layout, speculation=None) for layout in front]
            plain = self.rank(bare) if bare else ranking
            both = tuple(sorted((*ranking.plans, *plain.plans), key=self.rank_key))
            return replace(ranking, drafting=speculate.compared(both))
        if guess is None or not front:
            return ranking
        tried = self.rank(speculate.variants(front, guess, self.workload))
        plans = tuple(sorted((*ranking.plans, *tried.plans), key=self.rank_key))
        said = speculate.compared(plans)
        return replace(ranking, plans=plans, considered=ranking.considered + tried.considered, drafting=said)

    def _draftable(self, front: list[Layout], guess: Speculation | None, ranking: Ranking) -> list[Layout]:
        """The layouts; where an engine does not draft over a pipeline, the best of the same engine without one."""
        found: dict[Layout, None] = {}
        for layout in front:
            if guess is None or speculate.why_not(layout, guess, self.workload) is None:
                found[layout] = None
                continue
            others = (plan.layout for plan in ranking.plans if _same_files(plan.layout, layout))
            flat = next((other for other in others if other.pipeline_parallel == 1), None)
            if flat is not None:
                found[flat] = None
        return list(found)

    def _has_predictors(self, layout: Layout) -> bool:
        """Whether the files of such a plan hold the prediction layers: published checkpoints do, GGUFs mostly not."""
        if self.file_weights is not None:
            return self.file_weights.mtp > 0
        return CAPABILITIES[layout.engine].tensor_parallel

    def rank(
        self, layouts: Iterable[Layout], refused: list[Refusal] | None = None, users: tuple[int, ...] = ()
    ) -> Ranking:
        """Estimate `layouts` at each of `users` at a time (none: the workload's) and put those that fit in order."""
        found: list[Plan] = []
        overflow: Counter[str] = Counter()
        nearest: NearMiss | None = None
        too_big: set[Kind] = set()
        count = 0
        reasons: list[Refusal] = []
        dominated = self._dominated(not users and not self.sweep)
        for request in self._requests(layouts, users or (self.workload.concurrency,), dominated):
            count += 1
            tell("layouts", count)
            needed = ledgers(request)
            if needed.fits is False:
                overflow[request.layout.engine.value] += 1
                nearest = _nearer(nearest, request, needed)
                too_big.add(kind_of(request.layout))
                continue
            try:
                found.append(self._plan(request))
            except Unsupported as error:
                reasons.append(Refusal(request.layout.engine.value, error.message))
        reasons = [*(refused or ()), *reasons]  # known once the layouts have been made
        if overflow:
            counts = listed(f"{engine} {n}" for engine, n in overflow.items())
            noun = counted("planner.search.layouts", "{count} layout", "{count} layouts", overflow.total())
            reasons.append(
                Refusal(
                    sentence("planner.search.memory", "memory"),
                    sentence(
                        "planner.search.too-little",
                        "too little for {noun} ({counts})",
                        noun=noun,
                        counts=counts,
                    ),
                )
            )
        ordered = tuple(sorted(found, key=self.rank_key))
        return Ranking(ordered, _distinct(reasons), count + dominated.dismissed, nearest, frozenset(too_big))

    def requests(self, layouts: Iterable[Layout]) -> Iterator[Request]:
        """The layouts as questions under the workload, with "as much as fits" replaced by a number."""
        return self._requests(layouts, (self.workload.concurrency,), self._dominated(False))

    def _dominated(self, one_load: bool) -> Dominated:
        per_node, rate = len(self.machine.gpus), self.workload.request_rate
        # groups of unequal GPUs have each their own most replicas
        users = self.workload.concurrency if one_load and rate is None and alike(self.machine) else None
        return Dominated(
            per_node, equal_ones(self.machine) * self.machine.count, users, self.goal.objective is Objective.COST,
            self._holds,
        )  # fmt: skip

    def _holds(self, layout: Layout) -> bool:
        held = self.file_weights or weights(self.model, self.quantisation(layout.quantisation))
        return ledgers(Request(self.machine, self.model, held, layout, self.workload)).fits is not False

    def _requests(self, layouts: Iterable[Layout], users: tuple[int, ...], dominated: Dominated) -> Iterator[Request]:
        for layout in layouts:
            kind = self.quantisation(layout.quantisation)
            if kind.bits < self.goal.least_quality_bits and not self.goal.quantisations:
                continue
            held = self.file_weights or weights(self.model, kind)
            if layout.speculation is not None:
                guess = layout.speculation
                if guess.kind is DraftKind.MTP and not held.mtp:
                    continue  # the file was made without the prediction layers
                guess = speculate.completed(guess, self.model, held, self.goal.draft, self.goal.acceptance)
                layout = replace(layout, speculation=guess)
            for workload in self._workloads(layout, users):
                if not self.goal.pins and not dominated.worth(layout):
                    continue
                for slotted in self._slotted(layout):
                    yield from as_many_as_fit(Request(self.machine, self.model, held, slotted, workload))

    def _slotted(self, layout: Layout) -> tuple[Layout, ...]:
        """The layout; of local engines under a request rate, with few and with many slots: each takes memory."""
        if self.workload.request_rate is None or CAPABILITIES[layout.engine].max_sequences != (1,):
            return (layout,)
        return tuple(replace(layout, max_sequences=slots) for slots in _LOCAL_RATE_SLOTS)

    def _workloads(self, layout: Layout, users: tuple[int, ...]) -> Iterator[Workload]:
        slots = CAPABILITIES[layout.engine].max_sequences
        for concurrency in users:
            if slots == (1,) and len(users) > 1 and concurrency > MOST_SLOTS:
                continue
            enough = next((count for count in slots if count >= concurrency), slots[-1])
            tried = (enough, 1) if self.workload.request_rate is None else (*_RATE_SLOTS, 1)
            pinned = self.goal.pinned(layout.engine)
            if layout.max_sequences in tried or (pinned is not None and pinned.slots == layout.max_sequences):
                yield replace(self.workload, concurrency=concurrency)  # more slots than users change nothing

    def _plan(self, request: Request) -> Plan:
        return Plan(
            request.machine,
            request.model,
            request.weights,
            request.layout,
            request.workload,
            self.estimate(request),
        )

    def rank_key(self, plan: Plan) -> tuple[float, ...]:
        """What plans are put in order by, the best first."""
        share = served_share(plan)
        late, *rest = self._key(plan)
        unstartable = not can_be_started(plan.machine, plan.layout)
        rare = not (self.goal.engines or is_usual(plan.machine, plan.model, plan.layout))
        return (unstartable, 0.0 if share > KEEPS_UP else 1 - share, late, rare, *rest)

    def _key(self, plan: Plan) -> tuple[float, ...]:
        late = lateness(plan)
        bits = self.quantisation(plan.layout.quantisation).bits
        took = plan.estimate.ttft_s.value + plan.workload.output_tokens * plan.estimate.tpot_s.value
        match self.goal.objective:
            case Objective.THROUGHPUT:
                return (late, -plan.estimate.total_tok_s.value, took)
            case Objective.QUALITY:
                slow = plan.estimate.decode_tok_s.value < self.goal.usable_tok_s
                return (late, slow, -bits, -kv_element_bytes(plan.layout.kv_type), took)
            case Objective.COST:
                return (late, _price_or_power(plan) / plan.estimate.total_tok_s.value, took)
            case Objective.LATENCY:
                return (late, took, plan.layout.gpus)
            case Objective.BALANCED:
                coarse = coarseness(bits) * kv_coarseness(kv_element_bytes(plan.layout.kv_type))
                return (late, took * coarse, plan.layout.gpus)


def _same_files(one: Layout, other: Layout) -> bool:
    return (one.engine, one.quantisation, one.kv_type) == (other.engine, other.quantisation, other.kv_type)


def _with_slots(layouts: Iterable[Layout]) -> Iterator[Layout]:
    """Each layout in every number of slots its engine is tried with."""
    for layout in layouts:
        for slots in CAPABILITIES[layout.engine].max_sequences:
            yield replace(layout, max_sequences=slots)


def served_share(plan: Plan) -> float:
    """The share of the requests that the plan keeps up with; 1 where no rate was asked for."""
    rate = plan.workload.request_rate
    return 1.0 if rate is None else min(1.0, plan.estimate.total_tok_s.value / (rate * plan.workload.output_tokens))


def missed_targets(plan: Plan) -> tuple[Missed, ...]:
    """The latency targets of the workload that the plan misses."""
    wanted = (
        ("ttft", plan.workload.ttft_target_s, plan.estimate.ttft_s.value),
        ("tpot", plan.workload.tpot_target_s, plan.estimate.tpot_s.value),
    )
    return tuple(Missed(name, value / most - 1) for name, most, value in wanted if most is not None and value > most)


def lateness(plan: Plan) -> float:
    """By how much the targets are missed, as a factor over each, multiplied: 0.0 where all are met."""
    return math.prod(1 + missed.by for missed in missed_targets(plan)) - 1


def meets_targets(plan: Plan) -> bool | None:
    """Whether the plan keeps every target and keeps up with the rate; None where nothing was asked for."""
    workload = plan.workload
    if workload.ttft_target_s is None and workload.tpot_target_s is None and workload.request_rate is None:
        return None
    return not missed_targets(plan) and served_share(plan) > KEEPS_UP


def _price_or_power(plan: Plan) -> float:
    """Money where the machine's price is known, else the watts of the parts in use."""
    if plan.machine.price is not None:
        return plan.machine.price
    boards = [gpu.spec.board_power_w or 300.0 for gpu in plan.machine.gpus if gpu.spec]
    gpus = sum(boards) / len(boards) * plan.layout.gpus if boards else 0.0
    return gpus + sum((socket.cpu.power_w or 150.0) if socket.cpu else 150.0 for socket in plan.machine.sockets)


def _nearer(best: NearMiss | None, request: Request, needed: Memory) -> NearMiss | None:
    tightest = needed.tightest
    if tightest is None or tightest.spare_bytes is None:
        return best
    missing = -tightest.spare_bytes
    if best is not None and best.missing_bytes <= missing:
        return best
    return NearMiss(request, needed, missing, tightest.device)


def _distinct(reasons: Iterable[Refusal]) -> tuple[Refusal, ...]:
    return tuple(dict.fromkeys(reasons))
