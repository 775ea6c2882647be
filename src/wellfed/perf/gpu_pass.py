"""What one forward pass asks of the GPUs of a local engine: the model's works and what llama.cpp does around them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from wellfed.frozen import dataclass, replace
from wellfed.models.attention import LatentAttention
from wellfed.models.attention_kinds import heads_of, window_of
from wellfed.models.ffn import MoeFfn
from wellfed.models.model import Layer, Model
from wellfed.nouns.estimate import Work
from wellfed.perf.ops import Step, layer_kinds

_LOGIT_BYTES = 4  # llama.cpp keeps logits in FP32
# Of one feed-forward matrix in FP16; the step in rate beyond it is fitted, its place assumed.
_LARGE_MATRIX_BYTES = 256 * 2**20


@dataclass(frozen=True, slots=True)
class Pass:
    """One forward pass of `tokens` tokens, `repeats` times over; every other field is of one (average) pass.

    `context_tokens`: visible context summed over layers and sequences; `score_elements`: query x key x head pairs;
    `hidden_elements`, `ffn_elements`: activations summed over layers; `hop_bytes`: what passes from GPU to GPU;
    `batched`: several tokens, which may multiply as a matrix; `large_matrices`: some feed-forward one is over 256 MiB
    as FP16; `latent`: attention is MLA; `served`: a server samples and answers, which `llama-bench` does not.
    """

    works: tuple[Work, ...]
    tokens: float
    repeats: float
    context_tokens: float
    score_elements: float
    hidden_elements: float
    ffn_elements: float
    hop_bytes: float
    logits_bytes: float
    batched: bool
    large_matrices: bool
    latent: bool
    served: bool = True


def prompt_steps(prompt: float, depth: float, ubatch: int) -> tuple[Step, int]:
    """The average micro-batch of a prompt after `depth` cached tokens, and how many there are.

    Micro-batches are taken as equal. What a pass costs is linear in its context but for windows, so the average
    context stands for all. Logits are computed for the prompt's last token only.
    """
    repeats = max(1, math.ceil(prompt / max(1, ubatch)))
    tokens = prompt / repeats
    return Step.prefill(tokens, depth + tokens * (repeats + 1) / 2, logits=1 / repeats), repeats


def pass_of(
    model: Model, layers: Sequence[int], works: tuple[Work, ...], step: Step, repeats: float = 1, served: bool = True
) -> Pass:
    """The pass that runs `works` of `layers` (indices) for `step`."""
    kinds = layer_kinds(model, layers)
    seen = [_visible(layer, step.context) for layer, _ in kinds]
    scored = sum(count * _heads(layer) * tokens for (layer, count), tokens in zip(kinds, seen, strict=True))
    return Pass(
        works=tuple(_head_share(work, step) for work in works),
        tokens=step.tokens,
        repeats=repeats,
        context_tokens=step.sequences * sum(count * tokens for (_, count), tokens in zip(kinds, seen, strict=True)),
        score_elements=step.tokens * scored,
        hidden_elements=step.tokens * model.hidden * len(layers),
        ffn_elements=step.tokens * sum(count * _ffn_width(layer) for layer, count in kinds),
        hop_bytes=step.tokens * model.hidden * _LOGIT_BYTES,
        logits_bytes=model.vocabulary * _LOGIT_BYTES * step.logits,
        batched=step.tokens > 1,
        large_matrices=any(2 * _ffn_width(layer) * model.hidden > _LARGE_MATRIX_BYTES for layer, _ in kinds),
        latent=any(isinstance(layer.attention, LatentAttention) for layer, _ in kinds),
        served=served,
    )


def _head_share(work: Work, step: Step) -> Work:
    """Micro-batches without logits skip the head."""
    if work.name != "output head" or step.logits >= 1:
        return work
    share = step.logits
    return replace(
        work, read_bytes=work.read_bytes * share, elements=work.elements * share, launches=work.launches * share
    )


def _visible(layer: Layer, context: float) -> float:
    window = window_of(layer.attention)
    return context if window is None else min(context, window)


def _heads(layer: Layer) -> int:
    return heads_of(layer.attention) or 0


def _ffn_width(layer: Layer) -> int:
    if isinstance(layer.ffn, MoeFfn):
        return layer.ffn.active * layer.ffn.intermediate + layer.ffn.shared_width
    return layer.ffn.intermediate
