"""Settings of quantised repositories in variations of our own, against a second count that knows no recipe.

The model has the shape of Qwen3-8B. Each row says how many bits its linear layers, its attention and its feed-forward
take, by the format's own arithmetic (values, scales, zero points, indices); embedding and head stay in 16 bits.
"""

from __future__ import annotations

from typing import Any

import pytest

from wellfed.catalog.model_formats import by_label
from wellfed.errors import Unsupported
from wellfed.models.config import from_config
from wellfed.models.quantisation import weights

LAYERS, HIDDEN, WIDE, VOCABULARY = 36, 4096, 12288, 151936
ATTENTION = 2 * HIDDEN * HIDDEN + 2 * HIDDEN * 1024  # of a layer: q and o, k and v
FEED_FORWARD = 3 * HIDDEN * WIDE
ENDS = 2 * VOCABULARY * HIDDEN * 2  # bytes of embedding and head
NORMS = 2 * (LAYERS * (2 * HIDDEN + 256) + HIDDEN)
PROJECTIONS = {"mlp": ("gate_proj", "up_proj", "down_proj"), "self_attn": ("q_proj", "k_proj", "v_proj", "o_proj")}

Settings = dict[str, Any]


def config(settings: Settings, key: str = "quantization_config") -> Settings:
    """A config.json with these settings."""
    shape = {"hidden_size": HIDDEN, "num_hidden_layers": LAYERS, "intermediate_size": WIDE, "vocab_size": VOCABULARY}
    heads = {"num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128, "max_position_embeddings": 40960}
    return {"model_type": "qwen3", "torch_dtype": "bfloat16", **shape, **heads, key: settings}


def stored(settings: Settings, key: str = "quantization_config") -> float:
    """Bytes that the reader finds."""
    model = from_config(config(settings, key), "variation")
    chosen = by_label(model.native_quantisation)
    assert chosen is not None
    return weights(model, chosen).total


def group(bits: int, size: int | None = 128, kind: str = "int", targets: tuple[str, ...] = ("Linear",)) -> Settings:
    """A group of compressed-tensors with scales a group, or a row where `size` is None."""
    strategy = "channel" if size is None else "group"
    values = {"num_bits": bits, "type": kind, "strategy": strategy, "group_size": size, "symmetric": True}
    return {"targets": list(targets), "weights": values}


def compressed(*groups: Settings, ignore: tuple[str, ...] = ("lm_head",)) -> Settings:
    """Settings of compressed-tensors."""
    numbered = {f"group_{index}": one for index, one in enumerate(groups)}
    return {"quant_method": "compressed-tensors", "config_groups": numbered, "ignore": list(ignore)}


def modelopt(algorithm: str, **more: Any) -> Settings:
    """Settings of ModelOpt."""
    return {"quant_method": "modelopt", "quant_algo": algorithm, **more}


MIXED = {
    f"model.layers.{layer}.{block}.{name}": {"quant_algo": algorithm, "group_size": 16}
    for block, algorithm in (("mlp", "NVFP4"), ("self_attn", "FP8"))
    for layer in range(LAYERS)
    for name in PROJECTIONS[block]
}
NF4 = 4 + 8 / 64 + 32 / 64 / 256  # a scale of 8 bits a block of 64, of which 256 share one of 32

# settings; bits of attention, bits of feed-forward
UNIFORM: dict[str, tuple[Settings, float, float]] = {
    "w4a16, groups of 32": (compressed(group(4, 32)), 4.5, 4.5),
    "w8a8, a scale a row": (compressed(group(8, None)), 8, 8),
    "w4a8": (compressed(group(4, None)), 4, 4),
    "w4a16 but for attention": (compressed(group(4), ignore=("lm_head", "re:.*self_attn.*")), 16, 4.125),
    "two groups": (
        compressed(group(8, None, "float", ("re:.*mlp.*",)), group(4, 128, "int", ("re:.*self_attn.*",))),
        4.125,
        8,
    ),
    "GPTQ 2 bits": ({"quant_method": "gptq", "bits": 2, "group_size": 64, "sym": True}, 2 + 18 / 64, 2 + 18 / 64),
    "GPTQ 8 bits": ({"quant_method": "gptq", "bits": 8, "group_size": 128}, 8 + 24 / 128, 8 + 24 / 128),
    "GPTQModel, attention skipped": (
        {"quant_method": "gptq", "bits": 4, "group_size": 128, "dynamic": {"-:.*self_attn.*": {}}},
        16,
        4 + 20 / 128,
    ),
    "AWQ, groups of 64": ({"quant_method": "awq", "bits": 4, "group_size": 64, "zero_point": True}, 4.3125, 4.3125),
    "bitsandbytes 8": ({"quant_method": "bitsandbytes", "load_in_8bit": True}, 8, 8),
    "bitsandbytes 4, nested": (
        {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_use_double_quant": True},
        NF4,
        NF4,
    ),
    "bitsandbytes 4, plain": ({"quant_method": "bitsandbytes", "load_in_4bit": True}, 4.5, 4.5),
    "FP8, blocks of 128": ({"quant_method": "fp8", "weight_block_size": [128, 128]}, 8.002, 8.002),
    "HQQ 2 bits": (
        {"quant_method": "hqq", "quant_config": {"weight_quant_params": {"nbits": 2, "group_size": 16}}},
        4,
        4,
    ),
    "AQLM 2x8": (
        {"quant_method": "aqlm", "in_group_size": 8, "num_codebooks": 2, "nbits_per_codebook": 8},
        2,
        2,
    ),
    "AutoRound 3 bits": ({"quant_method": "auto-round", "bits": 3, "group_size": 128}, 3 + 19 / 128, 3 + 19 / 128),
    "torchao int4": (
        {
            "quant_method": "torchao",
            "quant_type": {"default": {"_type": "Int4WeightOnlyConfig", "_data": {"group_size": 32}}},
        },
        5,
        5,
    ),
    "torchao float8": (
        {"quant_method": "torchao", "quant_type": {"default": {"_type": "Float8WeightOnlyConfig", "_data": {}}}},
        8,
        8,
    ),
    "Quark MXFP4 but for attention": (
        {
            "quant_method": "quark",
            "global_quant_config": {"weight": {"dtype": "fp4", "group_size": 32, "scale_format": "e8m0"}},
            "exclude": ["lm_head", "re:.*self_attn.*"],
        },
        16,
        4.25,
    ),
    "ModelOpt FP8": (modelopt("FP8", exclude_modules=["lm_head"]), 8, 8),
    "ModelOpt NVFP4 but for attention": (
        modelopt("NVFP4", group_size=16, exclude_modules=["lm_head", "model.layers.*.self_attn*"]),
        16,
        4.5,
    ),
    "ModelOpt mixed": (modelopt("MIXED_PRECISION", quantized_layers=MIXED), 8, 4.5),
}


@pytest.mark.parametrize("name", UNIFORM)
def test_bytes_by_a_second_count(name: str) -> None:
    settings, attention, wide = UNIFORM[name]
    counted = LAYERS * (ATTENTION * attention + FEED_FORWARD * wide) / 8 + ENDS + NORMS
    assert stored(settings) == pytest.approx(counted, rel=0.002)


def test_single_modules_and_layers_that_stay_wide() -> None:
    layer = ATTENTION + FEED_FORWARD
    fp8 = {
        "quant_method": "fp8",
        "weight_block_size": [128, 128],
        "modules_to_not_convert": ["lm_head", "model.layers.35"],
    }
    assert stored(fp8) == pytest.approx(35 * layer * 1.00025 + 2 * layer + ENDS + NORMS, rel=0.002)
    fbgemm = {"quant_method": "fbgemm_fp8", "modules_to_not_convert": ["lm_head", "model.layers.0", "model.layers.35"]}
    assert stored(fbgemm) == pytest.approx(34 * layer + 4 * layer + ENDS + NORMS, rel=0.002)
    one = {"bits": 16, "data_type": "fp"}
    rounded = {
        "quant_method": "auto-round",
        "bits": 4,
        "group_size": 128,
        "extra_config": {"model.layers.0.self_attn.q_proj": one},
    }
    query = HIDDEN * HIDDEN
    counted = (LAYERS * layer - query) * (4 + 20 / 128) / 8 + 2 * query + ENDS + NORMS
    assert stored(rounded) == pytest.approx(counted, rel=0.002)


def test_mlx_quantises_the_ends_too_and_single_layers_otherwise() -> None:
    inner = LAYERS * (ATTENTION + FEED_FORWARD) + ENDS / 2
    assert stored({"group_size": 32, "bits": 3}, "quantization") == pytest.approx(inner * 4 / 8 + NORMS, rel=0.002)
    mixed = {"group_size": 64, "bits": 4, "model.layers.0.mlp.down_proj": {"group_size": 64, "bits": 8}}
    counted = inner * 4.5 / 8 + HIDDEN * WIDE * 4 / 8 + NORMS
    assert stored(mixed, "quantization") == pytest.approx(counted, rel=0.002)


def test_exllama_stores_a_head_of_its_own_bits() -> None:
    settings = {"quant_method": "exl3", "bits": 3.5, "head_bits": 6}
    counted = LAYERS * (ATTENTION + FEED_FORWARD) * 3.5 / 8 + ENDS / 2 + ENDS / 2 * 6 / 16 + NORMS
    assert stored(settings) == pytest.approx(counted, rel=0.003)


@pytest.mark.parametrize("method", ["higgs", "spqr", "sinq", "quip"])
def test_an_unknown_method_is_refused_by_its_name(method: str) -> None:
    with pytest.raises(Unsupported, match=method):
        from_config(config({"quant_method": method, "bits": 4}), "variation")


@pytest.mark.parametrize(
    ("data_type", "bits", "wanted"),
    [("mx_fp", 4, "mxfp4"), ("nv_fp", 4, "nvfp4"), ("mx_fp", 8, "mxfp8"), ("fp", 8, "fp8"), ("int", 4, "int4")],
)
def test_auto_round_s_data_type_is_the_format(data_type: str, bits: int, wanted: str) -> None:
    settings = {"quant_method": "auto-round", "bits": bits, "group_size": 32, "data_type": data_type}
    assert from_config(config(settings), "variation").native_quantisation == wanted


def test_a_method_without_settings_is_never_taken_for_bf16() -> None:
    assert from_config({**config(None), "quantization_config": "awq"}, "variation").native_quantisation == "int4"
    with pytest.raises(Unsupported, match="zorg"):
        from_config({**config(None), "quantization_config": "zorg"}, "variation")


def test_bitsandbytes_of_neither_width_is_refused() -> None:
    with pytest.raises(Unsupported):
        from_config(config({"quant_method": "bitsandbytes", "load_in_4bit": False, "load_in_8bit": False}), "variation")
