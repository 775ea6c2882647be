"""Builders of models with latent or compressed attention: DeepSeek-V2 to V4, Kimi-K2, GLM-5, LongCat and kin."""

from __future__ import annotations

from dataclasses import replace

from wellfed.errors import BadInput
from wellfed.message import sentence
from wellfed.models.attention import LatentAttention, SparseIndexer
from wellfed.models.compressed_attention import CompressedAttention
from wellfed.models.config_ordinary import ffn, moe, mtp, ordinary, tied
from wellfed.models.config_reader import Config, Shape
from wellfed.models.ffn import DenseFfn, MoeFfn
from wellfed.models.model import Layer
from wellfed.models.stream_attention import StreamAttention
from wellfed.models.tensor import MEMORY, Part, Tensor
from wellfed.models.traits import TRAITS


def latent_attention(config: Config, index: int = 0) -> LatentAttention:
    """MLA of layer `index`, with the sparse attention's indexer where the config has one."""
    return LatentAttention(
        heads=config.integer("num_attention_heads"),
        kv_rank=config.integer("kv_lora_rank"),
        nope_dim=config.integer("qk_nope_head_dim"),
        rope_dim=config.count("qk_rope_head_dim"),
        value_dim=config.optional("v_head_dim")
        or config.divided(
            config.integer("hidden_size"),
            config.integer("num_attention_heads"),
            sentence("config-ordinary.hidden-size-per", "hidden_size per head"),
        ),
        q_rank=config.optional("q_lora_rank"),
        indexer=_indexer(config, index),
        bias=config.flag("attention_bias"),
    )


def _indexer(config: Config, index: int) -> SparseIndexer | None:
    if not config.find("index_topk"):
        return None
    heads, width = config.integer("index_n_heads"), config.integer("index_head_dim")
    return SparseIndexer(heads, width, config.integer("index_topk"), shared=_shares_index(config, index))


def _shares_index(config: Config, index: int) -> bool:
    """GLM-5.2: most layers attend to the tokens that an earlier layer's indexer picked."""
    kinds = config.per_layer("indexer_types")
    if kinds is not None:
        return kinds[index] == "shared"
    period, offset = config.integer("index_topk_freq", default=1), config.count("index_skip_topk_offset")
    return period > 1 and index >= offset and (index - offset + 1) % period != 0


def latent(config: Config) -> Shape:
    """DeepSeek-V2 to V3.2, Kimi-K2, GLM-5, Mistral 4; without a latent rank plain attention (DeepSeek-VL2, OCR)."""
    if not config.find("kv_lora_rank") or config.find("use_mla") is False:
        return ordinary(Config(config.values, "deepseek", config.read_keys))
    traits = TRAITS[config.kind]
    layers = tuple(
        Layer(latent_attention(config, index), ffn(config, traits, index), traits.norms)
        for index in range(config.layers)
    )
    last = layers[-1]
    if isinstance(last.attention, LatentAttention) and last.attention.indexer is not None:
        last = replace(last, attention=replace(last.attention, indexer=replace(last.attention.indexer, shared=False)))
    return Shape(layers, tied(config), mtp_layers=mtp(config, last), mtp_copies=traits.mtp_copies)


def longcat(config: Config) -> Shape:
    """LongCat-Flash: a published layer is two of attention and dense feed-forward, with routed experts beside one.

    Told as two layers; the first one's dense feed-forward stands as the shared expert it acts as. Some of the experts
    that a token picks have no weights: as many as chance gives are taken for idle.
    """
    attention = latent_attention(config)
    wide = config.integer("intermediate_size")
    experts, idle = config.integer("num_experts"), config.count("zero_expert_num")
    picked = config.integer("num_experts_per_tok")
    active = max(1, round(picked * experts / (experts + idle)))
    routed = MoeFfn(
        experts,
        active,
        config.integer("moe_intermediate_size"),
        shared=1,
        shared_intermediate=wide,
        router_bias=True,
        idle_experts=idle,
    )
    layers = (Layer(attention, routed), Layer(attention, DenseFfn(wide))) * config.layers
    extra = _ngrams(config)
    note = sentence(
        "config-latent.experts-token-picks",
        "{active} of the {picked} experts a token picks are taken to have weights",
        active=active,
        picked=picked,
    )
    return Shape(layers, tied(config), mtp_layers=mtp(config, layers[1]), extra=extra, notes=(note,) if idle else ())


def _ngrams(config: Config) -> tuple[Tensor, ...]:
    """LongCat's n-gram embeddings: hashed tables for the last tokens, each projected up."""
    ratio = config.find("ngram_vocab_size_ratio")
    if not ratio:
        return ()
    hidden, vocabulary = config.integer("hidden_size"), config.integer("vocab_size")
    tables = config.integer("emb_split_num", default=4) * (config.integer("emb_neighbor_num", default=4) - 1)
    rows = config.integer("ngram_vocab_size_ratio") * vocabulary
    width = hidden // tables
    return (
        Tensor("ngram_embd", Part.LOOKUP, rows + tables, width, tables),
        Tensor("ngram_proj", Part.ATTENTION, hidden, width, tables),
    )


def streamed(config: Config) -> Shape:
    """DeepSeek-V4.1: shared streams of compressed entries, and n-gram tables that a few layers look up ("engrams")."""
    ratios = config.per_layer("compress_ratios")
    if ratios is None:
        raise BadInput(
            sentence("config-latent.config-deepseek-v41", "config of a deepseek_v41 model has no compress_ratios"),
            sentence("config-latent.file-complete", "is the file complete?"),
        )
    routed = moe(config, TRAITS["deepseek_v3"])
    indexer = SparseIndexer(
        config.integer("index_n_heads"), config.integer("index_head_dim"), config.integer("index_topk")
    )
    sources, picking = _numbers(config, "kv_source_layer_ids"), _numbers(config, "index_source_layer_ids")
    tables = _engrams(config)

    def layer(index: int) -> Layer:
        attention = StreamAttention(
            heads=config.integer("num_attention_heads"),
            head_dim=config.integer("head_dim"),
            window=config.integer("sliding_window"),
            ratio=config.checked(ratios[index], "compress_ratios", least=0),
            q_rank=config.integer("q_lora_rank"),
            output_groups=config.integer("o_groups"),
            output_rank=config.integer("o_lora_rank"),
            indexer=indexer,
            source=index in sources,
            picks=index in picking,
            streams=config.count("hc_mult"),
        )
        return Layer(attention, routed, extra=_engram_layer(config) if index in tables else ())

    layers = tuple(layer(index) for index in range(config.layers))
    width = config.count("engram_head_dim")
    lookups = tuple(Tensor(MEMORY, Part.LOOKUP, rows, width) for rows in tables.values())
    drafted = config.count("dspark_n_routed_experts") or routed.experts
    active = config.count("dspark_num_experts_per_tok") or routed.active
    ahead = replace(layers[0], ffn=replace(routed, experts=drafted, active=active), extra=())
    return Shape(layers, tied(config), mtp_layers=mtp(config, ahead), extra=lookups)


def _numbers(config: Config, key: str) -> frozenset[int]:
    listed = config.find(key, key.replace("_layer_ids", "_layers"))
    return (
        frozenset(number for number in listed if isinstance(number, int)) if isinstance(listed, list) else frozenset()
    )


def _engrams(config: Config) -> dict[int, int]:
    """Layers that look up n-grams, and how many rows each one's table has."""
    listed, rows = config.find("engram_layer_ids"), config.find("engram_num_embeddings")
    if not isinstance(listed, list) or not listed:
        return {}
    if not isinstance(rows, list) or len(rows) < len(listed):
        raise BadInput(
            sentence(
                "config-latent.config-engram-num",
                "config: engram_num_embeddings has no number for each of engram_layer_ids",
            )
        )
    return {
        config.checked(layer, "engram_layer_ids", least=0): _table_rows(count)
        for layer, count in zip(listed, rows, strict=False)
    }


_MOST_ROWS = 1 << 34


def _table_rows(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < _MOST_ROWS:
        raise BadInput(
            sentence(
                "config-latent.config-engram-num-2",
                "config: engram_num_embeddings holds {value}",
                value=str(value)[:40],
            )
        )
    return value


def _engram_layer(config: Config) -> tuple[Tensor, ...]:
    """What mixes the rows that were looked up into the streams."""
    hidden, streams = config.integer("hidden_size"), config.count("hc_mult")
    columns = (config.integer("engram_max_ngram_size") - 1) * config.integer("engram_n_heads")
    return (
        Tensor("engram_wkv", Part.ATTENTION, hidden * (streams + 1), columns * config.integer("engram_head_dim")),
        Tensor("engram_vectors", Part.NORM, 1, 2 * hidden * max(1, streams)),
    )


def compressed(config: Config) -> Shape:
    """DeepSeek-V4: each layer's compression by `compress_ratios`, hyper-connections, experts in every layer."""
    ratios = config.per_layer("compress_ratios")
    if ratios is None:
        raise BadInput(
            sentence("config-latent.config-deepseek-v4", "config of a deepseek_v4 model has no compress_ratios"),
            sentence("config-latent.file-complete", "is the file complete?"),
        )
    routed = moe(config, TRAITS["deepseek_v3"])
    streams = config.count("hc_mult")
    indexer = SparseIndexer(
        config.integer("index_n_heads"), config.integer("index_head_dim"), config.integer("index_topk")
    )

    def layer(index: int) -> Layer:
        ratio = config.checked(ratios[index], "compress_ratios", least=0)
        attention = CompressedAttention(
            heads=config.integer("num_attention_heads"),
            head_dim=config.integer("head_dim"),
            window=config.integer("sliding_window"),
            ratio=ratio,
            q_rank=config.integer("q_lora_rank"),
            output_groups=config.integer("o_groups"),
            output_rank=config.integer("o_lora_rank"),
            indexer=indexer if ratio == 4 else None,
            streams=streams,
        )
        return Layer(attention, routed)

    layers = tuple(layer(index) for index in range(config.layers))
    head = Tensor("hyper_head", Part.NORM, 1, streams * streams * config.integer("hidden_size"))
    plain = [layer for layer, ratio in zip(layers, ratios, strict=False) if not ratio] or [layers[-1]]
    return Shape(layers, tied(config), mtp_layers=mtp(config, plain[-1]), extra=(head,) if streams else ())
