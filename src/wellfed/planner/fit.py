"""Which models a machine serves well: the quick enough ones by quality for a use."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from heapq import heapify, heappop, heappush
from itertools import islice

from wellfed.catalog.model_tables import model_ids
from wellfed.catalog.models import Task, by_id, entry
from wellfed.catalog.quality import Quality, quality, quantisation_loss
from wellfed.catalog.sizes import Sizes, sizes
from wellfed.engines.capabilities import CAPABILITIES, usable_quantisations, why_not
from wellfed.frozen import dataclass, replace
from wellfed.hardware.machine import Machine
from wellfed.models.model import Model
from wellfed.models.quantisation_names import quantisation
from wellfed.nouns.calibration import Calibration
from wellfed.nouns.layout import ALL_GPU, CPU_ONLY, SOME_EXPERTS, SOME_LAYERS, Engine, Layout
from wellfed.nouns.plan import Plan
from wellfed.nouns.workload import PRESETS, Workload
from wellfed.perf.memory.devices import carve_out_bytes, gpu_nominal_bytes, unified
from wellfed.planner.degrees import counts, divides
from wellfed.planner.goal import Goal
from wellfed.planner.reach import LEAST_BYTES_PER_WEIGHT, Reach, reach
from wellfed.planner.search import Search
from wellfed.planner.usable import equal_ones
from wellfed.progress import tell

_GGUF_TRIED = ("q8_0", "q6_k", "q4_k_m", "gguf-mxfp4")
# Of what a use wants, this still serves who waits for it (assumed): half the speed, six times to the first token.
_BEARABLE_SPEED, _BEARABLE_WAIT = 0.5, 6.0
_GENERAL = frozenset({Task.TEXT, Task.VISION_LANGUAGE, Task.OMNI})


@dataclass(frozen=True, slots=True)
class Use:
    """What a model is wanted for: its load, and how quick it must be to be used with pleasure (assumed)."""

    name: str
    workload: Workload
    least_tok_s: float
    most_ttft_s: float
    benchmark: str | None = None  # by which models are ranked; None: the usual one


USES: Mapping[str, Use] = {
    "chat": Use("chat", PRESETS["chat"], 8.0, 10.0),
    "code": Use("code", Workload("code", prompt_tokens=4096, output_tokens=1024, context_tokens=16384), 15.0, 20.0),
    "agent": Use("agent", replace(PRESETS["agent"], concurrency=1), 15.0, 60.0),
    "rag": Use("rag", replace(PRESETS["rag"], concurrency=1), 8.0, 20.0),
    "long": Use("long", Workload("long", prompt_tokens=32768, output_tokens=512, context_tokens=65536), 5.0, 120.0),
}


@dataclass(frozen=True, slots=True)
class Fitting:
    """A model with its best plan here. `quality` None: not known; `score` is it less the published loss of
    these weights, nothing where none is published."""

    model_id: str
    plan: Plan
    quality: Quality | None
    score: float | None
    quick: bool
    bearable: bool

    @property
    def max_context(self) -> int | None:
        """Tokens of context that fit, at most the model's limit."""
        return self.plan.estimate.memory.max_context


@dataclass(frozen=True, slots=True)
class Fit:
    """Rows best first; `looked_at` counts the models that were estimated, of `catalogued` in the catalogue."""

    use: Use
    rows: tuple[Fitting, ...]
    looked_at: int
    catalogued: int


def fit(machine: Machine, use: Use, calibration: Calibration, top: int = 10, whole_families: bool = False) -> Fit:
    """The `top` models: quick ones by quality, then by quality what is slow but bearable, then quick ones without a
    known quality by size, then the rest.

    One row a family (the first of it in that order) unless `whole_families`.
    """
    identities = [identity for identity in model_ids() if entry(identity).task in _GENERAL]
    queue = _Queue(machine, use, calibration, identities)
    rows = tuple(islice(queue.best_of_each(_itself if whole_families else _family), top))
    return Fit(use, rows, queue.looked_at, len(identities))


_Rank = tuple[int, bool, float, float]


class _Queue:
    """Models in rank order, each estimated when its turn may have come.

    Every model waits under a rank that it cannot beat (`planner.reach`). One that comes first under such a rank is
    estimated and put back under its own; one that comes first under its own is the next row.
    """

    def __init__(self, machine: Machine, use: Use, calibration: Calibration, identities: Sequence[str]) -> None:
        self._machine, self._use, self._calibration = machine, use, calibration
        self.looked_at = 0
        most, room = reach(machine, calibration), _memory_bytes(machine)
        self._waiting: list[tuple[_Rank, bool, int, str, Fitting | None]] = []
        for number, identity in enumerate(identities):
            counts = sizes(identity)
            if counts is not None and _may_fit(counts, room) and _may_attend(counts, use):
                rank = _best_rank(identity, counts, most, use)
                self._waiting.append((rank, False, number, identity, None))
        heapify(self._waiting)

    def best_of_each(self, kind: Callable[[str], str]) -> Iterator[Fitting]:
        """The first row of each kind of id; ids of a kind that has its row are not estimated."""
        seen: set[str] = set()
        while self._waiting:
            _, _, number, identity, row = heappop(self._waiting)
            if kind(identity) in seen:
                continue
            if row is not None:
                seen.add(kind(identity))
                yield row
                continue
            self.looked_at += 1
            tell("models", self.looked_at)
            row = _fitting(identity, self._machine, self._use, self._calibration)
            if row is not None:
                heappush(self._waiting, (_rank(row), True, number, identity, row))


def _itself(identity: str) -> str:
    return identity


_GENERATION = re.compile(r"[a-z]+-?[a-z]?\d*(?:\.\d+)?")


def _family(identity: str) -> str:
    """The family and generation that an id begins with: qwen3.5, deepseek-v4, kimi-k2.5."""
    match = _GENERATION.match(identity)
    return match[0].rstrip("-") if match else identity


def _rank(row: Fitting) -> _Rank:
    return _rank_of(row.score, row.quick, row.bearable, row.plan.model.parameters)


def _rank_of(score: float | None, quick: bool, bearable: bool, parameters: int) -> _Rank:
    is_unknown = score is None
    group = 3 if not bearable else (2 if quick else 3) if is_unknown else 0 if quick else 1
    return group, is_unknown, -(score or 0.0), -parameters


def _best_rank(identity: str, counts: Sizes, most: Reach, use: Use) -> _Rank:
    """The rank of a model that is as quick as the machine's parts, and loses nothing by quantisation."""
    value = quality(identity, use.name, use.benchmark)
    quick, bearable = _patience(use, most.decode_tok_s(counts), most.ttft_s(counts, use.workload))
    return _rank_of(None if value is None else value.value, quick, bearable, counts.parameters)


def _patience(use: Use, decode_tok_s: float, ttft_s: float) -> tuple[bool, bool]:
    """Whether it is quick, and whether it is bearable."""
    speed, wait = decode_tok_s / use.least_tok_s, ttft_s / use.most_ttft_s
    return speed >= 1 and wait <= 1, speed >= _BEARABLE_SPEED and wait <= _BEARABLE_WAIT


def _may_fit(counts: Sizes, room_bytes: float | None) -> bool:
    return room_bytes is None or counts.parameters * LEAST_BYTES_PER_WEIGHT <= room_bytes


def _may_attend(counts: Sizes, use: Use) -> bool:
    return counts.context_limit >= use.workload.prompt_tokens + use.workload.output_tokens


def _memory_bytes(machine: Machine) -> float | None:
    """RAM and the memory of cards that have their own; None where the RAM is not known."""
    cards = [carve_out_bytes(gpu) if unified(gpu) else gpu_nominal_bytes(gpu) or 0 for gpu in machine.gpus]
    ram = machine.memory_usable_bytes
    return None if ram is None else ram + sum(cards) * machine.count


def _fitting(identity: str, machine: Machine, use: Use, calibration: Calibration) -> Fitting | None:
    """The model's best plan here; None where it does not fit."""
    model = by_id(identity)
    workload = replace(use.workload, context_tokens=min(use.workload.context, model.context_limit))
    search = Search(machine, model, workload, Goal(), calibration, quantisation)
    best = search.rank(lean_layouts(machine, model)).best
    if best is None:
        return None
    estimate, use_quality = best.estimate, quality(identity, use.name, use.benchmark)
    loss = quantisation_loss(best.layout.quantisation)
    score = None if use_quality is None else use_quality.value * (1 - (loss or 0.0))
    return Fitting(
        identity, best, use_quality, score, *_patience(use, estimate.decode_tok_s.value, estimate.ttft_s.value)
    )


def lean_layouts(machine: Machine, model: Model) -> Iterator[Layout]:
    """A handful of layouts that hardly ever miss the best one: one engine a side, few formats, few degrees."""
    gpu = machine.gpus[0].spec if machine.gpus else None
    local, served = CAPABILITIES[Engine.LLAMA_CPP], CAPABILITIES[Engine.VLLM]
    formats = [kind for kind in usable_quantisations(local, model, gpu) if kind in _GGUF_TRIED]
    if gpu is not None and why_not(local, model, gpu) is None:
        for kind in formats:
            for gpus in counts(len(machine.gpus)):
                yield Layout(local.engine, kind, gpus=gpus, offload=ALL_GPU)
            if machine.sockets:
                some = SOME_EXPERTS if model.is_moe else SOME_LAYERS
                yield Layout(local.engine, kind, gpus=len(machine.gpus), offload=some)
    if machine.sockets:
        for kind in formats:
            yield Layout(local.engine, kind, gpus=0, offload=CPU_ONLY)
    if gpu is not None and len(machine.gpus) > 1 and why_not(served, model, gpu) is None:
        per_node = equal_ones(machine)
        for kind in usable_quantisations(served, model, gpu):
            for degree in (2**n for n in range(per_node.bit_length()) if 2**n <= per_node):
                if divides(model, degree):
                    yield Layout(
                        served.engine, kind, gpus=degree, tensor_parallel=degree, max_sequences=served.max_sequences[0],
                        batch_tokens=8192,
                    )  # fmt: skip
