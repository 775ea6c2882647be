"""Builders of the second half of 2026: hybrids of linear attention (Solar-Open2, GLM-5-Next, Qwen4-Exp), and Hy4.

Source: the configuration and model classes of huggingface/transformers (solar_open2, glm5_next, qwen4_exp, hy_v4; read
2026-11-29).
"""

from __future__ import annotations

from dataclasses import replace

from wellfed.message import sentence
from wellfed.models.attention import Attention, FullAttention, LatentAttention, SparseIndexer
from wellfed.models.config_hybrid import delta_hybrid
from wellfed.models.config_latent import latent_attention
from wellfed.models.config_ordinary import attention, ffn, moe, mtp, tied
from wellfed.models.config_reader import Config, Shape
from wellfed.models.ffn import DenseFfn, Ffn
from wellfed.models.model import Layer
from wellfed.models.state_space import KimiDelta
from wellfed.models.tensor import MEMORY, Part, Tensor
from wellfed.models.traits import Traits

_SOLAR = Traits("solar", router_bias=True)
_GLM = Traits("glm", router_bias=True)
_DENSE_LAYERS = 3
_PERIOD = 4


def solar_open2(config: Config) -> Shape:
    """Three layers of Kimi delta attention to one of gated grouped-query attention, which comes first."""
    full = attention(config, _SOLAR)
    gated = config.flag("use_gqa_gate", default=True)
    full = replace(full, gate_rows=full.heads * full.head_dim if gated else 0)
    rank = None if config.flag("kda_use_full_proj") else full.head_dim
    delta = _delta(config, full.heads, full.head_dim, rank)
    listed, kinds = config.find("gqa_layers"), config.per_layer("layer_types")
    period = config.integer("gqa_interval", default=3) + 1

    def is_full(index: int) -> bool:
        if kinds is not None:
            return str(kinds[index]).startswith("full")
        return index in listed if isinstance(listed, list) else index % period == 0

    def mixer(index: int) -> Attention:
        return full if is_full(index) else delta

    layers = tuple(Layer(mixer(index), ffn(config, _SOLAR, index)) for index in range(config.layers))
    return Shape(layers, tied(config), mtp_layers=mtp(config, layers[0]))


def _delta(config: Config, heads: int, width: int, rank: int | None) -> KimiDelta:
    linear = config.inner("linear_attn_config")
    heads = linear.integer("num_heads", default=config.integer("linear_num_heads", default=heads))
    width = linear.integer("head_dim", default=config.integer("linear_head_dim", default=width))
    kernel = linear.integer("short_conv_kernel_size", default=config.integer("linear_conv_kernel_dim", default=4))
    return KimiDelta(heads, width, rank and width, rank and width, kernel)


def glm5_next(config: Config) -> Shape:
    """Three layers of Kimi delta attention to one of sparse latent attention, four streams mixed around each half."""
    delta = _delta(config, config.integer("num_attention_heads"), 128, 128)
    kinds = config.per_layer("layer_types")
    streams = _hyper_connections(config)

    def mixer(index: int) -> Attention:
        linear = index % _PERIOD != _PERIOD - 1 if kinds is None else str(kinds[index]).startswith("linear")
        return delta if linear else latent_attention(config, index)

    layers = tuple(
        Layer(mixer(index), _mlp(config, index, _DENSE_LAYERS), extra=streams) for index in range(config.layers)
    )
    ahead = Layer(latent_attention(config, config.layers - 1), layers[-1].ffn)
    return Shape(layers, tied(config), mtp_layers=mtp(config, ahead), mtp_copies=True)


def _mlp(config: Config, index: int, dense_layers: int) -> Ffn:
    kinds = config.per_layer("mlp_layer_types")
    config.knows("first_k_dense_replace")
    dense = index < dense_layers if kinds is None else str(kinds[index]) == "dense"
    return DenseFfn(config.integer("intermediate_size")) if dense else moe(config, _GLM, index)


def _hyper_connections(config: Config) -> tuple[Tensor, ...]:
    """Two sets a layer: (2 + s) s rows over all s streams, with offsets and three scales, as DeepSeek-V4's."""
    streams = config.count("hc_mult", default=4)
    if not streams:
        return ()
    rows = (2 + streams) * streams
    columns = streams * config.integer("hidden_size")
    return (Tensor("hyper_connections", Part.NORM, 2, rows * columns + rows + 3),)


def hy_v4(config: Config) -> Shape:
    """Hy4: gated sparse latent attention with a sink a head; streams that are mixed independently around each half."""
    streams, hidden = config.count("hc_mult", default=4), config.integer("hidden_size")
    sinks = (Tensor("attn_sinks", Part.NORM, 1, config.integer("num_attention_heads")),)
    mixed = (_mixer(2, 2 * streams, streams * hidden, scales=2),) if streams else ()
    kinds = config.per_layer("indexer_types")

    def mixer(index: int) -> LatentAttention:
        attention = latent_attention(config, index)
        if attention.indexer is not None and kinds is None:
            attention = replace(
                attention, indexer=replace(attention.indexer, shared=index > 0 and (index - 1) % _PERIOD != 0)
            )
        return replace(attention, gate_rows=attention.heads * attention.value_dim)

    layers = tuple(
        Layer(mixer(index), _mlp(config, index, 1), extra=(*sinks, *mixed)) for index in range(config.layers)
    )
    head = (_mixer(1, streams, streams * hidden, scales=1),) if streams else ()
    ahead = Layer(mixer(0), layers[-1].ffn, extra=sinks)
    return Shape(layers, tied(config), mtp_layers=mtp(config, ahead), extra=head)


def _mixer(count: int, rows: int, columns: int, scales: int) -> Tensor:
    return Tensor("hyper_connections", Part.NORM, count, rows * columns + rows + scales)


def qwen4_exp(config: Config) -> Shape:
    """Qwen3.8-Flash-Next: Qwen3.5's hybrid with an indexer, low-rank mixed streams and n-gram tables in some layers."""
    shape = delta_hybrid(config)
    indexer = _qsa(config)
    streams = _low_rank_streams(config, injects=True)
    looked_up = config.find("ple_layer_ids")
    with_tables = set(looked_up) if isinstance(looked_up, list) else set()

    def grown(layer: Layer, index: int | None) -> Layer:
        mixer = layer.attention
        if isinstance(mixer, FullAttention):
            mixer = replace(mixer, indexer=indexer)
        extra = (*streams, *streams, *(_ngram_layer(config) if index in with_tables else ()))
        return Layer(mixer, layer.ffn, norms=0, extra=extra)

    layers = tuple(grown(layer, number) for number, layer in enumerate(shape.layers, start=1))
    rows, width = _ngram_table(config)
    tables = (Tensor(MEMORY, Part.LOOKUP, rows, width),) * len(with_tables)
    ahead = tuple(grown(layer, None) for layer in shape.mtp_layers)
    return replace(shape, layers=layers, mtp_layers=ahead, extra=(*_low_rank_streams(config, injects=False), *tables))


def _qsa(config: Config) -> SparseIndexer | None:
    heads = config.optional("indexer_n_heads")
    config.knows("indexer_kv_heads", "indexer_compress_ratio")
    if heads is None:
        return None
    return SparseIndexer(heads, config.integer("indexer_head_dim"), config.integer("indexer_budget"))


def _low_rank_streams(config: Config, *, injects: bool) -> tuple[Tensor, ...]:
    """What mixes all streams into one input (through a small rank), and its output back into each."""
    count, rank = config.integer("hc_count", default=4), config.integer("hc_lowrank", default=320)
    wide = count * config.integer("hidden_size")
    inject = (Tensor("hyper_inject", Part.ATTENTION, count, wide),) if injects else ()
    return (
        Tensor("hyper_norm", Part.NORM, 1, wide),
        Tensor("hyper_down", Part.ATTENTION, rank, wide),
        Tensor("hyper_up", Part.ATTENTION, wide, rank),
        *inject,
    )


def _ngram_layer(config: Config) -> tuple[Tensor, ...]:
    hidden, width = config.integer("hidden_size"), _ngram_width(config)
    wide = config.integer("hc_count", default=4) * hidden
    kernel = config.integer("ple_conv_kernel_size", default=4)
    return (
        Tensor("engram_wkv", Part.ATTENTION, wide + hidden, width),
        Tensor("engram_vectors", Part.NORM, 1, 3 * wide),
        Tensor("small_conv1d", Part.ATTENTION, wide, kernel),
    )


def _ngram_width(config: Config) -> int:
    return config.optional("ple_embed_dim") or config.integer("hidden_size")


def _ngram_table(config: Config) -> tuple[int, int]:
    """Rows (a prime each head, a little above the base: the base is taken) and width of a layer's table."""
    config.knows("make_ngram_vocab_size_divisible_by", "split_ngram_parts")
    heads = (config.integer("ngram_size", default=3) - 1) * config.integer("heads_per_ngram", default=8)
    width = config.divided(
        _ngram_width(config), max(1, heads), sentence("config-next.ngram-head", "width per n-gram head")
    )
    return max(1, heads) * config.integer("ngram_vocab_size_base", default=20_000_000), width
