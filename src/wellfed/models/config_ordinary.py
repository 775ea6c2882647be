"""The builder of ordinary architectures: grouped-query attention, dense or routed feed-forward, by their traits."""

from __future__ import annotations

from dataclasses import replace

from wellfed.message import sentence
from wellfed.models.attention import FullAttention, SparseIndexer
from wellfed.models.config_reader import Config, Shape
from wellfed.models.ffn import DenseFfn, Ffn, MoeFfn
from wellfed.models.model import Layer
from wellfed.models.tensor import Part, Tensor
from wellfed.models.traits import TRAITS, Traits

_MOST_MTP = 8
_LLAMA4_PERIOD = 4


def ordinary(config: Config) -> Shape:
    """A model of a kind in `TRAITS`."""
    traits = TRAITS[config.kind]
    spans = windows(config, traits)
    layers = tuple(
        Layer(_with_extras(config, traits, index, span), ffn(config, traits, index), traits.norms)
        for index, span in enumerate(spans)
    )
    ahead = layers[0] if traits.mtp_dense else layers[-1]
    return Shape(
        layers,
        tied(config, traits),
        mtp_layers=mtp(config, ahead),
        extra=_outside(config, traits),
        mtp_copies=traits.mtp_copies,
        notes=(traits.note,) if traits.note else (),
    )


def tied(config: Config, traits: Traits | None = None) -> bool:
    """Whether the head reads the embedding."""
    default = (traits or TRAITS.get(config.kind, Traits(""))).tied
    return config.flag("tie_word_embeddings", default)


def mtp(config: Config, last: Layer) -> tuple[Layer, ...]:
    """MTP layers repeat the last layer."""
    return (last,) * min(config.count("num_nextn_predict_layers"), _MOST_MTP)


def attention(config: Config, traits: Traits, index: int = 0, window: int | None = None) -> FullAttention:
    """Grouped-query attention of layer `index`, under the common keys."""
    heads = config.integer("num_attention_heads")
    hidden = config.integer("hidden_size")
    head_dim = config.optional("head_dim") or config.divided(
        hidden, heads, sentence("config-ordinary.hidden-size-per", "hidden_size per head")
    )
    if config.per_layer("num_attention_heads_per_layer") is not None:
        heads = config.at("num_attention_heads_per_layer", index)
    kv_heads = config.at("num_key_value_heads", index, default=heads)
    config.divided(heads, kv_heads, sentence("config-ordinary.query-heads-per", "query heads per key-value head"))
    bias = config.flag("attention_bias", traits.bias)
    norm = config.find("qk_layernorm") if traits.qk_norm not in {"all", "never"} else traits.qk_norm == "all"
    has_norm = norm if isinstance(norm, bool) else bool(traits.qk_norm)
    return FullAttention(
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        window=window,
        bias=bias,
        output_bias=bias and traits.output_bias,
        qk_norm=has_norm,
        wide_norm=traits.qk_norm == "all",
        fused=traits.fused,
        gate_rows=_gate_rows(config, traits, heads, head_dim),
        sinks=traits.sinks and not _SINKS_IN_WINDOWS.get(config.kind, False),
    )


_SINKS_IN_WINDOWS = {"mimo_v2_flash": True, "mimo_v2": True}


def _gate_rows(config: Config, traits: Traits, heads: int, head_dim: int) -> int:
    """Rows of a separate output gate, by the traits or by the config's own word for it."""
    if not traits.gate:
        return 0
    wanted = config.find("gating", "use_head_wise_attn_gate", "attention_output_gate")
    if wanted is False:
        return 0
    per_channel = traits.gate == "channel" or wanted in {"per-channel", "channel", "elementwise"}
    return heads * head_dim if per_channel else heads


def _with_extras(config: Config, traits: Traits, index: int, window: int | None) -> FullAttention:
    """What single kinds change in a layer."""
    plain = attention(config, traits, index, window)
    if config.kind.startswith("mimo_v2"):
        return _mimo(config, plain, window)
    if config.kind.startswith("step3p") and window is not None:
        linear = config.inner("attention_other_setting")
        heads = linear.integer("num_attention_heads", default=plain.heads)
        kv_heads = linear.integer("num_key_value_heads", default=plain.kv_heads)
        return replace(plain, heads=heads, kv_heads=kv_heads, gate_rows=heads if plain.gate_rows else 0)
    if config.kind == "minimax_m2" and config.find("qk_norm_type") not in (None, "per_layer"):
        return replace(plain, wide_norm=False)
    if config.kind == "cohere" and plain.qk_norm:
        return replace(plain, wide_norm=True)
    if config.kind == "minimax_m3":
        return replace(plain, indexer=_block_indexer(config, index))
    return plain


def _mimo(config: Config, plain: FullAttention, window: int | None) -> FullAttention:
    """MiMo-V2: windowed layers have head counts and widths of their own."""
    full = replace(plain, value_dim=config.optional("v_head_dim"))
    if window is None:
        return replace(full, sinks=config.flag("add_full_attention_sink_bias"))
    return replace(
        full,
        heads=config.integer("swa_num_attention_heads", default=full.heads),
        kv_heads=config.integer("swa_num_key_value_heads", default=full.kv_heads),
        head_dim=config.integer("swa_head_dim", default=full.head_dim),
        value_dim=config.optional("swa_v_head_dim") or full.value_dim,
        sinks=config.flag("add_swa_attention_sink_bias", default=True),
    )


def _block_indexer(config: Config, index: int) -> SparseIndexer | None:
    """MiniMax-M3: `sparse_topk_blocks` blocks of tokens are picked by a few index heads."""
    sparse = config.inner("sparse_attention_config")
    layers = sparse.find("sparse_attention_freq")
    if not sparse.values or (isinstance(layers, list) and index < len(layers) and not layers[index]):
        return None
    tokens = sparse.integer("sparse_topk_blocks") * sparse.integer("sparse_block_size")
    return SparseIndexer(sparse.integer("sparse_num_index_heads"), sparse.integer("sparse_index_dim"), tokens)


def windows(config: Config, traits: Traits) -> list[int | None]:
    """The sliding window of each layer: by the config's own list, else by the traits' period."""
    if config.kind.startswith("llama4"):
        return _chunks(config)
    count = config.layers
    size = config.optional("sliding_window")
    kinds = config.per_layer("layer_types")
    if size is None or config.find("use_sliding_window") is False:
        return [None] * count
    if kinds is not None:
        return [size if str(kinds[i]).startswith(("sliding", "chunked", "local")) else None for i in range(count)]
    pattern = config.per_layer("hybrid_layer_pattern")
    if pattern is not None:
        return [size if pattern[i] else None for i in range(count)]
    window_pattern = config.find("sliding_window_pattern")
    if isinstance(window_pattern, str) and window_pattern:
        return [size if window_pattern[i % len(window_pattern)] == "L" else None for i in range(count)]
    period = config.checked(window_pattern, "sliding_window_pattern") if window_pattern else traits.window_period
    if config.find("use_sliding_window"):
        first = config.count("max_window_layers")
        return [size if i >= first else None for i in range(count)]
    return [None if period and (i + 1) % period == 0 else size for i in range(count)]


def _chunks(config: Config) -> list[int | None]:
    """Llama 4: attention in chunks except where there is no rotary embedding, every fourth layer."""
    chunk = config.optional("attention_chunk_size")
    kinds, no_rope = config.per_layer("layer_types"), config.per_layer("no_rope_layers")
    if kinds is not None:
        return [chunk if str(kinds[i]).startswith("chunked") else None for i in range(config.layers)]
    if no_rope:
        return [chunk if no_rope[i] else None for i in range(config.layers)]
    period = config.integer("no_rope_layer_interval", default=_LLAMA4_PERIOD)
    return [chunk if (i + 1) % period else None for i in range(config.layers)]


def ffn(config: Config, traits: Traits, index: int) -> Ffn:
    """The feed-forward of layer `index`."""
    if config.find("num_experts") and is_routed(config, traits, index):
        return moe(config, traits, index)
    width = config.at(traits.dense_width, index) if config.find(traits.dense_width) else 0
    width = width or config.at("intermediate_size", index, default=_default_width(config))
    bias = traits.ffn_bias or config.flag("mlp_bias") or (config.kind == "starcoder2" and config.flag("use_bias", True))
    return DenseFfn(width, gated=traits.gated, bias=bias)


def _default_width(config: Config) -> int | None:
    return 4 * config.integer("hidden_size") if config.kind in {"gptj", "gpt_neox"} else None


def is_routed(config: Config, traits: Traits, index: int) -> bool:
    """Whether layer `index` routes to experts, in any of the ways in which configs say so."""
    for key, routed in (("mlp_layer_types", "sparse"), ("is_moe_layer", True)):
        listed = config.per_layer(key)
        if listed is not None:
            return listed[index] == routed
    frequency = config.find("moe_layer_freq")
    if isinstance(frequency, list):
        return bool(frequency[index]) if index < len(frequency) else True
    chosen = _listed(config.find("moe_layers_enum", "moe_layers"))
    if chosen is not None:
        return index in chosen
    dense = _listed(config.find("mlp_only_layers")) or frozenset()
    step = config.integer("decoder_sparse_step", "interleave_moe_layer_step", default=1)
    period = config.integer("moe_layer_freq", "moe_layer_interval", default=1)
    first = _first(config.find("first_k_dense_replace"), traits.dense_layers)
    return index not in dense and not (index + 1) % step and index >= first and not index % period


def _first(value: object, default: int) -> int:
    """ERNIE's configs give one value for text and one for pictures."""
    value = value[0] if isinstance(value, list) and value else value
    return value if isinstance(value, int) and not isinstance(value, bool) else default


def _listed(value: object) -> frozenset[int] | None:
    """Layer numbers as a list or as text ("3,4,5")."""
    if isinstance(value, str):
        return frozenset(int(word) for word in value.split(",") if word.strip().isdecimal()) or None
    if isinstance(value, list) and value and all(isinstance(entry, int) for entry in value):
        return frozenset(value)
    return None


def moe(config: Config, traits: Traits, index: int = 0) -> MoeFfn:
    """Routed experts and what every token passes beside them."""
    experts = _scalar(config, "num_experts", index)
    active = min(_scalar(config, "num_experts_per_tok", index), experts)
    width = _expert_width(config, traits, index)
    shared = _shared(config, traits, index)
    wide = config.find("shared_expert_intermediate_size") if shared or not _counts_shared(config) else None
    total = _shared_width(config, shared, wide)
    return MoeFfn(
        experts,
        active,
        width,
        shared=max(shared, 1) if total or shared else 0,
        shared_intermediate=total,
        gated=traits.gated,
        router_bias=traits.router_bias or config.find("topk_method") == "noaux_tc" or _router_bias(config),
        bias=traits.expert_bias,
        shared_gate=traits.shared_gate and bool(total or shared),
    )


def _expert_width(config: Config, traits: Traits, index: int) -> int:
    names = ("moe_intermediate_size", "intermediate_size")
    key = names[0] if config.find(names[0]) else traits.expert_width
    value = config.find(key, names[1])
    if isinstance(value, list) and value:
        value = value[index] if index < len(value) else value[0]
    return config.integer(key) if value is None else config.checked(value, key)


def _counts_shared(config: Config) -> bool:
    return config.find("n_shared_experts") is not None


def _shared(config: Config, traits: Traits, index: int) -> int:
    value = config.find("n_shared_experts")
    if isinstance(value, list):
        value = value[index] if index < len(value) else 0
    if value is None:
        return 1 if config.find("shared_expert_intermediate_size") else traits.shared
    return config.checked(value, "n_shared_experts", least=0)


def _shared_width(config: Config, shared: int, wide: object) -> int | None:
    """Width of all shared experts together, where it is not theirs times the routed ones'."""
    if config.flag("residual_moe"):
        return config.integer("intermediate_size")
    if not wide:
        return None
    width = config.checked(wide, "shared_expert_intermediate_size")
    return width * shared if config.kind.startswith("bailing") and shared else width


def _router_bias(config: Config) -> bool:
    names = ("use_routing_bias", "use_moe_router_bias", "moe_router_enable_expert_bias", "use_expert_bias")
    return any(config.find(name) is True for name in names)


def _scalar(config: Config, key: str, index: int) -> int:
    """A value given once, once a layer, or once for text and once for pictures."""
    value = config.find(key)
    if isinstance(value, list) and value:
        value = value[index] if len(value) >= config.layers else value[0]
        return config.checked(value, key)
    return config.integer(key)


def _outside(config: Config, traits: Traits) -> tuple[Tensor, ...]:
    """What lies outside the layers: a head's bias, a final norm's bias."""
    hidden, vocabulary = config.integer("hidden_size"), config.integer("vocab_size")
    vectors = (traits.final_norms - 1) * hidden
    if config.kind in {"gptj", "phi", "phimoe"}:
        vectors += vocabulary
    if config.kind == "apertus":
        vectors += 2 * config.layers  # the activation's two numbers
    return (Tensor("outside_vectors", Part.NORM, 1, vectors),) if vectors > 0 else ()
