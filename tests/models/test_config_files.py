"""config.json, safetensors and folders; hubs out of reach."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from gguf_samples import SAMPLES, Sample, config_of, model_of, write_gguf

from samples import shares
from wellfed.catalog.model_names import model
from wellfed.catalog.model_tables import entry_ids, model_ids
from wellfed.catalog.models import by_id
from wellfed.errors import BadInput, UnknownName, Unsupported
from wellfed.modelfiles.checkpoint import read_checkpoint
from wellfed.modelfiles.hf_config import read_config
from wellfed.modelfiles.hub import fetch_config, is_repository
from wellfed.modelfiles.load import load_model
from wellfed.modelfiles.safetensors_file import read_safetensors_index
from wellfed.models.model import tensors
from wellfed.models.tensor import Part


def _catalogue() -> dict[str, dict[str, object]]:
    folder = Path(__file__).resolve().parents[2] / "src/wellfed/catalog/data/models"
    tables: dict[str, dict[str, object]] = {}
    for file in folder.glob("*.toml"):
        found = tomllib.loads(file.read_text())
        assert not tables.keys() & found.keys()
        tables.update({name: table for name, table in found.items() if "of" not in table})
    return tables


_TABLES = _catalogue()
_OWN_CONFIG = [name for name, table in _TABLES.items() if "like" not in table and "config" in table]


def test_the_files_are_plain_toml() -> None:
    assert set(_TABLES) == set(entry_ids())


@pytest.mark.parametrize("identity", _OWN_CONFIG)
def test_a_config_gives_the_catalogue_s_model(identity: str, tmp_path: Path) -> None:
    """The catalogue's facts, written as a publisher would, read back as a file."""
    folder = tmp_path / identity
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"torch_dtype": "bfloat16", **_TABLES[identity]["config"]}))  # type: ignore[dict-item]
    found, wanted = read_config(folder), by_id(identity)
    assert found.id == identity
    assert (found.layers, found.parameters, found.context_limit) == (
        wanted.layers,
        wanted.parameters,
        wanted.context_limit,
    )
    assert read_config(folder / "config.json") == found


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_multimodal_configs_nest_the_language_model(sample: Sample, tmp_path: Path) -> None:
    outer = {"model_type": "some_vision_model", "text_config": config_of(sample), "vision_config": {"depth": 2}}
    (tmp_path / "config.json").write_text(json.dumps(outer))
    assert read_config(tmp_path).layers == model_of(sample).layers


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"num_hidden_layers": None}, "num_hidden_layers"),
        ({"num_hidden_layers": -3}, "num_hidden_layers"),
        ({"num_hidden_layers": 10**9}, "num_hidden_layers"),
        ({"num_hidden_layers": 10_000}, "layers"),
        ({"hidden_size": 0}, "hidden_size"),
        ({"hidden_size": 1e300}, "hidden_size"),
        ({"hidden_size": "wide"}, "hidden_size"),
        ({"hidden_size": True}, "hidden_size"),
        ({"hidden_size": 2.5}, "hidden_size"),
        ({"vocab_size": 10**30}, "vocab_size"),
        ({"num_key_value_heads": 3}, "query heads"),
        ({"num_attention_heads": 7, "num_key_value_heads": 7, "head_dim": None}, "divide"),
        ({"hidden_size": 1 << 23, "intermediate_size": 1 << 23, "num_hidden_layers": 2000}, "parameters"),
        ({"attention_bias": "yes"}, "attention_bias"),
    ],
)
def test_impossible_values_are_one_clear_error(change: dict[str, object], what: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({**config_of(SAMPLES[0]), **change}))
    with pytest.raises(BadInput, match=what):
        read_config(tmp_path)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "3", "[" * 100_000, '{"model_type": 3}', "{}", "\x00", '{"a": ' + "9" * 5000 + "}"]
)
def test_malformed_json(text: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(BadInput):
        read_config(tmp_path)


def test_unknown_architecture_says_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({**config_of(SAMPLES[0]), "model_type": "mamba7"}))
    with pytest.raises(Unsupported, match="mamba7"):
        read_config(tmp_path)


def test_quantised_checkpoints_are_recognised(tmp_path: Path) -> None:
    def native(extra: dict[str, object]) -> str:
        (tmp_path / "config.json").write_text(json.dumps({**config_of(SAMPLES[0]), **extra}))
        return read_config(tmp_path).native_quantisation

    assert native({}) == "bf16"
    assert native({"torch_dtype": "float16"}) == "fp16"
    assert native({"quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]}}) == "fp8"
    assert native({"quantization_config": {"quant_method": "awq", "bits": 4}}) == "int4"
    assert native({"quantization_config": {"quant_method": "mxfp4"}}) == "mxfp4"
    assert native({"expert_dtype": "fp4"}) == "fp8-fp4-experts"
    (tmp_path / "hf_quant_config.json").write_text('{"quantization": {"quant_algo": "NVFP4"}}')
    assert native({}) == "nvfp4"


def _safetensors(path: Path, shapes: dict[str, tuple[int, ...]]) -> None:
    header, at = {}, 0
    for name, shape in shapes.items():
        size = 2
        for extent in shape:
            size *= extent
        header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + bytes(at))


def test_safetensors_headers_give_exact_weights(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config_of(SAMPLES[0])))
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (512, 256), "lm_head.weight": (512, 256)}
    for layer in range(3):
        shapes[f"model.layers.{layer}.self_attn.q_proj.weight"] = (256, 256)
        shapes[f"model.layers.{layer}.mlp.up_proj.weight"] = (512, 256)
        shapes[f"model.layers.{layer}.input_layernorm.weight"] = (256,)
    _safetensors(tmp_path / "model.safetensors", shapes)
    found = load_model(str(tmp_path), catalogued=model)
    assert found.origin == "folder" and found.weights is not None and found.weights.exact
    assert found.weights.embedding == found.weights.output == 2 * 512 * 256
    assert all(layer.attention == 2 * 256 * 256 for layer in found.weights.layers)
    assert all(layer.dense_ffn == 2 * 512 * 256 for layer in found.weights.layers)


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff" * 8, (10**12).to_bytes(8, "little") + b"{}", (2).to_bytes(8, "little") + b"[]",
     (44).to_bytes(8, "little") + b'{"a":{"shape":[1],"data_offsets":[0,99999]}}'],
)  # fmt: skip
def test_hostile_safetensors(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(BadInput):
        read_checkpoint(tmp_path)


def test_index(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors.index.json"
    file.write_text('{"metadata": {"total_size": 15}, "weight_map": {"a": "x.safetensors", "b": "x.safetensors"}}')
    assert read_safetensors_index(tmp_path).total_bytes == 15
    assert read_safetensors_index(tmp_path).files == ("x.safetensors",)
    for bad in ('{"metadata": {"total_size": -1}, "weight_map": {}}', '{"metadata": {}}', "{}"):
        file.write_text(bad)
        with pytest.raises(BadInput):
            read_safetensors_index(file)


def test_load_model_finds_files_names_and_folders(tmp_path: Path) -> None:
    write_gguf(tmp_path / "tiny.gguf", SAMPLES[0])
    assert load_model(str(tmp_path / "tiny.gguf"), catalogued=model).origin == "gguf"
    assert load_model(str(tmp_path), catalogued=model).origin == "gguf"
    assert load_model("deepseek-ai/DeepSeek-R1", catalogued=model).origin == "catalogue"
    assert load_model("r1:70b", catalogued=model, online=False).model.id == "deepseek-r1-distill-llama-70b"
    with pytest.raises(UnknownName):
        load_model("nobody/knows-this-42", catalogued=model, online=False)
    with pytest.raises(BadInput):
        load_model(str(tmp_path / "absent.gguf"), catalogued=model)
    with pytest.raises(BadInput):
        load_model(str(tmp_path / "absent" / "config.json"), catalogued=model)


def test_repositories() -> None:
    assert is_repository("deepseek-ai/DeepSeek-R1")
    assert not any(map(is_repository, ["r1", "a/b/c", "../etc", "a/..", "/a", "a b/c", ""]))
    with pytest.raises(BadInput):
        fetch_config("not a repository")
    with pytest.raises(BadInput, match="no such hub"):
        fetch_config("a/b", hub="elsewhere")


def test_a_hub_out_of_reach_is_one_clear_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(BadInput) as caught:
        fetch_config("nobody/knows-this-42")
    assert "HF_ENDPOINT" in (caught.value.hint or "") or "HF_TOKEN" in (caught.value.hint or "")


@pytest.mark.parametrize("identities", shares(model_ids(), 6))
def test_every_model_has_matrices_for_attention_and_feed_forward(identities: list[str]) -> None:
    for identity in identities:
        parts = {tensor.part for tensor in tensors(by_id(identity)) if tensor.is_matrix}
        assert Part.ATTENTION in parts
        assert parts & {Part.DENSE_FFN, Part.ROUTED_EXPERTS}
