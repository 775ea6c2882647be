"""Estimate the candidates, drop what cannot be, rank the rest."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from functools import cache, partial
from itertools import islice

from wellfed.engines.capabilities import CAPABILITIES, Capabilities
from wellfed.engines.usual import can_be_started, is_usual
from wellfed.errors import Unsupported
from wellfed.frozen import dataclass, replace
from wellfed.hardware.machine import Machine
from wellfed.hardware.selection import alike
from wellfed.models.model import Model
from wellfed.models.quantisation import Quantisation, weights
from wellfed.models.weights import Weights
from wellfed.nouns.calibration import Calibration
from wellfed.nouns.estimate import Estimate, Speeds, speeds_of
from wellfed.nouns.layout import ALL_GPU, MOST_SLOTS, DraftKind, Layout, Speculation
from wellfed.nouns.plan import Plan, Request
from wellfed.nouns.workload import Workload
from wellfed.perf.estimate import estimate, speeds
from wellfed.perf.memory import spare_bytes
from wellfed.perf.memory.kv import kv_element_bytes
from wellfed.planner import speculate
from wellfed.planner.candidates import candidates
from wellfed.planner.dominated import Dominated
from wellfed.planner.floors import fastest
from wellfed.planner.goal import Goal, Objective, coarseness, kv_coarseness
from wellfed.planner.kinds import kind_of
from wellfed.planner.offloads import as_many_as_fit
from wellfed.planner.pictured import as_served
from wellfed.planner.ranking import Outs, Ranking
from wellfed.planner.refusal import Refusal
from wellfed.planner.standings import Contender, Rank, Standings
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
        if not self.sweep:
            return self._drafting(self.rank(self.layouts(refused), refused, all_chunks=True))
        coarse = self.rank(self.layouts(refused, _COARSE), refused, _COARSE, all_chunks=True)
        widths = (
            replace(contender.layout, max_sequences=1) for contender in coarse.contenders
        )  # one curve, whatever the slots
        return coarse.joined(self.rank(_with_slots(islice(_distinct(widths), _REFINED)), None, _FINE))

    def layouts(self, refused: list[Refusal], users: tuple[int, ...] = ()) -> Iterator[Layout]:
        """Every layout worth estimating for so many users at a time (none: the workload's), with the slots that these
        may need; engines that cannot run are told in `refused`.
        """
        slots = None if self.goal.pins else partial(self._slots, users or (self.workload.concurrency,))
        return candidates(self.machine, self.model, self.goal, refused, self.workload, slots)

    def _drafting(self, ranking: Ranking) -> Ranking:
        """The front runners once more with what drafts tokens (or, where drafting was asked for, without), and what
        that does.
        """
        is_asked = self.goal.speculation is not None
        guess = speculate.by_itself(self.model) if self.goal.may_speculate else None
        if is_asked:
            first = _distinct(contender.layout for contender in islice(ranking.front(), _DRAFTED_PLANS))
            bare = self.rank([replace(layout, speculation=None) for layout in first])
            return ranking.with_drafting(speculate.compared(ranking.contenders, bare.contenders))
        front = self._draftable(self._with_predictors(ranking), guess, ranking) if guess is not None else []
        if guess is None or not front:
            return ranking
        tried = self.rank(speculate.variants(front, guess, self.workload))
        return ranking.joined(tried).with_drafting(speculate.compared(tried.contenders, ranking.contenders))

    def _with_predictors(self, ranking: Ranking) -> list[Layout]:
        """The layouts among the front runners whose files hold prediction layers."""
        first = ranking.in_front(_DRAFTED_PLANS, lambda contender: self._has_predictors(contender.layout))
        return list(dict.fromkeys(contender.layout for contender in first))

    def _draftable(self, front: list[Layout], guess: Speculation | None, ranking: Ranking) -> list[Layout]:
        """The layouts; where an engine does not draft over a pipeline, the best of the same engine without one."""
        layouts: dict[Layout, None] = {}
        for layout in front:
            if guess is None or speculate.why_not(layout, guess, self.workload) is None:
                layouts[layout] = None
                continue
            others = (
                contender.layout
                for contender in ranking.placed(kind_of(layout))
                if _same_files(contender.layout, layout)
            )
            flat = next((candidate for candidate in others if candidate.pipeline_parallel == 1), None)
            if flat is not None:
                layouts[flat] = None
        return list(layouts)

    def _has_predictors(self, layout: Layout) -> bool:
        """Whether the files of such a plan hold the prediction layers: published checkpoints do, GGUFs mostly not."""
        if self.file_weights is not None:
            return self.file_weights.mtp > 0
        return CAPABILITIES[layout.engine].tensor_parallel

    def rank(
        self,
        layouts: Iterable[Layout],
        refused: list[Refusal] | None = None,
        users: tuple[int, ...] = (),
        all_chunks: bool = False,
    ) -> Ranking:
        """Put `layouts` that fit in order, at each of `users` at a time (none: the workload's).

        `all_chunks`: they come with every chunk of prompts that their engine is tried with, so that the least that
        bounds nothing stands for larger ones.
        """
        standings, outs, count = Standings(), Outs(), 0
        dominated = self._dominated(not users and not self.sweep, all_chunks)
        for request in self._requests(layouts, users or (self.workload.concurrency,), dominated):
            count += 1
            tell("layouts", count)
            for contender in self._contenders(request, outs):
                standings.add(contender)
        return Ranking(standings, outs, refused or (), count + dominated.dismissed)

    def _contenders(self, request: Request, outs: Outs) -> Iterator[Contender]:
        """The layout under its bound, where it has one; else what it is when its offload is settled."""
        bound = None if request.layout.offload == ALL_GPU else fastest(request, self.calibration)
        if bound is None:
            yield from self._settled(request, outs)
        else:
            yield self._under(bound, request, partial(self._settled, request, outs))

    def _settled(self, request: Request, outs: Outs) -> Iterator[Contender]:
        """The layout with "as much as fits" replaced by a number, estimated or, on GPUs alone, under its bound; nothing
        where it does not fit.
        """
        for filled in as_many_as_fit(request):
            if not outs.fits(filled):
                continue
            bound = fastest(filled, self.calibration) if filled.layout.offload == ALL_GPU else None
            if bound is None:
                yield from self._timed(filled, outs)
            else:
                yield self._under(bound, filled, partial(self._timed, filled, outs))

    def _under(self, bound: Speeds, request: Request, settle: Callable[[], Iterator[Contender]]) -> Contender:
        rank = self._rank(request.layout, request.workload, bound)
        return Contender(request.layout, request.workload, rank, settle=settle)

    def _timed(self, request: Request, outs: Outs) -> Iterator[Contender]:
        """A layout that fits, estimated; nothing where it cannot be."""
        try:
            rank = self._rank(request.layout, request.workload, speeds(request, self.calibration))
        except Unsupported as error:
            outs.refuse(request, error)
            return
        yield Contender(request.layout, request.workload, rank, look=partial(self._plan, request))

    def requests(self, layouts: Iterable[Layout]) -> Iterator[Request]:
        """The layouts as questions under the workload, with "as much as fits" replaced by a number."""
        for request in self._requests(layouts, (self.workload.concurrency,), self._dominated(False)):
            yield from as_many_as_fit(request)

    def _dominated(self, one_load: bool, all_chunks: bool = False) -> Dominated:
        per_node, rate = len(self.machine.gpus), self.workload.request_rate
        # groups of unequal GPUs have each their own most replicas
        users = self.workload.concurrency if one_load and rate is None and alike(self.machine) else None
        return Dominated(
            per_node, equal_ones(self.machine) * self.machine.count, users, self.goal.objective is Objective.COST,
            self._holds, self.model.is_moe, all_chunks,
        )  # fmt: skip

    def _holds(self, layout: Layout) -> bool:
        model_weights = self.file_weights or weights(self.model, self.quantisation(layout.quantisation))
        load = as_served(self.workload, layout, self.model)
        return (spare_bytes(Request(self.machine, self.model, model_weights, layout, load)) or 0.0) >= 0

    def _requests(self, layouts: Iterable[Layout], users: tuple[int, ...], dominated: Dominated) -> Iterator[Request]:
        weights_in = cache(self._weights)
        for layout in layouts:
            model_weights = weights_in(layout.quantisation)
            if model_weights is None:
                continue
            if layout.speculation is not None:
                guess = layout.speculation
                if guess.kind is DraftKind.MTP and not model_weights.mtp:
                    continue  # the file was made without the prediction layers
                guess = speculate.completed(guess, self.model, model_weights, self.goal.draft, self.goal.acceptance)
                layout = replace(layout, speculation=guess)
            for workload in self._workloads(layout, users):
                if not self.goal.pins and not dominated.worth(layout, workload):
                    continue
                for slotted in self._slotted(layout):
                    yield Request(self.machine, self.model, model_weights, slotted, workload)

    def _weights(self, name: str) -> Weights | None:
        """The model's weights in the quantisation `name`; None where they are too coarse for the goal."""
        kind = self.quantisation(name)
        if kind.bits < self.goal.least_quality_bits and not self.goal.quantisations:
            return None
        return self.file_weights or weights(self.model, kind)

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
            pinned = self.goal.pinned(layout.engine)
            if layout.max_sequences in self._enough(slots, concurrency) or (
                pinned is not None and pinned.slots == layout.max_sequences
            ):
                load = self.workload  # more slots than users change nothing
                load = load if concurrency == load.concurrency else replace(load, concurrency=concurrency)
                yield as_served(load, layout, self.model)

    def _enough(self, slots: tuple[int, ...], users: int) -> tuple[int, ...]:
        """How many slots of those that an engine is tried with are tried for so many users."""
        if self.workload.request_rate is not None:
            return (*_RATE_SLOTS, 1)
        return (next((count for count in slots if count >= users), slots[-1]), 1)

    def _slots(self, users: tuple[int, ...], capabilities: Capabilities) -> tuple[int, ...]:
        """The same for any of `users`: the other layouts need not be made."""
        slots = capabilities.max_sequences
        enough = {count for number in users for count in self._enough(slots, number)}
        return tuple(count for count in slots if count in enough)

    def _plan(self, request: Request) -> Plan:
        return Plan(
            request.machine,
            request.model,
            request.weights,
            request.layout,
            request.workload,
            self.estimate(request),
        )

    def rank_key(self, plan: Plan) -> Rank:
        """What plans are put in order by, the best first."""
        return self._rank(plan.layout, plan.workload, speeds_of(plan.estimate))

    def _rank(self, layout: Layout, workload: Workload, speeds: Speeds) -> Rank:
        """The rank of a layout with such speeds: no better one with slower ones."""
        share = _served_share(workload, speeds)
        late, *rest = self._key(layout, workload, speeds)
        unstartable = not can_be_started(self.machine, layout)
        rare = not (self.goal.engines or is_usual(self.machine, self.model, layout))
        return (unstartable, 0.0 if share > KEEPS_UP else 1 - share, late, rare, *rest)

    def _key(self, layout: Layout, workload: Workload, speeds: Speeds) -> Rank:
        late = lateness_of(workload, speeds)
        bits = self.quantisation(layout.quantisation).bits
        took = speeds.ttft_s + workload.output_tokens * speeds.tpot_s
        match self.goal.objective:
            case Objective.THROUGHPUT:
                return (late, -speeds.total_tok_s, took)
            case Objective.QUALITY:
                slow = speeds.tpot_s * self.goal.usable_tok_s > 1
                return (late, slow, -bits, -kv_element_bytes(layout.kv_type), took)
            case Objective.COST:
                return (late, _price_or_power(self.machine, layout) / speeds.total_tok_s, took)
            case Objective.LATENCY:
                return (late, took, layout.gpus)
            case Objective.BALANCED:
                coarse = coarseness(bits) * kv_coarseness(kv_element_bytes(layout.kv_type))
                return (late, took * coarse, layout.gpus)


def _same_files(first: Layout, second: Layout) -> bool:
    return (first.engine, first.quantisation, first.kv_type) == (second.engine, second.quantisation, second.kv_type)


def _with_slots(layouts: Iterable[Layout]) -> Iterator[Layout]:
    """Each layout in every number of slots its engine is tried with."""
    for layout in layouts:
        for slots in CAPABILITIES[layout.engine].max_sequences:
            yield replace(layout, max_sequences=slots)


def served_share(plan: Plan) -> float:
    """The share of the requests that the plan keeps up with; 1 where no rate was asked for."""
    return _served_share(plan.workload, speeds_of(plan.estimate))


def _served_share(workload: Workload, speeds: Speeds) -> float:
    rate = workload.request_rate
    return 1.0 if rate is None else min(1.0, speeds.total_tok_s / (rate * workload.output_tokens))


def missed_targets(plan: Plan) -> tuple[Missed, ...]:
    """The latency targets of the workload that the plan misses."""
    return _missed(plan.workload, speeds_of(plan.estimate))


def _missed(workload: Workload, speeds: Speeds) -> tuple[Missed, ...]:
    wanted = (("ttft", workload.ttft_target_s, speeds.ttft_s), ("tpot", workload.tpot_target_s, speeds.tpot_s))
    return tuple(Missed(name, value / most - 1) for name, most, value in wanted if most is not None and value > most)


def lateness(plan: Plan) -> float:
    """By how much the targets are missed, as a factor over each, multiplied: 0.0 where all are met."""
    return lateness_of(plan.workload, speeds_of(plan.estimate))


def lateness_of(workload: Workload, speeds: Speeds) -> float:
    """As `lateness`, of the speeds that a workload would have."""
    if workload.ttft_target_s is None and workload.tpot_target_s is None:
        return 0.0
    return math.prod(1 + missed.by for missed in _missed(workload, speeds)) - 1


def meets_targets(plan: Plan) -> bool | None:
    """Whether the plan keeps every target and keeps up with the rate; None where nothing was asked for."""
    workload = plan.workload
    if workload.ttft_target_s is None and workload.tpot_target_s is None and workload.request_rate is None:
        return None
    return not missed_targets(plan) and served_share(plan) > KEEPS_UP


def _price_or_power(machine: Machine, layout: Layout) -> float:
    """Money where the machine's price is known, else the watts of the parts in use."""
    if machine.price is not None:
        return machine.price
    boards = [gpu.spec.board_power_w or 300.0 for gpu in machine.gpus if gpu.spec]
    gpus = sum(boards) / len(boards) * layout.gpus if boards else 0.0
    return gpus + sum((socket.cpu.power_w or 150.0) if socket.cpu else 150.0 for socket in machine.sockets)


def _distinct(layouts: Iterable[Layout]) -> Iterator[Layout]:
    """The layouts without repetitions, in their order."""
    seen: set[Layout] = set()
    for layout in layouts:
        if layout not in seen:
            seen.add(layout)
            yield layout
