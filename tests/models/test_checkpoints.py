"""Checkpoints' headers: exact bytes and parameters, of architectures with a builder and without."""

from __future__ import annotations

from pathlib import Path

import pytest
from checkpoint_files import CONFIG, Tensors, dense, write_checkpoint
from gguf_samples import Sample, model_of, write_gguf

from wellfed.errors import BadInput, Unsupported
from wellfed.modelfiles.checkpoint import read_checkpoint
from wellfed.modelfiles.gguf_file import read_gguf
from wellfed.modelfiles.load import load_model
from wellfed.models.attention import FullAttention
from wellfed.models.checkpoint_formats import why_not_loaded
from wellfed.models.config import from_config
from wellfed.models.ffn import MoeFfn
from wellfed.models.model import Model
from wellfed.models.tensor import Part

_PARAMETERS = from_config(CONFIG, "plain").parameters


def test_bytes_and_parameters_are_those_of_the_files(tmp_path: Path) -> None:
    size = write_checkpoint(tmp_path, CONFIG, dense())
    read = read_checkpoint(tmp_path)
    assert read.weights.total == size == 2 * _PARAMETERS
    assert read.counted == read.total == _PARAMETERS
    assert read.model.counted_parameters is None


def test_a_pruned_model_is_counted_as_it_is(tmp_path: Path) -> None:
    """A config copied from the parent says more than the files hold: the files are right."""
    write_checkpoint(tmp_path, CONFIG, dense(wide=384))
    read = read_checkpoint(tmp_path)
    assert read.model.parameters == _PARAMETERS - 2 * 3 * 128 * 256


def test_towers_and_mtp_layers_are_told_apart(tmp_path: Path) -> None:
    extra: Tensors = {
        "model.layers.2.self_attn.q_proj.weight": ("BF16", (256, 256)),
        "mtp.fc.weight": ("BF16", (256, 512)),
        "vision_tower.encoder.layers.0.mlp.fc1.weight": ("BF16", (64, 64)),
        "audio_tower.layers.0.fc1.weight": ("BF16", (32, 32)),
        "model.embed_tokens_per_layer.weight": ("BF16", (1000, 64)),
    }
    write_checkpoint(tmp_path, CONFIG, {**dense(), **extra})
    read = read_checkpoint(tmp_path)
    assert read.weights.mtp == 2 * (256 * 256 + 256 * 512)
    assert read.weights.towers == 2 * (64 * 64 + 32 * 32)
    assert read.weights.lookup == 2 * 1000 * 64
    assert read.model.parameters == _PARAMETERS + 1000 * 64
    assert read.model.total_parameters == read.model.parameters + 256 * 256 + 256 * 512 + 64 * 64 + 32 * 32


def _packed(plain: Tensors, pack: dict[str, tuple[str, int]], extra: dict[str, tuple[str, int]]) -> Tensors:
    """Linear layers of `plain` stored otherwise: suffix to dtype and the factor that columns shrink by."""
    table: dict[str, tuple[str, tuple[int, ...]]] = {}
    for name, (dtype, shape) in plain.items():
        if not name.endswith("_proj.weight"):
            table[name] = (dtype, shape)
            continue
        module = name.removesuffix(".weight")
        for suffix, (stored, factor) in (pack | extra).items():
            table[f"{module}.{suffix}"] = (stored, (shape[0], shape[1] // factor))
    return table


@pytest.mark.parametrize(
    ("settings", "pack", "extra", "kind"),
    [
        ({"quant_method": "gptq", "bits": 4, "group_size": 128}, {"qweight": ("I32", 8)}, {"scales": ("F16", 128)},
         "INT4-G128X"),
        ({"quant_method": "awq", "bits": 4, "group_size": 128}, {"qweight": ("I32", 8)}, {"scales": ("F16", 128)},
         "INT4-G128"),
        ({"quant_method": "gptq", "bits": 8, "group_size": 128}, {"qweight": ("I32", 4)}, {"scales": ("F16", 128)},
         "INT8-G128X"),
        ({"quant_method": "modelopt", "quant_algo": "NVFP4"}, {"weight": ("U8", 2)}, {"weight_scale": ("F8_E4M3", 16)},
         "NVFP4-16"),
        ({"quant_method": "fp8", "weight_block_size": [128, 128]}, {"weight": ("F8_E4M3", 1)},
         {"weight_scale_inv": ("F32", 128)}, "FP8"),
        ({"group_size": 64, "bits": 4}, {"weight": ("U32", 8)}, {"scales": ("BF16", 64), "biases": ("BF16", 64)},
         "MLX4-G64"),
    ],
)  # fmt: skip
def test_packed_weights_are_counted_unpacked(
    settings: dict[str, object],
    pack: dict[str, tuple[str, int]],
    extra: dict[str, tuple[str, int]],
    kind: str,
    tmp_path: Path,
) -> None:
    size = write_checkpoint(tmp_path, {**CONFIG, "quantization_config": settings}, _packed(dense(), pack, extra))
    read = read_checkpoint(tmp_path)
    assert read.counted == _PARAMETERS
    assert read.weights.total == size
    assert read.weights.types[Part.ATTENTION] == kind


_NEW = {**CONFIG, "model_type": "brandnew", "num_experts_per_tok": 2}


def test_an_unknown_architecture_of_ordinary_layers_is_recognised(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, _NEW, dense())
    model = read_checkpoint(tmp_path).model
    assert model.layers[0].attention == FullAttention(4, 2, 64)
    assert model.parameters == _PARAMETERS
    assert any("unknown here" in note for note in model.notes)


def test_unknown_experts_are_recognised(tmp_path: Path) -> None:
    table = {name: entry for name, entry in dense().items() if ".mlp." not in name}
    for layer in range(2):
        table[f"model.layers.{layer}.mlp.gate.weight"] = ("BF16", (4, 256))
        for expert in range(4):
            start = f"model.layers.{layer}.mlp.experts.{expert}."
            table[f"{start}gate_proj.weight"] = table[f"{start}up_proj.weight"] = ("BF16", (128, 256))
            table[f"{start}down_proj.weight"] = ("BF16", (256, 128))
    write_checkpoint(tmp_path, _NEW, table)
    block = read_checkpoint(tmp_path).model.layers[1].ffn
    assert block == MoeFfn(4, 2, 128)


def test_an_unknown_layer_is_refused_with_its_name(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, _NEW, {**dense(), "model.layers.0.hyena.filter.weight": ("BF16", (64, 64))})
    with pytest.raises(Unsupported, match=r"brandnew.*hyena"):
        read_checkpoint(tmp_path)


def test_an_unknown_architecture_without_heads_says_what_is_missing(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, {k: v for k, v in _NEW.items() if k != "num_attention_heads"}, dense())
    with pytest.raises(Unsupported, match="num_attention_heads"):
        read_checkpoint(tmp_path)


def test_a_config_alone_of_an_unknown_architecture_is_refused(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, _NEW, dense())
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(Unsupported, match="brandnew"):
        load_model(str(tmp_path), catalogued=lambda name: from_config(CONFIG, name))


def test_missing_files_of_an_index_are_told(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, CONFIG, dense())
    (tmp_path / "model.safetensors.index.json").write_text(
        '{"metadata": {"total_size": 9}, "weight_map": {"a": "model.safetensors", "b": "model-2.safetensors"}}'
    )
    with pytest.raises(BadInput, match="1 of 2 files"):
        read_checkpoint(tmp_path)


def test_weights_that_are_there_twice_are_counted_once(tmp_path: Path) -> None:
    """Mistral keeps consolidated.safetensors beside the checkpoint that its index names."""
    size = write_checkpoint(tmp_path, CONFIG, dense())
    (tmp_path / "consolidated.safetensors").write_bytes((tmp_path / "model.safetensors").read_bytes())
    assert read_checkpoint(tmp_path).weights.total == size


def test_a_gguf_of_an_unknown_architecture_is_read_from_its_tensors(tmp_path: Path) -> None:
    sample = Sample("new", "brandnew", {"model_type": "llama"}, {})
    write_gguf(tmp_path / "new.gguf", sample)
    read, wanted = read_gguf(tmp_path / "new.gguf"), model_of(sample)
    assert read.model.parameters == wanted.parameters
    assert [layer.attention for layer in read.model.layers] == [layer.attention for layer in wanted.layers]
    assert [layer.ffn for layer in read.model.layers] == [layer.ffn for layer in wanted.layers]
    assert any("unknown here" in note for note in read.model.notes)


def test_a_gguf_with_experts_of_an_unknown_architecture(tmp_path: Path) -> None:
    config = {"model_type": "qwen3_moe", "num_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 128}
    metadata = {"expert_count": 8, "expert_used_count": 2, "expert_feed_forward_length": 128}
    sample = Sample("new", "brandnewmoe", config, metadata)  # type: ignore[arg-type]
    write_gguf(tmp_path / "new.gguf", sample)
    read = read_gguf(tmp_path / "new.gguf").model
    assert read.active_parameters == pytest.approx(model_of(sample).active_parameters, rel=0.001)
    assert isinstance(read.layers[0].ffn, MoeFfn)


def test_files_at_hand_bind_the_engines(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "plain", CONFIG, dense())
    write_gguf(tmp_path / "tiny.gguf", Sample("llama", "llama", {"model_type": "llama"}, {}))
    plain = load_model(str(tmp_path / "plain"), catalogued=_nothing).model
    packed = load_model(str(tmp_path / "tiny.gguf"), catalogued=_nothing).model
    assert why_not_loaded(plain, "vllm") is None
    assert "safetensors" in (why_not_loaded(plain, "llama.cpp") or "")
    assert why_not_loaded(packed, "llama.cpp") is None
    assert "GGUF" in (why_not_loaded(packed, "vllm") or "")


@pytest.mark.parametrize(
    ("settings", "loads", "refuses"),
    [
        ({"quant_method": "exl3", "bits": 4.0}, "exllamav3", "vllm"),
        ({"group_size": 64, "bits": 4}, "mlx", "vllm"),
        ({"quant_method": "awq", "bits": 4}, "vllm", "tensorrt-llm"),
        ({"quant_method": "modelopt", "quant_algo": "NVFP4"}, "tensorrt-llm", "exllamav3"),
        ({"quant_method": "vptq"}, "transformers", "sglang"),
    ],
)
def test_a_format_binds_the_engines_that_load_it(settings: dict[str, object], loads: str, refuses: str) -> None:
    model = from_config({**CONFIG, "quantization_config": settings}, "packed")
    assert why_not_loaded(model, loads) is None
    why = why_not_loaded(model, refuses) or ""
    assert loads in why or "only" in why


def test_a_config_alone_binds_no_gguf_engine() -> None:
    assert why_not_loaded(from_config(CONFIG, "plain"), "llama.cpp") is None
    assert why_not_loaded(from_config(CONFIG, "plain"), "vllm") is None


def _nothing(name: str) -> Model:
    raise AssertionError(name)


def test_a_tower_s_file_beside_a_gguf_is_no_second_model(tmp_path: Path) -> None:
    write_gguf(tmp_path / "tiny.gguf", Sample("llama", "llama", {"model_type": "llama"}, {}))
    (tmp_path / "mmproj-F16.gguf").write_bytes(b"GGUF")
    assert load_model(str(tmp_path), catalogued=_nothing).origin == "gguf"


_HYBRIDS = [
    Sample(
        "short convolutions",
        "lfm2",
        {
            "model_type": "lfm2", "layer_types": ["conv", "full_attention", "conv"], "block_auto_adjust_ff_dim": False,
            "conv_L_cache": 3,
        },
        {"attention.head_count_kv": [0, 2, 0], "shortconv.l_cache": 3},
    ),
    Sample(
        "Mamba-2 beside attention layers",
        "granitehybrid",
        {
            "model_type": "granitemoehybrid", "layer_types": ["mamba", "mamba", "attention"], "mamba_n_heads": 8,
            "mamba_d_head": 64, "mamba_d_state": 32, "mamba_n_groups": 1, "mamba_d_conv": 4,
        },
        {
            "attention.head_count_kv": [0, 0, 2], "ssm.conv_kernel": 4, "ssm.state_size": 32, "ssm.group_count": 1,
            "ssm.inner_size": 512, "ssm.time_step_rank": 8,
        },
    ),
    Sample(
        "both in one layer",
        "falcon-h1",
        {
            "model_type": "falcon_h1", "mamba_n_heads": 8, "mamba_d_head": 64, "mamba_d_state": 32,
            "mamba_n_groups": 1, "mamba_d_conv": 4, "mamba_d_ssm": 512,
        },
        {"ssm.conv_kernel": 4, "ssm.state_size": 32, "ssm.group_count": 1, "ssm.inner_size": 512,
         "ssm.time_step_rank": 8},
    ),
]  # fmt: skip


@pytest.mark.parametrize("sample", _HYBRIDS, ids=lambda sample: sample.name)
def test_hybrid_ggufs_are_read_from_their_tensors(sample: Sample, tmp_path: Path) -> None:
    write_gguf(tmp_path / "tiny.gguf", sample)
    read, wanted = read_gguf(tmp_path / "tiny.gguf").model, model_of(sample)
    assert read.parameters == wanted.parameters
    for layer, other in zip(read.layers, wanted.layers, strict=True):
        assert type(layer.attention) is type(other.attention)
        assert layer.attention.cache_elements(1000) == other.attention.cache_elements(1000)
