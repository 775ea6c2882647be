"""The library's verbs. The command line and programs call these; each returns values and prints nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from wellfed.calibration import Calibration
from wellfed.errors import BadInput
from wellfed.hardware.machine import Machine
from wellfed.layout import Engine
from wellfed.message import message
from wellfed.planner.goal import Goal, Objective
from wellfed.workload import PRESETS, Workload

if TYPE_CHECKING:
    from wellfed.accuracy.report import Report
    from wellfed.engines.pins import Pins
    from wellfed.models.model import Model
    from wellfed.models.quantisation import Quantisation
    from wellfed.models.weights import Weights
    from wellfed.planner.answer import Answer
    from wellfed.planner.compare import Compared
    from wellfed.planner.fit import Fit
    from wellfed.planner.market import Market
    from wellfed.planner.search import Search
    from wellfed.provenance import Assumption
    from wellfed.resolution import Refused, Resolved


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """What `plan` is asked besides the model. `least_quality_bits` None: 4 bits, fewer only when nothing fits."""

    on: str | None = None
    nodes: int | None = None
    network: str | None = None
    objective: Objective = Objective.BALANCED
    workload: Workload = PRESETS["chat"]
    sweep: bool = False
    least_quality_bits: float | None = None
    engines: tuple[Engine, ...] = ()
    quantisations: tuple[str, ...] = ()
    kv_types: tuple[str, ...] = ()  # empty: each engine's own; coarser ones only when nothing fits. ("any",): all
    pins: tuple[str, ...] = ()  # KEY=VALUE by the engine's own flag names
    vram_free: str | None = None  # of every GPU, or of each by commas
    ram_free: str | None = None
    system: str | None = None  # linux, windows, wsl2, macos


def machine(on: str | None = None, nodes: int | None = None, network: str | None = None) -> Machine:
    """The machine that `on` describes (a line, a TOML file, build:NAME, a snapshot); None is this one."""
    if on is not None and not on.strip():
        raise BadInput(
            message("machine.empty", "no machine is named"),
            message(
                "machine.empty.hint", "a line such as 'rtx 4090, ryzen 9 7950x, 64gb'; without --on it is this one"
            ),
        )
    if on is not None and not _is_capture(on):
        from wellfed.written.machines import machine as described

        return described(on, nodes, network)
    seen = _live() if on is None else captured(Path(on))
    if nodes is None and network is None:
        return seen
    from wellfed.written.settings import network_bytes_per_s

    rate = network_bytes_per_s(network) if network else seen.network_bytes_per_s
    return replace(seen, count=nodes or seen.count, network_bytes_per_s=rate)


def _live() -> Machine:
    from wellfed.catalog.hardware import cpu_or_none, gpu_or_none
    from wellfed.topology.machine import live

    return _with_measured_memory(live(gpu_spec=gpu_or_none, cpu_spec=cpu_or_none))


def captured(path: Path) -> Machine:
    """The machine of a snapshot, a pasted dump, a folder of dumps, or a captured /sys and /proc; `-`: standard input.

    Raises BadInput where there is nothing to read, or nothing in it is understood.
    """
    from wellfed.catalog.hardware import cpu_or_none, gpu_or_none
    from wellfed.topology.machine import parse
    from wellfed.topology.readers.refusal import refuse_unread
    from wellfed.topology.snapshot_io import load

    found = parse(load(path), gpu_spec=gpu_or_none, cpu_spec=cpu_or_none)
    refuse_unread(found, path.name)
    return found


def _is_capture(on: str) -> bool:
    try:
        return Path(on).exists() and not on.endswith(".toml")
    except (OSError, ValueError):  # no file can have such a name
        return False


def _with_measured_memory(machine: Machine) -> Machine:
    """This machine with the bandwidth and clock of its own calibration, or else of the last `wellfed bench memory`."""
    from wellfed.bench.store import last_memory, own_for

    own = own_for(machine)
    figures = last_memory(machine) if own is None else own.memory
    return machine if figures is None else figures.of(machine)


def calibration(path: Path | None = None, machine: Machine | None = None) -> Calibration:
    """The bundled calibration, with the values of a file, or of `machine`'s own calibration, in place of its own."""
    from wellfed.catalog.calibration import bundled, load, merged

    if path is not None:
        return merged([bundled(), load(path)])
    from wellfed.bench.store import own_for

    own = own_for(machine) if machine is not None else None
    return bundled() if own is None else merged([bundled(), own.calibration])


@dataclass(frozen=True, slots=True)
class NamedModel:
    """A model as asked for: with its files' exact weights or a quantisation where the name said one."""

    model: Model
    weights: Weights | None = None
    quantisation: Quantisation | None = None
    assumptions: tuple[Assumption, ...] = ()


def model(text: str) -> NamedModel:
    """The model that `text` names: a file or folder, a catalogue name (with a quantisation or not), a repository.

    `identity.identify` tells the order. Raises UnknownName with near matches, BadInput for damaged files, Unsupported
    for unknown architectures, and for models and formats of which only the size is known.
    """
    from wellfed.identity import identify

    named = identify(text, hub="huggingface")
    return NamedModel(named.planned(), named.weights, named.quantisation, named.assumptions)


def resolve(names: Sequence[str], hub: str | None = None) -> tuple[Resolved | Refused, ...]:
    """What is known of each name, in order; a refusal is an answer too. No hub is asked unless `hub` names one."""
    from wellfed import resolution

    return resolution.resolve(names, hub)


def plan(model_name: str, options: PlanOptions = PlanOptions()) -> Answer:
    """Rank every sensible layout of the model. Raises UnknownName, BadInput, Unsupported."""
    from wellfed.planner.answer import answer, with_way_out

    asked, assumptions = search(model_name, options, machine(options.on, options.nodes, options.network))
    found = answer(asked, assumptions)
    for coarser in _coarser(asked.goal, options):
        if found.ranking.plans:
            break
        found = answer(replace(asked, goal=coarser), assumptions)
    return with_way_out(found)


def _coarser(goal: Goal, options: PlanOptions) -> Iterator[Goal]:
    """What to try when nothing fits, least loss first: a quantised KV cache, coarser weights, both. What was named is
    never changed.
    """
    may_quantise_cache = not (goal.kv_types or goal.any_kv)
    may_coarsen_weights = options.least_quality_bits is None and not goal.quantisations
    if may_quantise_cache:
        yield replace(goal, any_kv=True)
    if may_coarsen_weights:
        yield replace(goal, least_quality_bits=0.0)
    if may_quantise_cache and may_coarsen_weights:
        yield replace(goal, least_quality_bits=0.0, any_kv=True)


def search(model_name: str, options: PlanOptions, where: Machine) -> tuple[Search, tuple[Assumption, ...]]:
    """The search behind `plan` on a machine at hand, and what was assumed of model and machine."""
    from wellfed.models.quantisation_names import quantisation
    from wellfed.planner.search import Search
    from wellfed.planner.stated import with_stated
    from wellfed.planner.usable import usable

    where = with_stated(where, options.vram_free, options.ram_free, options.system)
    where = usable(where)
    named = model(model_name)
    pinned = _pins(options)
    workload, cut = _within(_with_pinned_context(options.workload, pinned), named.model)
    asked = tuple(quantisation(name).id for name in options.quantisations)
    goal = Goal(
        objective=options.objective,
        least_quality_bits=4.0 if options.least_quality_bits is None else options.least_quality_bits,
        engines=options.engines,
        quantisations=asked or ((named.quantisation.id,) if named.quantisation else ()),
        kv_types=_kv_types(options.kv_types),
        any_kv="any" in options.kv_types,
        pins=pinned,
    )
    found = Search(
        machine=where,
        model=named.model,
        workload=workload,
        goal=goal,
        calibration=calibration(machine=where),
        quantisation=_resolver(named),
        sweep=options.sweep,
        file_weights=named.weights,
    )
    return found, cut + named.assumptions + where.assumptions


def _pins(options: PlanOptions) -> tuple[tuple[Engine, Pins], ...]:
    """The settings of each engine that has all of them. Raises BadInput where none has."""
    if not options.pins:
        return ()
    from wellfed.engines.pins import pins_by_engine

    return tuple(pins_by_engine(options.engines or tuple(Engine), options.pins).items())


def _with_pinned_context(workload: Workload, pinned: tuple[tuple[Engine, Pins], ...]) -> Workload:
    context = next((pins.context for _, pins in pinned if pins.context), None)
    return workload if context is None else replace(workload, context_tokens=context)


def _kv_types(names: Sequence[str]) -> tuple[str, ...]:
    """Raises BadInput for a name that no engine has."""
    from wellfed.engines.capabilities import CAPABILITIES, reads_kv_type
    from wellfed.message import Listing

    chosen = tuple(name.lower() for name in names if name != "any")
    for name in chosen:
        if not any(reads_kv_type(capabilities, name) for capabilities in CAPABILITIES.values()):
            kinds = {kind for c in CAPABILITIES.values() for kind in (*c.kv_types, *c.kv_on_request)}
            hint = message("kv.types", "engines have: {types}; `any` tries all", types=Listing(tuple(sorted(kinds))))
            raise BadInput(message("kv.unknown", "no engine has a KV cache of type {name}", name=name), hint)
    return chosen


def buy(
    model_name: str,
    options: PlanOptions = PlanOptions(),
    prices: Path | None = None,
    budget: float | None = None,
    most_power_w: float | None = None,
    keep: int = 12,
) -> Market:
    """Whole machines for the model, best first. Without latency targets: 10 s to the first token, 100 ms for each."""
    from wellfed.catalog.prices import load_prices
    from wellfed.models.quantisation_names import quantisation
    from wellfed.planner.market import Demand, market

    named = model(model_name)
    workload, _ = _within(options.workload, named.model)
    if workload.ttft_target_s is None and workload.tpot_target_s is None:
        workload = replace(workload, ttft_target_s=10.0, tpot_target_s=0.1)
    goal = Goal(
        objective=options.objective,
        least_quality_bits=4.0 if options.least_quality_bits is None else options.least_quality_bits,
        engines=options.engines,
        quantisations=tuple(quantisation(name).id for name in options.quantisations),
    )
    money = load_prices(prices) if prices else None
    demand = Demand(named.model, workload, goal, quantisation, calibration(), money, budget, most_power_w)
    return market(demand, keep)


def fit(on: str | None = None, use: str = "chat", top: int = 10, whole_families: bool = False) -> Fit:
    """The models of the catalogue that a machine serves well, best first. Raises BadInput for an unknown use."""
    from wellfed.planner.fit import USES, fit
    from wellfed.planner.usable import usable

    if use not in USES:
        raise BadInput(f"no such use: {use!r}", f"one of {', '.join(USES)}")
    where = usable(machine(on))
    return fit(where, USES[use], calibration(machine=where), top, whole_families)


def compare(machines: Sequence[str], model_name: str, options: PlanOptions = PlanOptions()) -> list[Compared]:
    """The best plan of the same model on each machine."""
    from wellfed.planner.compare import Compared
    from wellfed.planner.power import power
    from wellfed.planner.sensitivity import sensitivities

    found = []
    for text in machines:
        answer = plan(model_name, replace(options, on=text))
        best = answer.ranking.best
        asked = answer.search
        weakest = sensitivities(best, asked.estimate) if best else ()
        found.append(Compared(text, asked.machine, best, answer.verdict.why, power(asked.machine), weakest))
    return found


def _resolver(named: NamedModel) -> Callable[[str], Quantisation]:
    """Names to quantisations; the one that came with the model keeps what is known of its file."""
    from wellfed.models.quantisation_names import quantisation

    def find(name: str) -> Quantisation:
        own = named.quantisation
        return own if own is not None and own.id == name else quantisation(name)

    return find


def _within(workload: Workload, model: Model) -> tuple[Workload, tuple[Assumption, ...]]:
    """The workload, its context cut to what the model can do, and a word of that. Raises BadInput when it must be
    longer.
    """
    limit = model.context_limit
    needed = workload.depth_tokens + workload.prompt_tokens + workload.output_tokens
    if needed > limit:
        hint = "shorten --prompt or --output"
        raise BadInput(f"{needed:,} tokens are asked for, {model.name} can attend to {limit:,}", hint)
    if workload.context_tokens is not None and workload.context_tokens > limit:
        from wellfed.provenance import Assumption

        text = f"room for {limit:,} tokens, not {workload.context_tokens:,}"
        return replace(workload, context_tokens=limit), (Assumption(text, f"{model.name} can attend to no more"),)
    return workload, ()


def accuracy(table: Path, calibration_file: Path | None = None) -> Report:
    """Predict every row of a measurement table. Raises BadInput when it is not one."""
    from wellfed.accuracy.report import report
    from wellfed.accuracy.tables import interpreters, rows_of
    from wellfed.catalog.calibration import with_old_builds

    known = with_old_builds(calibration(calibration_file))
    return report(str(table), rows_of(table), interpreters(), known)


def refit(folder: Path, told: Callable[[str], None] = lambda _: None) -> Iterator[tuple[str, str]]:
    """Refit the bundled calibration from the tables in `folder` and write it; yields what was fitted and how well."""
    from wellfed.accuracy.refit import refit_all

    yield from refit_all(folder, told)
