"""What llama.cpp holds beside the language model: drafts, adapters, towers for pictures and sound."""

from __future__ import annotations

from wellfed.frozen import replace
from wellfed.message import sentence
from wellfed.models.model import Model
from wellfed.nouns.estimate import MemoryTerm
from wellfed.nouns.layout import DraftKind, Engine, Layout
from wellfed.nouns.plan import Request
from wellfed.perf.memory.compute import Duties, compute_bytes, output_rows, ubatch
from wellfed.perf.memory.draft import draft_cache_bytes, draft_weight_bytes
from wellfed.perf.memory.kv import cells, is_pooled, option
from wellfed.perf.memory.lora import lora_bytes, lora_note
from wellfed.perf.memory.share import Named
from wellfed.perf.memory.split import Span
from wellfed.perf.memory.towers import ON_GPU, PLACE, local_tower


def extras(request: Request, span: Span, device: str) -> tuple[MemoryTerm, ...]:
    """On the GPU that holds `span`: the draft's weights, with the head; towers for pictures and sound, on the first."""
    terms: list[MemoryTerm] = []
    draft = draft_weight_bytes(request.weights, request.layout)
    if draft and span.output:
        terms.append(
            MemoryTerm(
                device,
                "draft weights",
                draft,
                sentence("llamacpp.what-drafts-tokens", "what drafts tokens, beside the head"),
            )
        )
    lora = lora_bytes(request.model, request.layout, span)
    if lora:
        terms.append(MemoryTerm(device, "adapters", lora, lora_note(request.layout)))
    if device == "gpu0" and option(request.layout, PLACE) == ON_GPU:
        terms += [MemoryTerm(device, *term) for term in local_tower(request)]
    return tuple(terms)


def draft_growth(request: Request, context: int, count: int) -> tuple[Named, ...]:
    """The draft's cache, and its graph."""
    model, layout = request.model, request.layout
    guess = layout.speculation
    if guess is None or guess.kind in (None, DraftKind.NGRAM):
        return ()
    pools = 1 if is_pooled(layout) else count
    cache = pools * draft_cache_bytes(model, layout, cells(layout, context))
    compute = _draft_compute(model, layout, context, count)
    return (
        (
            "draft kv",
            cache,
            sentence(
                "llamacpp.x-tokens",
                "{kv_type}, {pools} x {context} tokens",
                kv_type=layout.kv_type,
                pools=pools,
                context=context,
            ),
        ),
        ("draft compute", compute, sentence("llamacpp.draft-graph", "activations of one ubatch of the draft")),
    )


def _draft_compute(model: Model, layout: Layout, context: int, count: int) -> float:
    """Prediction layers are of the model's own widths; of other drafts the vocabulary alone is known: their logits and
    two rows of the model's width.
    """
    alone = replace(layout, speculation=None)  # a draft's own graph reserves one token a sequence
    if layout.speculation and layout.speculation.kind is DraftKind.MTP and layout.engine is Engine.LLAMA_CPP:
        return compute_bytes(model, alone, context, Duties(output=True, experts=True), count)
    tokens = ubatch(layout, context)
    logits = output_rows(alone, tokens, count) * model.vocabulary
    return (logits + 2 * tokens * model.hidden) * 4.0
