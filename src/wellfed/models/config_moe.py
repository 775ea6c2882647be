"""Builders of mixture-of-experts models with grouped-query attention."""

from __future__ import annotations

from dataclasses import replace

from wellfed.errors import Unsupported
from wellfed.models.attention import FullAttention
from wellfed.models.config_dense import grouped_attention, tied, windows
from wellfed.models.config_reader import Config, Shape
from wellfed.models.ffn import DenseFfn, Ffn, MoeFfn
from wellfed.models.model import Layer


def mixtral(config: Config) -> Shape:
    """Every layer routes; no shared experts."""
    ffn = MoeFfn(_experts(config), _active(config), config.whole("intermediate_size"))
    return Shape(tuple(Layer(grouped_attention(config, window), ffn) for window in windows(config)), tied(config))


def _experts(config: Config) -> int:
    return config.whole("num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts")


def _active(config: Config) -> int:
    active = config.whole("num_experts_per_tok", "moe_k", "moe_topk", "num_experts_per_token")
    return min(active, _experts(config))


def gpt_oss(config: Config) -> Shape:
    """gpt-oss: attention sinks and biases everywhere, every second layer a window."""
    ffn = MoeFfn(_experts(config), _active(config), config.whole("intermediate_size"), router_bias=True, bias=True)

    def attention(window: int | None) -> FullAttention:
        return replace(grouped_attention(config, window), bias=True, output_bias=True, sinks=True)

    spans = windows(config, lambda index: index % 2 == 1)
    return Shape(tuple(Layer(attention(span), ffn) for span in spans), tied(config))


def qwen_ffn(config: Config) -> MoeFfn:
    """Qwen's experts, with a gated shared expert where the config has one."""
    shared = config.count("shared_expert_intermediate_size")
    return MoeFfn(
        _experts(config),
        _active(config),
        config.whole("moe_intermediate_size"),
        shared=1 if shared else 0,
        shared_intermediate=shared or None,
        shared_gate=bool(shared),
    )


def qwen_moe(config: Config) -> Shape:
    """Qwen2-MoE and Qwen3-MoE; `mlp_only_layers` and every layer off `decoder_sparse_step` are dense."""
    step = config.whole("decoder_sparse_step", default=1)
    listed = config.find("mlp_only_layers")
    only = set(listed) if isinstance(listed, list) and all(isinstance(i, int) for i in listed) else set()
    moe = qwen_ffn(config)

    def ffn(index: int) -> Ffn:
        if index in only or (index + 1) % step:
            return DenseFfn(config.whole("intermediate_size"))
        return moe

    spans = windows(config)
    layers = (Layer(grouped_attention(config, spans[index]), ffn(index)) for index in range(config.layers))
    return Shape(tuple(layers), tied(config))


def llama4(config: Config) -> Shape:
    """Llama 4: attention in chunks except every fourth layer; experts in every `interleave_moe_layer_step`-th."""
    step = config.whole("interleave_moe_layer_step", default=1)
    period = config.whole("no_rope_layer_interval", default=4)
    chunk = config.optional("attention_chunk_size")
    width = config.whole("intermediate_size")
    moe = MoeFfn(_experts(config), _active(config), width, shared=1)
    wide = DenseFfn(config.whole("intermediate_size_mlp", default=width))

    def layer(index: int) -> Layer:
        window = None if (index + 1) % period == 0 else chunk
        attention = replace(grouped_attention(config, window), qk_norm=False)  # its norm has no weights
        return Layer(attention, moe if (index + 1) % step == 0 else wide)

    return Shape(tuple(layer(index) for index in range(config.layers)), tied(config))


def glm_moe(config: Config) -> Shape:
    """GLM-4.5 and kin: the first layers dense, then routed and shared experts; one MTP layer."""
    dense_layers = config.count("first_k_dense_replace")
    moe = MoeFfn(
        _experts(config),
        _active(config),
        config.whole("moe_intermediate_size"),
        shared=config.count("n_shared_experts"),
        router_bias=True,
    )
    attention = grouped_attention(config)
    first = Layer(attention, DenseFfn(config.whole("intermediate_size")))
    rest = Layer(attention, moe)
    layers = (first,) * min(dense_layers, config.layers) + (rest,) * max(0, config.layers - dense_layers)
    return Shape(layers, tied(config), mtp_layers=(rest,) * min(config.count("num_nextn_predict_layers"), 8))


def minimax(config: Config) -> Shape:
    """MiniMax-M2: full attention with norms over all heads, sigmoid routing with a bias."""
    ffn = MoeFfn(_experts(config), _active(config), config.whole("intermediate_size"), router_bias=True)
    attention = replace(grouped_attention(config), wide_norm=config.find("qk_norm_type") == "per_layer")
    return Shape((Layer(attention, ffn),) * config.layers, tied(config))


def ernie(config: Config) -> Shape:
    """ERNIE 4.5: dense up to `moe_layer_start_index`, then routed and shared experts."""
    start = config.count("moe_layer_start_index")
    moe = MoeFfn(
        _experts(config),
        _active(config),
        config.whole("moe_intermediate_size"),
        shared=config.count("moe_num_shared_experts"),
        router_bias=True,
    )
    attention = grouped_attention(config)
    first, rest = Layer(attention, DenseFfn(config.whole("intermediate_size"))), Layer(attention, moe)
    layers = (first,) * min(start, config.layers) + (rest,) * max(0, config.layers - start)
    return Shape(layers, tied(config))


def hunyuan(config: Config) -> Shape:
    """Hunyuan-A13B: every layer routes and shares one expert."""
    moe = MoeFfn(
        _experts(config),
        _uniform(config, "moe_topk"),
        _uniform(config, "moe_intermediate_size"),
        shared=_uniform(config, "num_shared_expert"),
    )
    return Shape((Layer(grouped_attention(config), moe),) * config.layers, tied(config))


def _uniform(config: Config, key: str) -> int:
    """A value that may be given once or once per layer, all alike."""
    listed = config.per_layer(key)
    return config.whole(key) if listed is None else Config({key: listed[0]}, config.kind).whole(key)


def mimo_v2(config: Config) -> Shape:
    """MiMo-V2-Flash: five windows to one full layer, each with its own head counts; the first layer dense."""
    hybrid, routed = config.per_layer("hybrid_layer_pattern"), config.per_layer("moe_layer_freq")
    moe = MoeFfn(_experts(config), _active(config), config.whole("moe_intermediate_size"), router_bias=True)
    wide = DenseFfn(config.whole("intermediate_size"))
    full = replace(grouped_attention(config), value_dim=config.optional("v_head_dim"))
    window = replace(
        full,
        kv_heads=config.whole("swa_num_key_value_heads", default=full.kv_heads),
        window=config.whole("sliding_window"),
        sinks=True,
    )

    def layer(index: int) -> Layer:
        attention = window if hybrid is not None and hybrid[index] else full
        return Layer(attention, moe if routed is None or routed[index] else wide)

    return Shape(tuple(layer(index) for index in range(config.layers)), tied(config))


def gemma4(config: Config) -> Shape:
    """Gemma 4: windows between full layers, which have wider heads and one projection for key and value.

    With `enable_moe_block` a dense feed-forward runs beside the experts, as a shared expert does.
    """
    if config.count("hidden_size_per_layer_input") or config.count("num_kv_shared_layers"):
        raise Unsupported("per-layer embeddings and shared key-value layers (Gemma's E models) have no description")
    kinds = config.per_layer("layer_types")
    near = replace(grouped_attention(config, config.whole("sliding_window")), qk_norm=True)
    far = replace(
        near,
        window=None,
        head_dim=config.whole("global_head_dim", default=near.head_dim),
        kv_heads=config.whole("num_global_key_value_heads", default=near.kv_heads),
        shared_projection=config.flag("attention_k_eq_v"),
    )
    wide = config.whole("intermediate_size")
    ffn: Ffn = DenseFfn(wide)
    if config.flag("enable_moe_block"):
        experts, active = config.whole("num_experts"), config.whole("top_k_experts", "num_experts_per_tok")
        width = config.whole("moe_intermediate_size")
        ffn = MoeFfn(experts, min(active, experts), width, shared=1, shared_intermediate=wide)

    def layer(index: int) -> Layer:
        full = (index + 1) % 6 == 0 if kinds is None else str(kinds[index]).startswith("full")
        return Layer(far if full else near, ffn, norms=4)

    return Shape(tuple(layer(index) for index in range(config.layers)), tied(config))
