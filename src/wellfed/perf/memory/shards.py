"""What one rank holds of a model under tensor, pipeline and expert parallelism."""

from __future__ import annotations

from itertools import accumulate, pairwise
from math import ceil

from wellfed.frozen import dataclass
from wellfed.models.attention import FullAttention, LatentAttention
from wellfed.models.model import Model
from wellfed.models.recurrent import Recurrent
from wellfed.models.tensor import Part
from wellfed.models.weights import Weights
from wellfed.nouns.layout import Engine, Layout
from wellfed.perf.identity import per_object
from wellfed.perf.memory.compute import shapes
from wellfed.perf.memory.context_ranks import context_ranks, prefill_ranks
from wellfed.perf.memory.held import kv_projection_share, replicated_share, weight_sums
from wellfed.perf.memory.kv import cache_profile, option
from wellfed.perf.memory.pools import paddings, pooled_layer_bytes
from wellfed.perf.memory.split import Span

_MXFP4_WIDTH = 256  # columns that vLLM pads MXFP4 experts to, see `_padding`
LANGUAGE_ONLY = "language_only"  # the option: towers are not loaded
TOWER_BY_DATA = "tower_by_data"  # the option: the tower is whole on every rank
_DIVIDE_TOWERS = frozenset({Engine.VLLM, Engine.SGLANG})


@dataclass(frozen=True, slots=True)
class RankWeights:
    """Bytes of one rank: parts that parallelism divides, and parts that every rank repeats."""

    attention: float
    dense: float
    routed: float
    replicated: float
    embedding: float
    head: float

    @property
    def total(self) -> float:
        """Bytes of weights on one GPU."""
        return self.attention + self.dense + self.routed + self.replicated + self.embedding + self.head


def attention_ranks(layout: Layout) -> int:
    """Ranks that share one sequence's attention: the tensor-parallel group, less data-parallel attention; of those that
    divide its cache by Helix each has all heads of its part.
    """
    apart = context_ranks(layout) if layout.engine is Engine.TENSORRT_LLM else 1
    return max(1, layout.tensor_parallel // max(1, layout.attention_data_parallel * apart))


def expert_ranks(layout: Layout) -> int:
    """Ranks that share one copy of the routed experts."""
    most = layout.tensor_parallel * layout.data_parallel
    return max(1, layout.tensor_parallel, min(layout.expert_parallel, most))


def tp_shard(size: float, whole_share: float, ranks: int) -> float:
    """A rank's part of `size` when `whole_share` of it is on every rank."""
    return size * (whole_share + (1 - whole_share) / ranks)


def stages(layers: int, pipeline: int, split: tuple[int, ...] = ()) -> tuple[Span, ...]:
    """Pipeline stages of `split` layers (vLLM's VLLM_PP_LAYER_PARTITION), else even ones, earlier ones longer; the last
    has the head.
    """
    if len(split) == pipeline and sum(split) == layers:
        ends = (0, *accumulate(split))
        return tuple(Span(a, b, i == pipeline - 1) for i, (a, b) in enumerate(pairwise(ends)))
    bounds = [ceil(layers * i / pipeline) for i in range(pipeline + 1)]
    return tuple(Span(a, b, i == pipeline - 1) for i, (a, b) in enumerate(pairwise(bounds)))


@per_object
def fewest_kv_heads(model: Model) -> int:
    """Smallest number of KV heads of any layer; large where no layer has heads of its own."""
    return min((a.kv_heads for a in cache_profile(model).kinds if isinstance(a, FullAttention)), default=1 << 30)


def rank_weights(model: Model, weights: Weights, layout: Layout, span: Span) -> RankWeights:
    """What one rank of the stage `span` holds.

    Vocabulary-parallel embedding and head; norms and routers everywhere; MLA's down projections everywhere; k and v
    projections copied once ranks outnumber KV heads.
    """
    sums, tensor = weight_sums(weights), max(1, layout.tensor_parallel)
    attention = sums.attention[span.last] - sums.attention[span.first]
    ranks = attention_ranks(layout)
    routed = (sums.routed[span.last] - sums.routed[span.first]) * _padding(model, weights, layout)
    routed /= prefill_ranks(layout)
    copied = kv_projection_share(model)
    over = max(0.0, 1 / fewest_kv_heads(model) - 1 / ranks) * copied
    first, last = span.first == 0, span.output
    return RankWeights(
        attention=tp_shard(attention, replicated_share(model), ranks)
        + attention * over
        + _absorbed_bytes(model, layout, span) / ranks,
        dense=(sums.dense[span.last] - sums.dense[span.first]) / tensor,
        routed=routed / expert_ranks(layout) * (1 + _redundant_share(model, layout)),
        replicated=_angles_bytes(model, layout)
        + sums.small[span.last]
        - sums.small[span.first]
        + (weights.other if last else 0.0)
        + (0.0 if option(layout, LANGUAGE_ONLY) == "1" else _towers(weights, layout, first)),
        embedding=(weights.embedding + weights.lookup) / tensor if first else 0.0,
        head=_head(weights, first) / tensor if last else 0.0,
    )


_ABSORB = frozenset({Engine.VLLM, Engine.SGLANG, Engine.KTRANSFORMERS})
_HALF_BYTES = 2.0  # of what absorbs latents, whatever the weights' own


def _absorbed_bytes(model: Model, layout: Layout, span: Span) -> float:
    """Copies of latents' up projections in 16 bits, by heads, which queries and outputs are multiplied with instead of
    them (W_UK_T and W_UV of vllm/v1/attention/backends/mla/common.py, 0.10; w_kc and w_vc of SGLang's deepseek_v2.py).
    """
    if layout.engine not in _ABSORB or not layout.latent_cache:
        return 0.0
    profile = cache_profile(model)
    return _HALF_BYTES * sum(
        profile.count(index, span.first, span.last) * kind.heads * (kind.nope_dim + kind.value_dim) * kind.kv_rank
        for index, kind in enumerate(profile.kinds)
        if isinstance(kind, LatentAttention)
    )


def _towers(weights: Weights, layout: Layout, first: bool) -> float:
    """Towers for pictures and sound, on every rank that takes the prompt in: vLLM and SGLang divide their matrices as
    they divide the model's (`--mm-encoder-tp-mode` says `data` where each rank is to have them whole), others do not.
    """
    if not first:
        return 0.0
    divides = layout.engine in _DIVIDE_TOWERS and option(layout, TOWER_BY_DATA) != "1"
    return weights.towers / (attention_ranks(layout) if divides else 1)


_STRETCHED = {"gemma3_text": (131_072, 8), "gemma3": (131_072, 8)}  # contexts whose positions are scaled, and by what


def _angles_bytes(model: Model, layout: Layout) -> float:
    """Angles of positions, kept for each position of a context that is stretched linearly, and of windows' own
    (`LinearScalingRotaryEmbedding` of vllm/model_executor/layers/rotary_embedding, 0.10: 0.56 GiB of Gemma 3 4B, whose
    8.01 GiB of weights are logged as 8.58 in vllm-project/vllm, pull request 21489). Elsewhere they are too few.
    """
    context, factor = _STRETCHED.get(model.architecture, (0, 0))
    if layout.engine is not Engine.VLLM or not factor or model.context_limit != context:
        return 0.0
    widths = (kind.head_dim for kind in cache_profile(model).kinds if isinstance(kind, FullAttention))
    return (factor + 1) * context * max(widths, default=0) * _HALF_BYTES


_TILE = 128  # columns that share a scale, of FP8 in tiles


def widened_scale_bytes(model: Model, weights: Weights, layout: Layout, span: Span) -> float:
    """What FP8 in tiles takes more on a card without FP8: Marlin has a scale of 16 bits for each column of a tile
    (`prepare_fp8_layer_for_marlin` of vllm/model_executor/layers/quantization/utils/marlin_utils_fp8.py, 0.10).
    """
    rank = rank_weights(model, weights, layout, span)
    held = {Part.ATTENTION: rank.attention, Part.DENSE_FFN: rank.dense, Part.ROUTED_EXPERTS: rank.routed}
    tiled = sum(size for part, size in held.items() if weights.types.get(part, "").upper() == "FP8")
    return tiled * _HALF_BYTES / _TILE


def _redundant_share(model: Model, layout: Layout) -> float:
    """Copies of busy experts under expert parallelism (`--eplb-config`, `--ep-num-redundant-experts`), against all."""
    extra = int(option(layout, "redundant_experts") or 0)
    if not extra or layout.expert_parallel <= 1:
        return 0.0
    experts = shapes(model).experts
    return extra / experts if experts else 0.0


def _padding(model: Model, weights: Weights, layout: Layout) -> float:
    """vLLM rounds MXFP4 experts' widths up to 256: gpt-oss's 2880 takes the room of 3072."""
    if layout.engine is not Engine.VLLM or weights.types.get(Part.ROUTED_EXPERTS) != "MXFP4":
        return 1.0
    width = shapes(model).expert_width
    return ceil(width / _MXFP4_WIDTH) * _MXFP4_WIDTH / width if width else 1.0


def _head(weights: Weights, embedding_here: bool) -> float:
    """The head's bytes; with tied embeddings a copy only where the embedding is not."""
    return weights.output or (0.0 if embedding_here else weights.embedding)


def rank_cache_bytes(model: Model, layout: Layout, context: int, span: Span) -> float:
    """Cache bytes of one sequence on one rank of the stage `span`; latents are whole on every rank."""
    cached, states = pool_parts(model, layout, context, span)
    return cached + states


def pool_parts(model: Model, layout: Layout, context: int, span: Span) -> tuple[float, float]:
    """The same in two parts: what grows with the context, and states."""
    profile, ranks, factors = cache_profile(model), attention_ranks(layout), paddings(model, layout)
    cached = states = 0.0
    for kind, attention in enumerate(profile.kinds):
        count = profile.count(kind, span.first, span.last) * (factors[kind] if factors else 1)
        if not count:
            continue
        size = count * pooled_layer_bytes(model, attention, layout, context) / attention.cache_shards(ranks)
        if isinstance(attention, Recurrent):
            states += size
        else:
            cached += size
    divided = context_ranks(layout)
    return cached / divided, states / divided
