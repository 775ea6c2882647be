"""Compute buffers of llama.cpp and ik_llama.cpp: the largest set of activations alive at once.

The graph allocator reuses memory, so a buffer is the maximum over the phases of a layer, not their sum. Each phase
below lists what is alive in it, in bytes for `tokens` = one ubatch: attention scores without flash attention, MLA's
expanded keys and values, the experts' outputs, the widest dense feed-forward, the logits of one token a sequence
(llama.cpp's server since build 9460; all tokens' before, and where the option `logits` is `all`).

Sources: the graphs of ggml-org/llama.cpp and ikawrakow/ik_llama.cpp (read 2026-11-23); logged buffer sizes, which the
phases reproduce to a few MiB for dense models and to a few per cent for MLA.
"""

from __future__ import annotations

from datetime import date

from wellfed.frozen import dataclass
from wellfed.models.attention import Attention, FullAttention, LatentAttention
from wellfed.models.compressed_attention import CompressedAttention
from wellfed.models.ffn import DenseFfn, MoeFfn
from wellfed.models.model import Model
from wellfed.nouns.layout import Engine, Layout
from wellfed.perf.identity import per_object
from wellfed.perf.memory.kv import cells, kv_element_bytes, option
from wellfed.units import MIB

_F32, _F16 = 4, 2  # bytes of a value
# Options: "all" where a batch's logits are reserved, "f32" where masks are narrowed, "one" where only tokens come in.
LOGITS, MASK, INPUTS = "logits", "mask", "inputs"
# Rows of the residual stream alive beside a feed-forward layer: on a CPU with those that came in, on a GPU (logged by
# builds 9849 to 10809 for Qwen3.8-27B) its input and the residual alone.
_ROWS_ON_CPU, _ROWS_ON_GPU = 5, 2
_FREES_GROUPS = date(2025, 8, 1)  # ik_llama.cpp's builds keep one group's expanded keys and values at a time since then
_EXPAND_FROM = 128  # tokens from which ik_llama.cpp's -mla 2 and 3 expand latents instead of absorbing


@dataclass(frozen=True, slots=True)
class Shapes:
    """The widths that decide compute buffers."""

    hidden: int
    vocabulary: int
    attentions: tuple[Attention, ...]
    dense: int  # widest dense feed-forward, shared experts included
    active: int  # routed experts per token; 0 without experts
    experts: int
    expert_width: int


@per_object
def shapes(model: Model) -> Shapes:
    """The widths of `model`."""
    dense = [f.intermediate if isinstance(f, DenseFfn) else f.shared_width for f in (x.ffn for x in model.layers)]
    moe = [layer.ffn for layer in model.layers if isinstance(layer.ffn, MoeFfn)]
    return Shapes(
        hidden=model.hidden,
        vocabulary=model.vocabulary,
        attentions=tuple(dict.fromkeys(layer.attention for layer in model.layers)),
        dense=max(dense, default=0),
        active=max((ffn.active for ffn in moe), default=0),
        experts=max((ffn.experts for ffn in moe), default=0),
        expert_width=max((ffn.intermediate for ffn in moe), default=0),
    )


@dataclass(frozen=True, slots=True)
class Duties:
    """What a device computes: `copies` of the inputs (4 when layers are pipelined over GPUs, else 1)."""

    output: bool  # the output head
    experts: bool  # routed experts whose weights it holds
    staged_bytes: float = 0.0  # the largest expert matrix that is fetched from RAM for large batches
    copies: int = 1
    on_cpu: bool = False
    first: bool = True  # the device that masks come to, as they come


def mask_bytes(layout: Layout, tokens: int, context: int) -> float:
    """The attention mask: F16 with flash attention, else F32."""
    return tokens * context * (_F16 if layout.flash_attention else _F32)


def is_mask_narrowed(layout: Layout) -> bool:
    """Whether a mask comes in F32 and is narrowed to F16 beside it: ik_llama.cpp's builds, llama.cpp's with the option
    `mask` (before build 9410).
    """
    return layout.flash_attention and (layout.engine is not Engine.LLAMA_CPP or option(layout, MASK) == "f32")


def output_rows(layout: Layout, tokens: int, sequences: int) -> int:
    """Of how many tokens a graph reserves logits: one and those drafted of each sequence, of llama.cpp's server
    (`server_n_outputs_max` of tools/server/server-context.cpp, build 9460); else all.
    """
    if layout.engine is not Engine.LLAMA_CPP or option(layout, LOGITS) == "all":
        return tokens
    drafted = layout.speculation.tokens if layout.speculation and layout.speculation.kind else 0
    return max(1, min(tokens, sequences * (1 + drafted)))


def ubatch(layout: Layout, context: int) -> int:
    """Tokens of the largest graph."""
    return max(1, min(layout.ubatch_tokens, layout.batch_tokens, cells(layout, context)))


def compute_bytes(model: Model, layout: Layout, context: int, duties: Duties, sequences: int = 1) -> float:
    """The compute buffer of one device for so many sequences of `context` tokens."""
    shape, tokens = shapes(model), ubatch(layout, context)
    reserved = cells(layout, context)
    mask = mask_bytes(layout, tokens, reserved)
    row = tokens * shape.hidden * _F32
    phases = [_attention(a, layout, tokens, reserved, duties.on_cpu) + mask + _rows(a) * row for a in shape.attentions]
    phases.append(_dense(shape, tokens, duties.on_cpu) + mask)
    staged = duties.staged_bytes
    if shape.active and (duties.experts or staged):
        held = mask if layout.engine is Engine.LLAMA_CPP else 0.0
        phases.append(staged + (2 * shape.active + 2) * row + held)
        held = _as_masks_come(layout, tokens, reserved, duties)
        phases.append(staged + held + row if held and staged > held else 0.0)
        if layout.engine is Engine.IK_LLAMA_CPP and staged:  # up and gate are multiplied in one operation
            inner = tokens * shape.active * shape.expert_width * _F32
            phases.append(2 * staged + inner + 4 * row + mask)
    if duties.output:
        phases.append(output_rows(layout, tokens, sequences) * shape.vocabulary * _F32 + row)
    phases.append(_as_masks_come(layout, tokens, reserved, duties) + row)
    came = tokens * reserved * _F32 if _as_masks_come(layout, tokens, reserved, duties) else mask
    return max(phases) + (duties.copies - 1) * (came + row)


def _as_masks_come(layout: Layout, tokens: int, context: int, duties: Duties) -> float:
    """A mask in F32 and in F16 at once, on the first device of llama.cpp's builds that narrow it; what follows fits
    into the place of the first, but for matrices that are larger.
    """
    narrowed = layout.engine is Engine.LLAMA_CPP and is_mask_narrowed(layout) and duties.first and not duties.on_cpu
    return float(tokens * context * (_F32 + _F16)) if narrowed else 0.0


def host_bytes(model: Model, layout: Layout, context: int, copies: int, experts_here: bool) -> float:
    """The host side of a GPU's compute: the mask, as it comes, and the embeddings or, where the CPU computes experts,
    their outputs; beside them embeddings that may come in place of tokens (llama.cpp since build 7774).
    """
    shape, tokens = shapes(model), ubatch(layout, context)
    rows = tokens * shape.active if experts_here else tokens
    rows += tokens if layout.engine is Engine.LLAMA_CPP and not option(layout, INPUTS) else 0
    element = _F32 if is_mask_narrowed(layout) or not layout.flash_attention else _F16
    return copies * tokens * cells(layout, context) * element + rows * shape.hidden * _F32


def _rows(attention: Attention) -> int:
    """Rows of the residual stream alive beside attention; MLA's own terms count its projections."""
    return 1 if isinstance(attention, LatentAttention) else 4


def _dense(shape: Shapes, tokens: int, on_cpu: bool) -> float:
    """gate, up and their product, and rows of the residual stream."""
    rows = _ROWS_ON_CPU if on_cpu else _ROWS_ON_GPU
    return tokens * (_F32 * (3 * shape.dense + rows * shape.hidden) + 40)


def _attention(attention: Attention, layout: Layout, tokens: int, context: int, on_cpu: bool) -> float:
    if isinstance(attention, LatentAttention):
        if not layout.latent_cache:
            return _expanded(attention, layout, tokens, context)
        if not layout.flash_attention:
            return _absorbed_scores(attention, layout, tokens, context)
        mode = option(layout, "mla", "3")
        if layout.engine is Engine.IK_LLAMA_CPP and mode in {"2", "3"} and tokens >= _EXPAND_FROM:
            return _expanding(attention, layout, tokens, context, on_cpu)
        return tokens * attention.heads * (3 * attention.kv_rank + 2 * attention.rope_dim) * _F32
    if isinstance(attention, FullAttention):
        q = tokens * attention.heads * attention.head_dim * _F32
        return q if layout.flash_attention else tokens * attention.heads * context * _F32
    if isinstance(attention, CompressedAttention) and attention.indexer is not None:
        return _indexed(attention, layout, tokens, context)
    return 0.0


def _indexed(attention: CompressedAttention, layout: Layout, tokens: int, context: int) -> float:
    """The indexer's scores of every compressed entry, all its heads, and their weighted copy; builds with one
    operation for it (option `indexer` not `unfused`) keep the sum over heads alone.
    """
    entries = context // attention.ratio
    heads = 2 * attention.indexer.heads if attention.indexer and option(layout, "indexer") == "unfused" else 1
    return tokens * heads * entries * _F32


def _expanded(attention: LatentAttention, layout: Layout, tokens: int, context: int) -> float:
    """Keys and values of all heads in the cache: q, k and their parts; scores without flash attention."""
    heads = attention.heads * (attention.nope_dim + attention.rope_dim) * tokens * _F32
    return heads if layout.flash_attention else 3 * heads + tokens * attention.heads * context * _F32


def _amb(layout: Layout) -> float | None:
    """ik_llama.cpp's `-amb` in bytes; None = no cap."""
    text = option(layout, "amb") if layout.engine is Engine.IK_LLAMA_CPP else ""
    return float(text) * MIB if text not in {"", "0"} else None


def _absorbed_scores(attention: LatentAttention, layout: Layout, tokens: int, context: int) -> float:
    """Scores over latents; `-amb` splits the heads and keeps two pieces; `-mla 2` transposes the latents each time."""
    scores: float = tokens * attention.heads * context * _F32
    cap = _amb(layout)
    if cap is not None and scores > cap:
        scores = 2 * cap
    heads = tokens * attention.heads * (2 * attention.kv_rank + attention.rope_dim) * _F32
    return scores + heads + attention.kv_rank * context * _F16


def _groups(attention: LatentAttention, layout: Layout, context: int) -> int:
    """Into how many head groups `-amb` divides the expansion of the cache."""
    cap = _amb(layout)
    size = attention.heads * (attention.nope_dim + attention.value_dim) * context * _F32
    if cap is None or size <= cap:
        return 1
    return next((n for n in range(2, attention.heads) if attention.heads % n == 0 and size / n <= cap), attention.heads)


def _expanding(attention: LatentAttention, layout: Layout, tokens: int, context: int, on_cpu: bool) -> float:
    """`-mla 2/3` prefill: the cached latents are expanded to keys and values, one head group at a time.

    Alive: the group in F32, its values, its keys twice (parts, then whole), the queries. Builds before August
    2025 (option `built`) kept every group's keys and values until the layer's end.
    """
    element = kv_element_bytes(layout.kv_type) if on_cpu else _F16
    groups = _groups(attention, layout, context)
    key, value = attention.nope_dim + attention.rope_dim, attention.value_dim
    group_heads = attention.heads / groups
    raw = group_heads * (attention.nope_dim + value) * context * _F32
    keeps_all = layout.is_built_before(_FREES_GROUPS)
    expanded = attention.heads * (key + value) if keeps_all and groups > 1 else group_heads * value
    query = attention.heads * key * tokens * _F32
    dequantised = attention.kv_rank * context * _F16 if layout.kv_type != "f16" and not on_cpu else 0
    return raw + (expanded + group_heads * key) * context * element + query + dequantised
