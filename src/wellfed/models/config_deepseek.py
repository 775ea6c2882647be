"""Builders of DeepSeek's architectures and those derived from them (Kimi-K2, GLM-5, dots.llm1)."""

from __future__ import annotations

from wellfed.errors import BadInput
from wellfed.models.attention import Attention, LatentAttention, SparseIndexer
from wellfed.models.compressed_attention import CompressedAttention
from wellfed.models.config_dense import grouped_attention, tied
from wellfed.models.config_reader import Config, Shape
from wellfed.models.ffn import DenseFfn, MoeFfn
from wellfed.models.model import Layer
from wellfed.models.tensor import Part, Tensor


def _moe(config: Config) -> MoeFfn:
    experts = config.whole("n_routed_experts")
    return MoeFfn(
        experts,
        min(config.whole("num_experts_per_tok"), experts),
        config.whole("moe_intermediate_size"),
        shared=config.count("n_shared_experts"),
        router_bias=config.find("topk_method") == "noaux_tc",
    )


def _layers(config: Config, attention: Attention) -> tuple[Layer, ...]:
    """The first `first_k_dense_replace` layers dense, the others routed (every `moe_layer_freq`-th)."""
    routed = config.find("n_routed_experts") is not None
    first, period = config.count("first_k_dense_replace"), config.whole("moe_layer_freq", default=1)
    wide = DenseFfn(config.whole("intermediate_size")) if first or not routed or period > 1 else None
    moe = _moe(config) if routed else None

    def ffn(index: int) -> DenseFfn | MoeFfn:
        if moe is not None and index >= first and index % period == 0:
            return moe
        if wide is None:
            raise BadInput("config: a dense layer without intermediate_size")
        return wide

    return tuple(Layer(attention, ffn(index)) for index in range(config.layers))


def plain_moe(config: Config) -> Shape:
    """DeepSeek-MoE and dots.llm1: multi-head attention, routed and shared experts."""
    return Shape(_layers(config, grouped_attention(config)), tied(config))


def latent_attention(config: Config) -> LatentAttention:
    """MLA, with the sparse attention's indexer where the config has one."""
    indexer = None
    if config.find("index_topk") is not None:
        indexer = SparseIndexer(
            config.whole("index_n_heads"), config.whole("index_head_dim"), config.whole("index_topk")
        )
    return LatentAttention(
        heads=config.whole("num_attention_heads"),
        kv_rank=config.whole("kv_lora_rank"),
        nope_dim=config.whole("qk_nope_head_dim"),
        rope_dim=config.whole("qk_rope_head_dim"),
        value_dim=config.whole("v_head_dim"),
        q_rank=config.optional("q_lora_rank"),
        indexer=indexer,
    )


def latent(config: Config) -> Shape:
    """DeepSeek-V2 to V3.2, Kimi-K2, GLM-5."""
    layers = _layers(config, latent_attention(config))
    return Shape(layers, tied(config), mtp_layers=_mtp(config, layers[-1]))


def _mtp(config: Config, last: Layer) -> tuple[Layer, ...]:
    """MTP layers repeat the last layer."""
    return (last,) * min(config.count("num_nextn_predict_layers"), 8)


def compressed(config: Config) -> Shape:
    """DeepSeek-V4: each layer's compression by `compress_ratios`, hyper-connections, experts in every layer."""
    ratios = config.per_layer("compress_ratios")
    if ratios is None:
        raise BadInput("config of a deepseek_v4 model has no compress_ratios", "is the file complete?")
    moe = _moe(config)
    streams = config.count("hc_mult")
    indexer = SparseIndexer(config.whole("index_n_heads"), config.whole("index_head_dim"), config.whole("index_topk"))

    def layer(index: int) -> Layer:
        ratio = Config({"compress_ratio": ratios[index]}, config.kind).count("compress_ratio")
        attention = CompressedAttention(
            heads=config.whole("num_attention_heads"),
            head_dim=config.whole("head_dim"),
            window=config.whole("sliding_window"),
            ratio=ratio,
            q_rank=config.whole("q_lora_rank"),
            output_groups=config.whole("o_groups"),
            output_rank=config.whole("o_lora_rank"),
            indexer=indexer if ratio == 4 else None,
            streams=streams,
        )
        return Layer(attention, moe)

    layers = tuple(layer(index) for index in range(config.layers))
    head = Tensor("hyper_head", Part.NORM, 1, streams * streams * config.whole("hidden_size"))
    plain = [one for one in layers if not getattr(one.attention, "ratio", 0)] or [layers[-1]]
    extra = (head,) if streams else ()
    return Shape(layers, tied(config), mtp_layers=_mtp(config, plain[-1]), extra=extra)
