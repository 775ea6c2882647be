"""Every sensible layout of a model on a machine, ranked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING

from wellfed.errors import BadInput
from wellfed.frozen import dataclass, replace
from wellfed.hardware.machine import Machine
from wellfed.message import message, sentence
from wellfed.nouns.layout import Engine
from wellfed.nouns.workload import PRESETS, Workload
from wellfed.planner.goal import Goal, Objective
from wellfed.verbs import inputs

if TYPE_CHECKING:
    from wellfed.engines.pins import Pins
    from wellfed.engines.versions import Version
    from wellfed.models.model import Model
    from wellfed.models.quantisation import Quantisation
    from wellfed.nouns.layout import Speculation
    from wellfed.planner.answer import Answer
    from wellfed.planner.search import Search
    from wellfed.planner.speculate import Draft
    from wellfed.provenance import Assumption


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
    versions: tuple[Version, ...] = ()  # of engines, where one is named
    quantisations: tuple[str, ...] = ()
    kv_types: tuple[str, ...] = ()  # empty: each engine's own; coarser ones only when nothing fits. ("any",): all
    pins: tuple[str, ...] = ()  # KEY=VALUE by the engine's own flag names
    speculate: str | None = None  # mtp, eagle, draft:MODEL, ngram, each with @TOKENS; none; None: MTP where it helps
    acceptance: float | None = None  # the chance that a drafted token is right
    streams: bool = False  # experts that memory does not hold are read from disk
    lora: str | None = None  # N or N@RANK adapters beside the model
    images: str | None = None  # N, N@WIDTHxHEIGHT or N@TOKENS pictures in every prompt
    in_command: bool = False  # what drafts tokens stands in a command line, which is read elsewhere
    vram_free: str | None = None  # of every GPU, or of each by commas
    ram_free: str | None = None
    carve_out: str | None = None  # of an APU's memory, for its graphics: SIZE, or SIZE and what it may map besides
    system: str | None = None  # linux, windows, wsl2, macos


def plan(model_name: str, options: PlanOptions = PlanOptions()) -> Answer:
    """Rank every sensible layout of the model. Raises UnknownName, BadInput, Unsupported."""
    return plan_on(inputs.machine(options.on, options.nodes, options.network), model_name, options)


def plan_on(machine: Machine, model_name: str, options: PlanOptions = PlanOptions()) -> Answer:
    """The same for a machine at hand, whatever `options.on` names: on the cards of whichever vendor do best."""
    from wellfed.planner.usable import other_vendors

    best = _plan_on(machine, model_name, options)
    for vendor in other_vendors(machine):
        answered = _plan_on(machine, model_name, options, vendor)
        best = answered if _is_better(answered, best) else best
    return best


def _is_better(candidate: Answer, incumbent: Answer) -> bool:
    """Whether the first plan of `candidate` comes before the incumbent's."""
    mine, theirs = candidate.ranking.best, incumbent.ranking.best
    if mine is None or theirs is None:
        return mine is not None
    return candidate.search.rank_key(mine) < incumbent.search.rank_key(theirs)


def _plan_on(machine: Machine, model_name: str, options: PlanOptions, vendor: str | None = None) -> Answer:
    """The answer on one vendor's cards."""
    from wellfed.planner.answer import answer, with_way_out

    planned_search, assumptions = search(model_name, options, machine, vendor)
    answered = answer(planned_search, assumptions)
    for coarser in _coarser(planned_search.goal, options):
        if answered.ranking.plans:
            break
        answered = answer(replace(planned_search, goal=coarser), assumptions)
    _ensure_possible(answered)
    return with_way_out(answered)


def _ensure_possible(answered: Answer) -> None:
    """Raises BadInput where nothing could even be tried since what was named cannot be."""
    if answered.ranking.considered:
        return
    for refusal in answered.ranking.refused:
        if refusal.hint:
            engine, reason = refusal.subject, refusal.reason
            raise BadInput(
                message("planning.impossible", "{engine}: {reason}", engine=engine, reason=reason), refusal.hint
            )


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


def search(
    model_name: str, options: PlanOptions, machine: Machine, vendor: str | None = None
) -> tuple[Search, tuple[Assumption, ...]]:
    """The search behind `plan` on a machine at hand, and what was assumed of model and machine."""
    from wellfed.planner.search import Search
    from wellfed.planner.speculate import ensure_possible, read
    from wellfed.planner.stated import with_stated
    from wellfed.planner.usable import usable

    machine = with_stated(machine, options.vram_free, options.ram_free, options.system, options.carve_out)
    machine = usable(machine, vendor)
    named_model = inputs.model(model_name)
    pinned = _pins(options)
    workload, seen = _with_pictures(_with_pinned_context(options.workload, pinned), named_model.model, options.images)
    workload, cut = within(workload, named_model.model)
    workload, embeds = _of_vectors(workload, named_model.model)
    guess = read(options.speculate) if options.speculate else None
    ensure_possible(guess, named_model.model)
    _ensure_drafted(options, guess, named_model.model, pinned)
    planned_search = Search(
        machine=machine,
        model=named_model.model,
        workload=workload,
        goal=_goal(options, pinned, guess, named_model),
        calibration=inputs.calibration(machine=machine),
        quantisation=_resolver(named_model, _maker(options)),
        sweep=options.sweep,
        file_weights=named_model.weights,
    )
    seen += _newer(options.versions)
    return planned_search, seen + cut + embeds + _odd_targets(workload) + named_model.assumptions + machine.assumptions


def _goal(
    options: PlanOptions,
    pinned: tuple[tuple[Engine, Pins], ...],
    guess: Speculation | None,
    named_model: inputs.NamedModel,
) -> Goal:
    from wellfed.models.quantisation_names import quantisation

    chosen = tuple(quantisation(name).id for name in options.quantisations)
    return Goal(
        objective=options.objective,
        least_quality_bits=4.0 if options.least_quality_bits is None else options.least_quality_bits,
        engines=options.engines,
        quantisations=chosen or ((named_model.quantisation.id,) if named_model.quantisation else ()),
        kv_types=_kv_types(options.kv_types),
        any_kv="any" in options.kv_types,
        pins=pinned,
        versions=options.versions,
        speculation=guess,
        may_speculate=options.speculate is None and not any(pins.speculates for _, pins in pinned),
        acceptance=options.acceptance,
        draft=_draft(guess, named_model),
        adapters=_adapters(options.lora),
        streams=options.streams,
    )


def _ensure_drafted(
    options: PlanOptions, guess: Speculation | None, model: Model, pinned: tuple[tuple[Engine, Pins], ...]
) -> None:
    """Raises BadInput where an acceptance is said and nothing drafts tokens."""
    by_itself = options.speculate is None and (model.mtp_layers or any(pins.speculates for _, pins in pinned))
    if options.acceptance is not None and guess is None and not by_itself and not options.in_command:
        raise nothing_drafted()


def nothing_drafted() -> BadInput:
    """The error of an acceptance where no tokens are drafted."""
    problem = message(
        "planning.acceptance", "--acceptance says how often drafted tokens are right: none are drafted here"
    )
    hint = "say what drafts them: --speculate draft:MODEL, eagle or ngram"
    return BadInput(problem, message("planning.acceptance.hint", hint))


_FASTEST_TOKEN_S, _LONGEST_TTFT_S = 0.5e-3, 300.0


def _odd_targets(workload: Workload) -> tuple[Assumption, ...]:
    """A word where a target would be usual in the other unit: tokens are asked for in ms, the first one in s."""
    from wellfed.provenance import Assumption

    tpot_s, first = workload.tpot_target_s, workload.ttft_target_s
    remarks = []
    if tpot_s is not None and tpot_s < _FASTEST_TOKEN_S:
        text = sentence("planning.tpot-ms", "--tpot {given:g} is {given:g} ms for each token", given=tpot_s * 1e3)
        hint = sentence("planning.tpot-ms.hint", "it is in milliseconds: {seconds:g} s would be {ms:g}",
                        seconds=tpot_s * 1e3, ms=tpot_s * 1e6)  # fmt: skip
        remarks.append(Assumption(text, hint, reading=True))
    if first is not None and first > _LONGEST_TTFT_S:
        text = sentence("planning.ttft-s", "--ttft {given:g} is {given:g} seconds for the first token", given=first)
        hint = sentence("planning.ttft-s.hint", "{given:g} ms would be {seconds:g}", given=first, seconds=first / 1e3)
        remarks.append(Assumption(text, hint, reading=True))
    return tuple(remarks)


_VECTORS = frozenset({"embedding", "reranker"})
_NAMED = ("embed", "rerank")  # of those that are text models by their config


def _of_vectors(workload: Workload, model: Model) -> tuple[Workload, tuple[Assumption, ...]]:
    """Embedders and rerankers answer with numbers in the pass that reads the prompt: nothing is decoded after it."""
    if model.task not in _VECTORS and not any(word in model.id.lower() for word in _NAMED):
        return workload, ()
    from wellfed.provenance import Assumption

    remark = sentence("planning.vectors", "it answers with a vector or a score: prompts are all that is computed")
    return replace(workload, output_tokens=1), (Assumption(remark),)


def _newer(versions: Sequence[Version]) -> tuple[Assumption, ...]:
    """A word of versions that are newer than what is known here: the newest that is known stands for them."""
    if not versions:
        return ()
    from wellfed.engines.versions import CURRENT, is_newer
    from wellfed.provenance import Assumption

    return tuple(
        Assumption(
            sentence("planning.newer", "{engine} {text} is newer than {known}, which is taken for it",
                     engine=newer.engine.value, text=newer.text, known=CURRENT[newer.engine]),
            sentence("planning.newer.why", "no newer version is known here"), reading=True,
        )
        for newer in versions if is_newer(newer)
    )  # fmt: skip


def _with_pictures(workload: Workload, model: Model, images: str | None) -> tuple[Workload, tuple[Assumption, ...]]:
    """The workload with pictures in its prompts, and what each becomes. Raises BadInput as `pictures_asked`."""
    if images is None:
        return workload, ()
    from wellfed.planner.pictured import assumption, pictures_asked, with_room

    pictures = pictures_asked(images, model)
    return with_room(workload, pictures), (assumption(pictures, model),)


def _pins(options: PlanOptions) -> tuple[tuple[Engine, Pins], ...]:
    """The settings of each engine that has all of them. Raises BadInput where none has."""
    if not options.pins:
        return ()
    from wellfed.engines.pins import pins_by_engine

    return tuple(pins_by_engine(options.engines or tuple(Engine), options.pins).items())


def _adapters(text: str | None) -> tuple[int, int] | None:
    """How many adapters of which rank. Raises BadInput for other words."""
    from wellfed.perf.memory.lora import USUAL_RANK

    if text is None:
        return None
    count, at, rank = text.partition("@")
    if count.isdecimal() and (not at or rank.isdecimal()) and 1 <= int(count) <= 1000 and 1 <= int(rank or 1) <= 4096:
        return int(count), int(rank) if rank else USUAL_RANK
    problem = message("lora.unread", "{text} is no number of adapters", text=text)
    raise BadInput(problem, message("lora.unread.hint", "N or N@RANK, for example 4@64"))


def _draft(guess: Speculation | None, named_model: inputs.NamedModel) -> Draft | None:
    """The draft model by its name, in the published type of its files, or Q4_K_M beside GGUF. Raises UnknownName."""
    if guess is None or not guess.draft:
        return None
    from wellfed.models.quantisation import weights
    from wellfed.models.quantisation_names import quantisation
    from wellfed.planner.speculate import DRAFT_TYPE, Draft, completed

    draft = inputs.model(guess.draft)
    kind = draft.quantisation or quantisation(DRAFT_TYPE)
    draft_model = Draft(draft.model, draft.weights or weights(draft.model, kind))
    completed(
        guess, named_model.model, draft_model.weights, draft_model
    )  # another vocabulary is told before anything is searched
    return draft_model


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


def _maker(options: PlanOptions) -> str:
    """Whose files are meant, where the engine has a library of its own."""
    if any(version.is_front for version in options.versions):
        return "ollama"
    return "ds4" if options.engines == (Engine.DS4,) else ""


def _resolver(named_model: inputs.NamedModel, maker: str = "") -> Callable[[str], Quantisation]:
    """Names to quantisations; the one that came with the model keeps what is known of its file."""
    from wellfed.models.quantisation_names import quantisation

    @cache
    def find(name: str) -> Quantisation:
        published = named_model.quantisation
        if published is not None and published.id == name:
            return published if published.maker or not maker else published.made_by(maker)
        return quantisation(name).made_by(maker)

    return find


def within(workload: Workload, model: Model) -> tuple[Workload, tuple[Assumption, ...]]:
    """The workload, its context cut to what the model can do, and a word of that. Raises BadInput when it must be
    longer.
    """
    limit = model.context_limit
    needed = workload.depth_tokens + workload.prompt_tokens + workload.output_tokens
    if needed > limit:
        hint = sentence("planning.shorten-prompt", "shorten --prompt or --output")
        raise BadInput(
            sentence(
                "planning.tokens-asked-attend",
                "{needed:,} tokens are asked for, {model} can attend to {limit:,}",
                needed=needed,
                model=model.name,
                limit=limit,
            ),
            hint,
        )
    if workload.context_tokens is not None and workload.context_tokens > limit:
        from wellfed.provenance import Assumption

        text = sentence(
            "planning.room-tokens",
            "room for {limit:,} tokens, not {context_tokens:,}",
            limit=limit,
            context_tokens=workload.context_tokens,
        )
        return replace(workload, context_tokens=limit), (
            Assumption(
                text, sentence("planning.attend-more", "{model} can attend to no more", model=model.name), reading=True
            ),
        )
    return workload, ()
