"""The answers' types: JSON Schemas of what `--json` prints and the API answers, one for each `schema` they name.

Within a version fields are only added, so the schemas allow more than they name. Units are in the names: bytes, s,
tok_s (tokens per second), w (watts); a share of 1 is all of it. null is unknown.
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict

from wellfed.serve.shapes_machine import Finding, Message


class Quantity(TypedDict):
    """A prediction; [low, high] holds it in 80 of 100 cases."""

    value: float
    low: float
    high: float


class Assumption(TypedDict):
    """What was taken for granted, and why; `reading`: how a name was read."""

    text: str
    reason: str
    reading: NotRequired[bool]


class MemoryTerm(TypedDict):
    name: str
    bytes: float
    note: str


class DeviceMemory(TypedDict):
    """What a device has to hold. `spare_bytes` below 0: so much is missing."""

    device: str
    capacity_bytes: float | None
    free_bytes: float | None
    needed_bytes: float
    spare_bytes: float | None
    terms: list[MemoryTerm]


class TimeTerm(TypedDict):
    name: str
    seconds: float
    limited_by: str
    device: str


class Start(TypedDict):
    """Seconds until the engine answers, from a source of its files."""

    source: str
    ready_s: Quantity
    terms: list[TimeTerm]


class Missed(TypedDict):
    target: str
    by: float


class CacheTier(TypedDict):
    """A place for the cache of earlier prompts. `hit_s`: to have `tokens` from there; `computed_s`: to compute them."""

    place: str
    holds_tokens: float | None
    tokens: int
    hit_s: float
    computed_s: float
    break_even_tokens: float | None
    flag: str


class Plan(TypedDict):
    """One way to run the model. `decode` and `prefill` add up to a step's and a prompt's seconds."""

    layout: dict[str, Any]
    placement: str
    description: str
    engine_version: str
    concurrency: int
    context: int
    fits: bool | None
    memory: list[DeviceMemory]
    max_sequences: int | None
    max_context: int | None
    cache_tokens: float | None
    ttft_s: Quantity
    tpot_s: Quantity
    decode_tok_s: Quantity
    prefill_tok_s: Quantity
    total_tok_s: Quantity
    running: float | None
    ttft_p99_s: float | None
    tpot_p99_s: float | None
    idle_gpus: int
    load_s: float | None
    starts: NotRequired[list[Start]]
    limited_by: str
    cache_tiers: list[CacheTier]
    meets_targets: bool | None
    missed: list[Missed]
    decode: list[TimeTerm]
    prefill: list[TimeTerm]
    assumptions: list[Assumption]
    calibration: str


class Step(TypedDict):
    what: str
    command: str


class Download(TypedDict):
    repository: str
    file: str
    bytes: int
    exact: bool


class PlanToType(Plan):
    """A plan with what to type for it."""

    money: NotRequired[dict[str, Any]]
    next: list[Step]
    downloads: list[Download]


class LeverPlan(Plan):
    model: str
    next: list[Step]
    downloads: list[Download]


class Lever(TypedDict):
    kind: str
    change: str
    message: Message
    plan: LeverPlan


class NearMiss(TypedDict):
    """The layout that misses by least, and what would make it fit."""

    layout: dict[str, Any]
    device: str
    missing_bytes: float
    memory: list[DeviceMemory]
    levers: list[Lever]


class Upgrade(TypedDict):
    change: Any
    total_tok_s_gain: float | None
    plan: Plan


class Verdict(TypedDict):
    kind: str | None
    why: str
    reasons: list[Message]


class PlannedMachine(TypedDict):
    name: str
    origin: str


class PlannedModel(TypedDict):
    id: str
    parameters: int
    active_parameters: int


class Refusal(TypedDict):
    what: str
    reason: str
    hint: str


class MostUsers(TypedDict):
    users: int
    at_least: bool
    plan: Plan


class PlanDocument(TypedDict):
    schema: Literal["wellfed.plan/1"]
    machine: PlannedMachine
    model: PlannedModel
    workload: dict[str, Any]
    objective: str
    considered: int
    drafting: dict[str, Any] | None
    meets_targets: bool | None
    verdict: Verdict
    plans: list[PlanToType]
    refused: list[Refusal]
    near_miss: NearMiss | None
    upgrades: list[Upgrade]
    power_caps: list[dict[str, Any]]
    replicas: dict[str, Any] | None
    host: dict[str, Any] | None
    assumptions: list[Assumption]
    max_users: NotRequired[MostUsers | None]
    cpus: NotRequired[dict[str, Any] | None]


class FromCommandDocument(TypedDict):
    schema: Literal["wellfed.from-command/1"]
    engine: str
    model: str
    as_it_is: Plan
    improved: Plan | None
    changes: list[Message]


class Sensitivity(TypedDict):
    """What a part that is `factor` times as good would buy: factors of the rates."""

    part: str
    factor: float
    decode_gain: float
    total_gain: float
    ttft_gain: float


class Offer(TypedDict):
    machine: str
    parts: str
    processors: Any
    memory_bytes: float | None
    cooling: Any
    power_w: float | None
    price: float | None
    price_reason: str | None
    cpu: dict[str, Any] | None
    plan: Plan


class NearestOffer(TypedDict):
    machine: str
    price: float | None
    power_w: float | None


class MarketDocument(TypedDict):
    schema: Literal["wellfed.market/1"]
    machines: int
    feasible: int
    ranked_by: Message
    currency: str | None
    offers: list[Offer]
    nearest: NearestOffer | None
    sensitivities: list[Sensitivity]


class Quality(TypedDict):
    value: float
    benchmark: str
    source: str
    date: str


class FittingModel(TypedDict):
    id: str
    name: str
    quality: Quality | None
    score: float | None
    quick: bool
    decode_tok_s: Quantity
    ttft_s: Quantity
    max_context: int | None
    plan: Plan


class FitDocument(TypedDict):
    schema: Literal["wellfed.fit/1"]
    use: str
    looked_at: int
    known: int
    models: list[FittingModel]


class ComparedMachine(TypedDict):
    asked: str
    machine: str
    fits: bool
    why: str
    power_w: float | None
    supply_w: float | None
    tokens_per_joule: float | None
    weakest: str | None
    sensitivities: list[Sensitivity]
    plan: Plan | None
    break_even_price_ratio: float | None


class CompareDocument(TypedDict):
    schema: Literal["wellfed.compare/1"]
    machines: list[ComparedMachine]


class Error(TypedDict):
    """`kind` is stable and in kebab case; `hint` says what to do."""

    kind: str
    message: str
    hint: str | None
    near: NotRequired[list[str]]
    kind_of: NotRequired[str | None]


class ErrorDocument(TypedDict):
    error: Error


class RefusedName(TypedDict):
    asked: str
    error: Error


class ResolvedName(TypedDict):
    asked: str
    id: str
    name: str
    task: str
    parameters: int | None
    total_parameters: int | None
    active_parameters: int | None
    context: int | None
    format: str | None
    weight_bytes: int | None
    loaded_bytes: int | None
    weight_bytes_range: list[int] | None
    how: str
    source: str
    assumptions: list[Any]


class ResolveDocument(TypedDict):
    schema: Literal["wellfed.resolve/1"]
    names: list[ResolvedName | RefusedName]


class WatchDocument(TypedDict):
    schema: Literal["wellfed.watch/1"]
    target: str
    time: float
    diagnosis: str
    ill: bool
    findings: list[Finding]
    next: list[Any]
    window: dict[str, Any]
    engine: dict[str, Any] | None
    probe: dict[str, Any] | None
    promise: dict[str, Any] | None


class TrainingStep(TypedDict):
    """`beside`: it goes on while the others do, and counts only where it takes longer."""

    name: str
    seconds: float
    limited_by: str
    beside: bool


class TrainingPlan(TypedDict):
    layout: dict[str, Any]
    description: str
    fits: bool | None
    memory: list[DeviceMemory]
    samples_per_s: Quantity
    tokens_per_s: Quantity
    basis: str
    limited_by: str
    step: list[TrainingStep]
    assumptions: list[dict[str, Any]]


class TrainDocument(TypedDict):
    schema: Literal["wellfed.train/1"]
    machine: PlannedMachine
    model: dict[str, Any]
    task: dict[str, Any]
    considered: int
    plans: list[TrainingPlan]
    nearest: TrainingPlan | None
