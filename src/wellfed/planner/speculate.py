"""Speculative decoding as it is asked for, `--speculate mtp`, `draft:qwen3-0.6b@4`, `ngram`: what is drafted, how much
of it is accepted, what the draft weighs.

Acceptance depends on the text. What stands here is the chance that one drafted token is right, with an interval; k
drafted tokens yield 1 + a + a^2 ... + a^k tokens a pass. Sources: DeepSeek-V3 technical report, arXiv 2412.19437,
section 5.4.3 (second token 85 to 90 %); Qwen3-Next and Qwen3.5 as served by vLLM (63 to 92 %, draft of 2); EAGLE
(arXiv 2401.15077) and EAGLE-3 (arXiv 2503.01840) as chains without trees in vLLM (1.9 tokens of 2 drafted); draft
models: Leviathan et al., arXiv 2211.17192, table 3 (0.5 to 0.9); n-grams and suffixes on code, exams and chat: 24 to
50 % of 3 drafted tokens.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from wellfed.errors import BadInput
from wellfed.frozen import dataclass, replace
from wellfed.message import Amount, Listing, Message, message
from wellfed.models.model import Model
from wellfed.models.weights import Weights
from wellfed.nouns.layout import DraftKind, Engine, Layout, Speculation
from wellfed.nouns.workload import Workload

if TYPE_CHECKING:
    from wellfed.planner.standings import Contender

_VOCABULARY_PADDING = 256  # entries by which vocabularies of one family differ
_MOST_TOKENS = 64
DRAFTED: Mapping[DraftKind, int] = {DraftKind.MTP: 2, DraftKind.EAGLE: 3, DraftKind.DRAFT: 4, DraftKind.NGRAM: 3}
# The engines' own defaults, where a command line names none.
_LLAMA_DRAFTED = {DraftKind.MTP: 3, DraftKind.EAGLE: 3, DraftKind.DRAFT: 3, DraftKind.NGRAM: 16}


@dataclass(frozen=True, slots=True)
class Acceptance:
    """The chance that a drafted token is right if those before it were, and an 80 % interval of it."""

    rate: float
    low: float
    high: float

    def length(self, rate: float, tokens: int) -> float:
        """Tokens that a pass yields on average."""
        return sum(rate**power for power in range(tokens + 1))


_BY_KIND: Mapping[DraftKind, Acceptance] = {
    DraftKind.MTP: Acceptance(0.78, 0.55, 0.9),
    DraftKind.EAGLE: Acceptance(0.6, 0.45, 0.75),
    DraftKind.DRAFT: Acceptance(0.68, 0.5, 0.85),
    DraftKind.NGRAM: Acceptance(0.4, 0.15, 0.65),
}
_BY_FAMILY: Mapping[tuple[DraftKind, str], Acceptance] = {
    (DraftKind.MTP, "deepseek"): Acceptance(0.85, 0.75, 0.9),
    (DraftKind.MTP, "qwen"): Acceptance(0.82, 0.6, 0.92),
}
# What drafts where: vLLM and SGLang documentation, speculative decoding; TensorRT-LLM's speculative_config;
# llama.cpp tools/server/README.md (--spec-type).
_DRAFTS: Mapping[Engine, frozenset[DraftKind]] = {
    Engine.LLAMA_CPP: frozenset(DraftKind),
    Engine.IK_LLAMA_CPP: frozenset({DraftKind.MTP, DraftKind.DRAFT, DraftKind.NGRAM}),
    Engine.VLLM: frozenset(DraftKind),
    Engine.SGLANG: frozenset(DraftKind),
    Engine.TENSORRT_LLM: frozenset(DraftKind),
    Engine.KTRANSFORMERS: frozenset({DraftKind.MTP, DraftKind.EAGLE}),
    Engine.EXLLAMAV3: frozenset(),  # both draft with smaller models; what that yields is not described here
    Engine.MLX: frozenset(),
}


def drafts(engine: Engine, kind: DraftKind) -> bool:
    """Whether an engine drafts in this way."""
    return kind in _DRAFTS.get(engine, frozenset())


DRAFT_TYPE = "q8_0"  # of a draft model's files, where nobody names one


@dataclass(frozen=True, slots=True)
class Draft:
    """The model behind `draft:NAME`, as it is loaded."""

    model: Model
    weights: Weights


def read(text: str) -> Speculation | None:
    """`none`, `mtp`, `mtp@2`, `eagle`, `draft:MODEL@4`, `ngram`; sizes and acceptance are not decided yet.

    Raises BadInput for other words.
    """
    word, _, count = text.strip().rpartition("@") if "@" in text else (text.strip(), "", "")
    name, _, draft = word.partition(":")
    if name.lower() == "none":
        return None
    by_name = {kind.value: kind for kind in DraftKind}
    kind = by_name.get(name.lower())
    if kind is None or (draft != "") != (kind is DraftKind.DRAFT) or (count and not _is_count(count)):
        problem = message("speculate.unread", "{text} is no way to draft tokens", text=text)
        ways = Listing(("mtp", "mtp@2", "eagle@3", "draft:MODEL@4", "ngram", "none"))
        raise BadInput(problem, message("speculate.ways", "for example {ways}", ways=ways))
    return Speculation(int(count) if count else DRAFTED[kind], 1.0, kind=kind, draft=draft)


def _is_count(text: str) -> bool:
    return text.isdecimal() and 1 <= int(text) <= _MOST_TOKENS


def completed(
    guess: Speculation, model: Model, weights: Weights, draft: Draft | None = None, acceptance: float | None = None
) -> Speculation:
    """The speculation with what its draft costs and keeps, and how much is accepted: as said (`acceptance`, the chance
    of one token), else what drafters of this kind and family do.

    Raises BadInput where the model ships no prediction layers, and for a draft model of another vocabulary.
    """
    if guess.kind is None or guess.low:
        return guess
    ensure_possible(guess, model)
    if draft is not None:
        _ensure_same_words(model, draft.model)
    chance = _BY_FAMILY.get((guess.kind, model.family)) or _BY_KIND[guess.kind]
    if acceptance is not None:
        chance = Acceptance(acceptance, acceptance, acceptance)
    length, low, high = (chance.length(rate, guess.tokens) for rate in (chance.rate, chance.low, chance.high))
    share, size, cached = _costs(guess.kind, model, weights, draft)
    return replace(
        guess, acceptance_length=length, low=low, high=high, draft_share=share, draft_bytes=size, cache_elements=cached
    )


def ensure_possible(guess: Speculation | None, model: Model) -> None:
    """Raises BadInput where the model's own prediction layers are to draft and it ships none."""
    if guess is not None and guess.kind is DraftKind.MTP and not model.mtp_layers:
        problem = message("speculate.no-mtp", "{model} has no prediction layers", model=model.name)
        raise BadInput(
            problem, message("speculate.no-mtp.hint", "draft with a model: --speculate draft:MODEL, or ngram")
        )


def _costs(kind: DraftKind, model: Model, weights: Weights, draft: Draft | None) -> tuple[float, int, float]:
    """Share of a pass that one drafted token costs, bytes of the draft, cached elements a token."""
    if kind is DraftKind.NGRAM:
        return 0.0, 0, 0.0
    if kind is DraftKind.DRAFT and draft is not None:
        share = draft.model.active_parameters / model.active_parameters
        return share, round(draft.weights.total), draft.model.cache_elements(4096) / 4096
    layer = weights.layers[-1].total / max(1, len(model.layers))
    layer_bytes = sum(layer_weights.total for layer_weights in weights.layers) / max(1, len(model.layers))
    active = model.active_parameters / model.parameters if model.is_moe else 1.0
    predictor_share = 1 / len(model.layers) + weights.head / max(1.0, active * weights.total)
    if kind is DraftKind.MTP:
        return min(1.0, predictor_share), 0, 0.0
    per_token = model.layers[-1].attention.cache_elements(4096) / 4096
    return min(1.0, predictor_share), round(max(layer, layer_bytes)), per_token


def _ensure_same_words(model: Model, draft: Model) -> None:
    if abs(model.vocabulary - draft.vocabulary) <= _VOCABULARY_PADDING:
        return
    text = "{draft} has {there} words and {model} {here}: it cannot draft for it"
    problem = message("speculate.vocabulary", text, draft=draft.name, there=draft.vocabulary, model=model.name,
                   here=model.vocabulary)  # fmt: skip
    raise BadInput(problem, message("speculate.vocabulary.hint", "a small model of the same family has the same words"))


def by_itself(model: Model) -> Speculation | None:
    """What is tried unasked: the model's own prediction layers, where it ships them."""
    return Speculation(DRAFTED[DraftKind.MTP], 1.0, kind=DraftKind.MTP) if model.mtp_layers else None


def variants(layouts: Iterable[Layout], guess: Speculation, workload: Workload) -> Iterator[Layout]:
    """The layouts whose engine drafts in this way, with it."""
    for layout in layouts:
        if why_not(layout, guess, workload) is None and layout.speculation is None:
            yield replace(layout, speculation=guess)


# Over pipelines vLLM drafts with EAGLE-3 only (vllm-project/vllm#50514, merged 2026-08; with prediction layers it does
# not start: #52069, read 2026-11-29), SGLang in no way (its server arguments refuse the two together).
_OVER_PIPELINES = {Engine.VLLM: (DraftKind.EAGLE,), Engine.SGLANG: ()}


def why_not(layout: Layout, guess: Speculation, workload: Workload) -> Message | None:
    """Why an engine does not draft in this way under this load; None where it does."""
    if guess.kind is None or not drafts(layout.engine, guess.kind):
        return message("speculate.engine", "does not draft tokens with {kind}", kind=str(guess.kind))
    local = layout.engine in (Engine.LLAMA_CPP, Engine.IK_LLAMA_CPP)
    several = workload.concurrency > 1 or workload.request_rate is not None or layout.max_sequences > 1
    if local and guess.kind is DraftKind.MTP and several:
        return message("speculate.one-slot", "drafts with prediction layers for one user at a time")
    if layout.pipeline_parallel > 1 and guess.kind not in _OVER_PIPELINES.get(layout.engine, tuple(DraftKind)):
        return message("speculate.pipeline", "drafts no tokens with {kind} over a pipeline", kind=str(guess.kind))
    if layout.engine is Engine.VLLM and layout.gpus == 0:
        return message("speculate.cpu", "drafts no tokens on CPUs")
    return None


def compared(drafting: Iterable[Contender], plain: Iterable[Contender]) -> Message | None:
    """What drafting does on the best of the layouts that do, against the same one without: how much faster, or that it
    is slower here; None where nothing was tried.
    """
    first = next(iter(drafting), None)
    guess = None if first is None else first.layout.speculation
    if first is None or guess is None or guess.kind is None:
        return None
    bare, workload = replace(first.layout, speculation=None), first.workload
    same = next((plan for plan in plain if plan.layout == bare and plan.workload == workload), None)
    if same is None:
        return None
    ratio = same.plan.estimate.tpot_s.value / first.plan.estimate.tpot_s.value
    rates: dict[str, str | int | float | Amount | Message | Listing | None] = {
        "kind": str(guess.kind), "tokens": guess.tokens, "length": f"{guess.acceptance_length:.2f}",
        "low": f"{guess.low:.2f}", "high": f"{guess.high:.2f}", "ratio": f"{ratio:.2f}",
    }  # fmt: skip
    if ratio <= 1:
        text = "drafting with {kind} ({tokens} tokens) is slower here: {ratio} times the speed without"
        return message("speculate.slower", text, **rates)
    text = "drafting with {kind} ({tokens} tokens, {length} a pass, {low} to {high}): {ratio} times the speed without"
    return message("speculate.faster", text, **rates)
