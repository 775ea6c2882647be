"""SGLang's `mem_fraction_static` where nobody names it: what it keeps for activations and graphs, by its version.

`ServerArgs` of python/sglang/srt/server_args.py (0.4.6, 0.4.9, 0.5.3 to 0.5.16), since 0.5.20
`handle_gpu_memory_settings` of srt/arg_groups/memory_hook.py (0.5.23). All sizes there are MiB.
"""

from __future__ import annotations

from enum import StrEnum

from wellfed.models.attention import LatentAttention
from wellfed.models.model import Model
from wellfed.nouns.layout import DraftKind, Layout
from wellfed.perf.memory.kv import option
from wellfed.units import GIB, MIB

AS_GIVEN = "as_given"  # the option of a command that runs as it is: its engine's default shares stand
RULE, GRAPHS, PREFILL_GRAPHS = "static_rule", "graph_sequences", "prefill_graphs"  # options: which rule, what flags say


class StaticRule(StrEnum):
    """What decides the share; later ones are written where a version was read that has them."""

    RANKS = "ranks"  # the tensor-parallel ranks (0.4.6)
    CARDS = "cards"  # a table of cards' sizes (0.4.9)
    CHUNKS = "chunks"  # tokens of a chunk, sequences of the largest graph (0.5.3 to 0.5.9)
    PREFILL = "prefill"  # graphs of prefill, too (0.5.12)
    DRAFTS_COUNTED = "drafts-counted"  # drafts are loaded before the pool is sized (0.5.16)
    NOW = "now"  # larger chunks on cards below 35 GiB (0.5.20)


_ORDER = tuple(StaticRule)
_BY_RANKS = ((16, 0.79), (8, 0.81), (4, 0.85), (2, 0.87), (1, 0.88))
_LARGE_CARD_MIB, _LARGE_CARD_KEPT_MIB = 81_920, 13 * 1024
# By memory in GiB: tokens of a chunk; sequences of the largest graph below four ranks, and from there.
_SIZES = ((20, 2048, 8, 8), (35, 4096, 48, 160), (60, 4096, 32, 160), (160, 8192, 256, 512))
_OLD_35 = (35, 2048, 24, 80)
_LARGEST = (16384, 512, 512)
_BESIDE_MIB, _TOKEN_MIB, _SEQUENCE_MIB, _RANK_MIB = 512, 1.5, 2, 128
_LEAST_TOKENS = 2048
_LEAST_ON_LARGE_MIB, _LARGE_GIB = 10 * 1024, 60
_DIVIDED_MIB, _DIVIDED_MANY_MIB, _MANY = 3, 1.5, 300  # for each sequence of a graph and copy of attention
_PREFILL_GRAPH_MIB, _LATENT_PREFILL_MIB = 8, 1.5 * 1024
# Tokens whose prefill is captured: (first, last, step).
_PREFILL_SIZES = (
    (4, 32, 4), (48, 256, 16), (288, 512, 32), (576, 1024, 64), (1280, 4096, 256), (4608, 1 << 20, 512),
)  # fmt: skip
# 0.4.9's table: below so many GiB, GiB kept, and GiB for each rank.
_TABLE = ((35, 2.8, 0.1), (90, 9.5, 0.5), (160, 12.0, 0.5))
_TABLE_LARGEST_GIB, _TABLE_DIVIDED_GIB, _EARLY_SEES = 32.0, 4.0, 0.9


def chunk_and_graphs(memory_bytes: float, ranks: int, rule: StaticRule = StaticRule.NOW) -> tuple[int, int]:
    """Tokens of a chunk and sequences of the largest graph that a card's memory gives."""
    old = _ORDER.index(rule) < _ORDER.index(StaticRule.NOW)
    for gib, chunk, few, many in (_SIZES[0], _OLD_35 if old else _SIZES[1], *_SIZES[2:]):
        if memory_bytes < gib * GIB:
            return chunk, many if ranks >= 4 else few
    return _LARGEST[0], _LARGEST[2]


def rule_of(layout: Layout) -> StaticRule:
    """The rule of the layout's version."""
    return StaticRule(option(layout, RULE, StaticRule.NOW))


def static_fraction(model: Model, layout: Layout, total: float) -> float:
    """Of a card with `total` bytes, before what a model that sees makes of it."""
    if not total:
        return 0.88
    rule, mib = rule_of(layout), total / MIB
    if rule is StaticRule.RANKS:
        if mib > _LARGE_CARD_MIB:
            return (mib - _LARGE_CARD_KEPT_MIB) / mib
        return next(share for ranks, share in _BY_RANKS if layout.tensor_parallel >= ranks)
    kept_mib = _table_mib(layout, mib) if rule is StaticRule.CARDS else _reserved_mib(model, layout, mib)
    return max(0.0, round((mib - kept_mib) / mib, 3))


def _table_mib(layout: Layout, mib: float) -> float:
    ranks = layout.tensor_parallel * layout.pipeline_parallel
    sizes = (base + ranks * each for gib, base, each in _TABLE if mib < gib * 1024)
    gib = next(sizes, _TABLE_LARGEST_GIB) + _drafts_mib(layout) / 1024
    return 1024 * (gib + (_TABLE_DIVIDED_GIB if layout.attention_data_parallel > 1 else 0.0))


def _reserved_mib(model: Model, layout: Layout, mib: float) -> float:
    rule, ranks = rule_of(layout), layout.tensor_parallel * layout.pipeline_parallel
    usual = chunk_and_graphs(mib * MIB, layout.tensor_parallel, rule)
    chunk, most = layout.batch_tokens, int(option(layout, GRAPHS) or usual[1])
    reserved = _BESIDE_MIB + _TOKEN_MIB * max(_LEAST_TOKENS, chunk) + ranks * _RANK_MIB
    reserved += _graphs_mib(model, layout, most, chunk)
    if mib > _LARGE_GIB * 1024:
        reserved = max(reserved, _LEAST_ON_LARGE_MIB)
    return reserved + _drafts_mib(layout)


def _graphs_mib(model: Model, layout: Layout, most: int, chunk: int) -> float:
    rule, copies = rule_of(layout), layout.attention_data_parallel
    reserved = float(_SEQUENCE_MIB * most) if layout.cuda_graphs or rule is not StaticRule.NOW else 0.0
    if copies > 1:
        reserved += most * copies * (_DIVIDED_MIB + (_DIVIDED_MANY_MIB if most > _MANY else 0))
    if _ORDER.index(rule) < _ORDER.index(StaticRule.PREFILL) or option(layout, PREFILL_GRAPHS) == "0":
        return reserved
    if any(isinstance(layer.attention, LatentAttention) for layer in model.layers):
        return reserved + _LATENT_PREFILL_MIB
    return reserved + _PREFILL_GRAPH_MIB * prefill_sizes(chunk)


def prefill_sizes(most: int) -> int:
    """How many sizes of prefill are captured up to `most` tokens."""
    return sum(max(0, (min(last, most) - first) // step + 1) for first, last, step in _PREFILL_SIZES)


def _drafts_mib(layout: Layout) -> float:
    """For a draft and its graphs, in versions that size the pool before they are there."""
    rule, guess = rule_of(layout), layout.speculation
    if guess is None or guess.kind is None or _ORDER.index(rule) >= _ORDER.index(StaticRule.DRAFTS_COUNTED):
        return 0.0
    if guess.kind is DraftKind.NGRAM:
        return 2048.0 if rule is StaticRule.CARDS else 0.0
    if guess.kind is DraftKind.DRAFT and rule is not StaticRule.CARDS:
        return 6144.0
    return 4096.0 if rule is StaticRule.PREFILL else 2048.0


def share_that_sees(layout: Layout, by_tower: float) -> float:
    """What the share is multiplied by where a model sees: `by_tower` by its tower's size (see `sglang_share`)."""
    early = rule_of(layout) in (StaticRule.RANKS, StaticRule.CARDS)
    return _EARLY_SEES if early and by_tower != 1.0 else by_tower
