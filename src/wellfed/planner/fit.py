"""Which models a machine serves well: the quick enough ones by quality for a use."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from wellfed.catalog.models import Task, by_id, entry, model_ids
from wellfed.catalog.quality import Quality, quality, quantisation_loss
from wellfed.engines.capabilities import CAPABILITIES, usable_quantisations, why_not
from wellfed.errors import WellfedError
from wellfed.frozen import dataclass, replace
from wellfed.hardware.machine import Machine
from wellfed.models.model import Model
from wellfed.models.quantisation_names import quantisation
from wellfed.nouns.calibration import Calibration
from wellfed.nouns.layout import ALL_GPU, CPU_ONLY, SOME_EXPERTS, SOME_LAYERS, Engine, Layout
from wellfed.nouns.plan import Plan
from wellfed.nouns.workload import PRESETS, Workload
from wellfed.planner.degrees import counts, divides
from wellfed.planner.goal import Goal
from wellfed.planner.search import Search
from wellfed.planner.usable import equal_ones
from wellfed.progress import tell

_GGUF_TRIED = ("q8_0", "q6_k", "q4_k_m", "gguf-mxfp4")
_LEAST_BYTES_PER_PARAMETER = 0.5  # of 4-bit weights: what is larger than the machine's memory is not looked at
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

    One row a family (the best of it) unless `whole_families`.
    """
    identities = [identity for identity in model_ids() if entry(identity).task in _GENERAL]
    scored = sorted((i for i in identities if quality(i, use.name, use.benchmark)), key=lambda i: -_value(i, use))
    others = sorted((i for i in identities if not quality(i, use.name, use.benchmark)), key=_by_size)
    room = _memory_bytes(machine)
    quick: list[Fitting] = []
    slow: list[Fitting] = []
    families: set[str] = set()
    looked_at = 0
    for identity in (*scored, *others):
        if not quality(identity, use.name, use.benchmark) and _enough((*quick, *slow), top, whole_families):
            break
        family = _family(identity)
        if (not whole_families and family in families) or not _may_fit(identity, room):
            continue
        looked_at += 1
        tell("models", looked_at)
        row = _fitting(identity, machine, use, calibration)
        if row is None:
            continue
        if row.quick:
            families.add(family)
            quick.append(row)
        else:
            slow.append(row)
    others_of = (row for row in slow if whole_families or _family(row.model_id) not in families)
    ranked = sorted((*quick, *others_of), key=_rank)
    return Fit(use, tuple(_first_of_each(ranked, whole_families))[:top], looked_at, len(identities))


def _enough(rows: Sequence[Fitting], top: int, whole_families: bool) -> bool:
    """Whether what has a figure fills the list, so that no model without one can stand in it."""
    good = [row for row in rows if row.score is not None and row.bearable]
    return len(good if whole_families else {_family(row.model_id) for row in good}) >= top


def _first_of_each(rows: list[Fitting], whole_families: bool) -> Iterator[Fitting]:
    seen: set[str] = set()
    for row in rows:
        family = _family(row.model_id)
        if whole_families or family not in seen:
            yield row
        seen.add(family)


_GENERATION = re.compile(r"[a-z]+-?[a-z]?\d*(?:\.\d+)?")


def _family(identity: str) -> str:
    """The family and generation that an id begins with: qwen3.5, deepseek-v4, kimi-k2.5."""
    match = _GENERATION.match(identity)
    return match[0].rstrip("-") if match else identity


def _rank(row: Fitting) -> tuple[int, bool, float, float]:
    unknown = row.score is None
    group = 3 if not row.bearable else 2 if unknown and row.quick else 3 if unknown else 0 if row.quick else 1
    return group, unknown, -(row.score or 0.0), -row.plan.model.parameters


def _value(identity: str, use: Use) -> float:
    value = quality(identity, use.name, use.benchmark)
    return value.value if value else 0.0


def _by_size(identity: str) -> float:
    return -(entry(identity).parameters or 0.0)


def _may_fit(identity: str, room_bytes: float | None) -> bool:
    parameters = entry(identity).parameters
    return parameters is None or room_bytes is None or parameters * _LEAST_BYTES_PER_PARAMETER <= room_bytes


def _memory_bytes(machine: Machine) -> float | None:
    gpus = [gpu.memory_bytes or (gpu.spec.memory_bytes if gpu.spec else 0) for gpu in machine.gpus]
    ram = machine.memory_usable_bytes
    return None if ram is None else ram + sum(gpus) * machine.count


def _fitting(identity: str, machine: Machine, use: Use, calibration: Calibration) -> Fitting | None:
    """The model's best plan here; None where it cannot be read, does not fit, or cannot attend so far."""
    try:
        model = by_id(identity)
    except WellfedError:
        return None
    workload = use.workload
    if model.context_limit < workload.prompt_tokens + workload.output_tokens:
        return None
    workload = replace(workload, context_tokens=min(workload.context, model.context_limit))
    search = Search(machine, model, workload, Goal(), calibration, quantisation)
    best = search.rank(lean_layouts(machine, model)).best
    if best is None:
        return None
    estimate, use_quality = best.estimate, quality(identity, use.name, use.benchmark)
    loss = quantisation_loss(best.layout.quantisation)
    score = None if use_quality is None else use_quality.value * (1 - (loss or 0.0))
    speed, wait = estimate.decode_tok_s.value / use.least_tok_s, estimate.ttft_s.value / use.most_ttft_s
    bearable = speed >= _BEARABLE_SPEED and wait <= _BEARABLE_WAIT
    return Fitting(identity, best, use_quality, score, speed >= 1 and wait <= 1, bearable)


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
