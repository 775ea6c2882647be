"""Quantised repositories by their own settings: the format's name, each module's type, and the bytes."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from checkpoint_files import CONFIG

from wellfed.errors import Unsupported
from wellfed.modelfiles.hf_config import read_config
from wellfed.models.config import from_config
from wellfed.models.model import Model, tensors
from wellfed.models.quantisation import tensor_type, weights
from wellfed.models.quantisation_names import quantisation
from wellfed.models.recipe import Patterns

_SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "models"
_LINEAR = {"Linear"}


def _group(bits: int, kind: str = "int", **more: object) -> dict[str, object]:
    return {"group_0": {"targets": ["Linear"], "weights": {"num_bits": bits, "type": kind, **more}}}


def _ct(groups: object, ignore: tuple[str, ...] = ("lm_head",)) -> dict[str, object]:
    return {"quant_method": "compressed-tensors", "config_groups": groups, "ignore": list(ignore)}


_FORMATS: list[tuple[str, dict[str, object], str, str]] = [
    ("W4A16", _ct(_group(4, group_size=128, strategy="group")), "int4", "INT4-G128S"),
    ("W4A16 asymmetric", _ct(_group(4, group_size=32, symmetric=False)), "int4", "INT4-G32"),
    ("W8A8", _ct(_group(8, strategy="channel")), "int8", "INT8-R"),
    ("W8A16", _ct(_group(8, group_size=64)), "int8", "INT8-G64S"),
    ("FP8 dynamic", _ct(_group(8, "float", strategy="channel")), "fp8", "FP8-ROW"),
    ("FP8 static", _ct(_group(8, "float", strategy="tensor")), "fp8", "FP8-TENSOR"),
    ("FP8 blocks", _ct(_group(8, "float", strategy="block")), "fp8", "FP8"),
    ("NVFP4", _ct(_group(4, "float", group_size=16)), "nvfp4", "NVFP4-16"),
    ("MXFP4", _ct(_group(4, "float", group_size=32)), "mxfp4", "MXFP4"),
    ("ModelOpt FP8", {"quant_method": "modelopt", "quant_algo": "FP8"}, "fp8", "FP8-TENSOR"),
    ("ModelOpt NVFP4", {"quant_method": "modelopt", "quant_algo": "NVFP4"}, "nvfp4", "NVFP4-16"),
    ("ModelOpt W4A16", {"quant_algo": "W4A16_AWQ", "group_size": 64, "quant_method": "modelopt"}, "int4", "INT4-G64S"),
    ("ModelOpt without method", {"quant_algo": "NVFP4", "producer": {"name": "modelopt"}}, "nvfp4", "NVFP4-16"),
    ("FP8 of DeepSeek", {"quant_method": "fp8", "weight_block_size": [128, 128]}, "fp8", "FP8"),
    ("FP8 by tensor", {"quant_method": "fp8", "activation_scheme": "static"}, "fp8", "FP8-TENSOR"),
    ("AWQ", {"quant_method": "awq", "bits": 4, "group_size": 128}, "int4", "INT4-G128"),
    ("GPTQ 2", {"quant_method": "gptq", "bits": 2, "group_size": 64}, "int2", "INT2-G64X"),
    ("GPTQ 3", {"quant_method": "gptq", "bits": 3, "group_size": 128}, "int3", "INT3-G128X"),
    ("GPTQ 4", {"quant_method": "gptq", "bits": 4, "group_size": 32}, "int4", "INT4-G32X"),
    ("GPTQ 8 by row", {"quant_method": "gptq", "bits": 8, "group_size": -1}, "int8", "INT8-R"),
    ("AutoRound", {"quant_method": "auto-round", "bits": 4, "group_size": 128}, "int4", "INT4-G128"),
    ("bitsandbytes 8", {"quant_method": "bitsandbytes", "load_in_8bit": True}, "int8", "INT8"),
    ("bitsandbytes 4", {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_use_double_quant": True},
     "nf4", "NF4"),
    ("bitsandbytes 4, plain", {"quant_method": "bitsandbytes", "load_in_4bit": True}, "nf4", "NF4-PLAIN"),
    ("HQQ", {"quant_method": "hqq", "quant_config": {"weight_quant_params": {"nbits": 3, "group_size": 64}}},
     "int3", "HQQ3-G64"),
    ("AQLM", {"quant_method": "aqlm", "num_codebooks": 1, "nbits_per_codebook": 16, "in_group_size": 8},
     "aqlm", "AQLM2-1x16"),
    ("VPTQ", {"quant_method": "vptq", "config_for_layers": {"q": {"vector_lens": [-1, 8], "num_centroids": [-1, 65536],
     "num_res_centroids": [-1, 256]}}}, "vptq", "VPTQ3.000"),
    ("torchao INT4", {"quant_method": "torchao", "quant_type": {"default": {"_type": "Int4WeightOnlyConfig",
     "_data": {"group_size": 64}}}}, "int4", "HQQ4-G64"),
    ("torchao INT8", {"quant_method": "torchao", "quant_type": "int8_weight_only"}, "int8", "INT8"),
    ("torchao FP8", {"quant_method": "torchao", "quant_type": {"default": {"_type": "Float8WeightOnlyConfig"}}},
     "fp8", "FP8-ROW"),
    ("Quark MXFP4", {"quant_method": "quark", "global_quant_config": {"weight": {"dtype": "fp4", "group_size": 32}}},
     "mxfp4", "MXFP4"),
    ("Quark FP8", {"quant_method": "quark", "global_quant_config": {"weight": {"dtype": "fp8_e4m3"}}},
     "fp8", "FP8-TENSOR"),
    ("fbgemm", {"quant_method": "fbgemm_fp8", "modules_to_not_convert": ["lm_head"]}, "fp8", "FP8-ROW"),
    ("EXL2", {"quant_method": "exl2", "bits": 4.25, "head_bits": 6}, "4.25bpw", "EXL4.25"),
    ("EXL3", {"quant_method": "exl3", "bits": 3.0, "head_bits": 6}, "3.0bpw", "EXL3"),
    ("MLX", {"group_size": 64, "bits": 6}, "int6", "MLX6-G64"),
    ("MLX MXFP4", {"group_size": 32, "bits": 4, "mode": "mxfp4"}, "mxfp4", "MXFP4"),
    ("MXFP4 of gpt-oss", {"quant_method": "mxfp4", "modules_to_not_convert": ["lm_head"]}, "mxfp4", "MXFP4"),
    ("BitNet", {"quant_method": "bitnet"}, "ternary", "TERNARY"),
    ("quanto INT8", {"quant_method": "quanto", "weights": "int8"}, "int8", "INT8"),
    ("quanto INT4", {"quant_method": "quanto", "weights": "int4"}, "int4", "HQQ4-G128"),
    ("FP-Quant", {"quant_method": "fp_quant", "forward_dtype": "nvfp4"}, "nvfp4", "NVFP4-16"),
    ("ParoQuant", {"quant_method": "paroquant", "bits": 4, "group_size": 128}, "int4", "INT4-G128"),
    ("Petit", {"quant_method": "petit_nvfp4", "quant_algo": "NVFP4"}, "nvfp4", "NVFP4-16"),
]  # fmt: skip


def _model(settings: dict[str, object], **more: object) -> Model:
    return from_config({**CONFIG, "quantization_config": settings, **more}, "quantised")


def _types(model: Model) -> dict[str, set[str]]:
    """Role to the types that its tensors have in the model's own format."""
    own = quantisation(model.native_quantisation)
    kinds: dict[str, set[str]] = {}
    for tensor in tensors(model):
        kinds.setdefault(tensor.role, set()).add(tensor_type(model, own, tensor))
    return kinds


@pytest.mark.parametrize(("name", "settings", "wanted", "kind"), _FORMATS, ids=[row[0] for row in _FORMATS])
def test_a_format_is_what_its_settings_say(name: str, settings: dict[str, object], wanted: str, kind: str) -> None:
    model = _model(settings)
    kinds = _types(model)
    assert model.native_quantisation == wanted, name
    assert kinds["ffn_down"] == kinds["attn_q"] == {kind}
    assert kinds["norms"] <= {"BF16", "F16"}
    assert weights(model, quantisation(wanted)).total > 0


@pytest.mark.parametrize("settings", [{"quant_method": "quipsharp"}, {"quant_method": "modelopt", "quant_algo": "FP2"},
                                      _ct(_group(8, "float")) | {"sparsity_config": {"format": "sparse-24-bitmask"}},
                                      _ct(_group(4, "complex")), {"something": 3}])  # fmt: skip
def test_an_unknown_method_is_refused_by_its_name(settings: dict[str, object]) -> None:
    with pytest.raises(Unsupported, match=r"not known here"):
        _model(settings)


@pytest.mark.parametrize(
    ("pattern", "name", "meant"),
    [
        ("lm_head", "lm_head", True),
        ("model.layers.1.self_attn*", "layers.1.self_attn.q_proj", True),
        ("model.layers.1.self_attn*", "layers.11.self_attn.q_proj", False),
        ("model.language_model.layers.1.mlp*", "layers.1.mlp.gate_proj", True),
        ("language_model.model.layers.1*", "layers.1.mlp.experts.0.up_proj", True),
        ("model.layers.1.mlp.gate", "layers.1.mlp.gate", True),
        ("model.layers.1.mlp.gate", "layers.1.mlp.gate_proj", False),
        ("model.layers.*.self_attn", "layers.1.self_attn.o_proj", True),
        ("mlp.gate", "layers.1.mlp.gate", True),
        ("re:.*self_attn.*", "layers.1.self_attn.q_proj", True),
        (r"re:model\.layers\.\d+\.mlp\.down_proj", "layers.1.mlp.down_proj", True),
        (r"re:.*lm_head", "layers.1.mlp.down_proj", False),
        ("*.attn.*", "layers.1.attn.wq_a", True),
        ("re:(", "layers.1.mlp.down_proj", False),
    ],
)
def test_patterns_mean_what_their_writers_mean(pattern: str, name: str, meant: bool) -> None:
    assert Patterns((pattern,)).matches((name,), 1) is meant


def test_lists_leave_modules_wide() -> None:
    kept = [f"model.layers.{index}.self_attn*" for index in range(2)]
    for key in ("ignore", "exclude_modules", "modules_to_not_convert"):
        kinds = _types(_model({"quant_method": "modelopt", "quant_algo": "NVFP4", key: kept}))
        assert kinds["attn_q"] == {"BF16"}
        assert kinds["ffn_up"] == {"NVFP4-16"}
    some = {"quant_method": "modelopt", "quant_algo": "NVFP4", "exclude_modules": ["model.layers.0.mlp*"]}
    assert _types(_model(some))["ffn_up"] == {"BF16", "NVFP4-16"}


def test_layers_have_types_of_their_own() -> None:
    listed = {
        "model.layers.0.mlp.up_proj": {"quant_algo": "FP8"},
        "model.layers.1.mlp.up_proj": {"quant_algo": "NVFP4"},
    }
    kinds = _types(_model({"quant_method": "modelopt", "quant_algo": "MIXED_PRECISION", "quantized_layers": listed}))
    assert kinds["ffn_up"] == {"FP8-TENSOR", "NVFP4-16"}
    assert kinds["ffn_down"] == {"BF16"}
    groups = {
        "a": {"targets": ["re:.*self_attn.*"], "weights": {"num_bits": 8, "type": "float", "strategy": "channel"}},
        "b": {"targets": ["re:.*mlp.*"], "weights": {"num_bits": 4, "type": "float", "group_size": 16}},
    }
    kinds = _types(_model(_ct(groups)))
    assert (kinds["attn_q"], kinds["ffn_up"], kinds["output"]) == ({"FP8-ROW"}, {"NVFP4-16"}, {"BF16"})


def test_embeddings_and_heads_by_format() -> None:
    assert _types(_model({"group_size": 64, "bits": 4}))["token_embd"] == {"MLX4-G64"}
    assert _types(_model({"quant_method": "exl3", "bits": 4.0, "head_bits": 6}))["output"] == {"EXL6"}
    assert _types(_model({"quant_method": "awq", "bits": 4, "group_size": 128}))["output"] == {"BF16"}
    own = {"group_size": 64, "bits": 4, "model.layers.0.mlp.up_proj": {"bits": 8}, "lm_head": False}
    assert _types(_model(own))["ffn_up"] == {"MLX4-G64", "MLX8-G64"}


def test_small_experts_beside_fp8_are_found_wherever_they_are_said() -> None:
    moe = {"model_type": "deepseek_v3", "n_routed_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 128,
           "kv_lora_rank": 64, "qk_nope_head_dim": 32, "qk_rope_head_dim": 32, "v_head_dim": 32}  # fmt: skip
    eight = {"quant_method": "fp8", "weight_block_size": [128, 128]}
    for more in ({"expert_dtype": "fp4"}, {"inference_config": {"expert_dtype": "fp4"}}):
        model = _model(eight, **moe, **more)
        assert model.native_quantisation == "fp8-fp4-experts"
        assert _types(model)["ffn_up_exps"] == {"MXFP4"}
    assert _model({**eight, "expert_dtype": "fp4"}, **moe).native_quantisation == "fp8-fp4-experts"
    assert _model(eight, **moe).native_quantisation == "fp8"


def test_the_cache_s_type_is_read() -> None:
    assert _model({"quant_method": "modelopt", "quant_algo": "FP8", "kv_cache_quant_algo": "FP8"}).native_kv == "fp8"
    scheme = {"num_bits": 8, "type": "float"}
    assert _model({**_ct(_group(8, "float")), "kv_cache_scheme": scheme}).native_kv == "fp8"
    assert _model({"quant_method": "awq", "bits": 4}).native_kv is None


def _rows(name: str) -> list[dict[str, str]]:
    file = _SHARED / name
    return list(csv.DictReader(file.open(), delimiter="\t")) if file.is_file() else []


@pytest.mark.shared
@pytest.mark.parametrize("row", _rows("quant.tsv"), ids=lambda row: row["folder"])
def test_real_settings_are_read(row: dict[str, str]) -> None:
    model = read_config(_SHARED / "quant" / row["folder"])
    assert model.native_quantisation == (row["format"] or "mxfp4")
    bits = 8 * weights(model, quantisation(model.native_quantisation)).total / model.parameters
    assert bits < 16


@pytest.mark.shared
@pytest.mark.parametrize("row", [row for row in _rows("configs.tsv") if row["bytes_gb"]], ids=lambda row: row["folder"])
def test_real_repositories_have_their_bytes(row: dict[str, str]) -> None:
    """Of the language model, with or without the towers: the table's sources count either."""
    model = read_config(_SHARED / "configs" / row["folder"])
    held = weights(model, quantisation(model.native_quantisation))
    counts = (held.total, held.total - held.towers)
    assert any(count / 1e9 == pytest.approx(float(row["bytes_gb"]), rel=0.01) for count in counts)
