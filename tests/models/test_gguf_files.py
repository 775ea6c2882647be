"""GGUF files written by the gguf package, read back by us."""

from __future__ import annotations

from pathlib import Path

import pytest
from gguf import GGUFReader, GGUFWriter
from gguf_samples import SAMPLES, Sample, model_of, write_gguf

from wellfed.errors import BadInput, Unsupported
from wellfed.modelfiles.gguf_file import read_gguf
from wellfed.modelfiles.load import load_model
from wellfed.models.tensor import Part


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_shape_and_bytes(sample: Sample, tmp_path: Path) -> None:
    path = tmp_path / "tiny.gguf"
    write_gguf(path, sample)
    found, wanted = read_gguf(path), model_of(sample)
    assert found.model.layers == wanted.layers
    assert found.model.parameters == wanted.parameters
    assert found.model.tied_embeddings == wanted.tied_embeddings
    assert found.model.vocabulary == wanted.vocabulary
    assert found.model.context_limit == 4096
    assert len(found.model.mtp_layers) == len(wanted.mtp_layers)
    assert found.weights.exact
    listed = sum(int(tensor.n_bytes) for tensor in GGUFReader(path).tensors)
    assert found.weights.total + found.weights.mtp == sum(tensor.bytes for tensor in found.tensors) == listed


def test_name_and_types(tmp_path: Path) -> None:
    path = tmp_path / "tiny.gguf"
    write_gguf(path, SAMPLES[0])
    found = read_gguf(path)
    assert found.model.name == "llama"
    assert found.weights.types[Part.ATTENTION] == "Q8_0"
    assert found.weights.types[Part.NORM] == "F32"
    assert found.weights.quantisation == "q8_0"
    assert found.metadata["llama.block_count"] == 3
    assert found.metadata["tokenizer.ggml.tokens"] == ()  # vocabularies are skipped


def test_split_files(tmp_path: Path) -> None:
    """The parts together are the whole; any part leads to all."""
    whole = tmp_path / "whole.gguf"
    write_gguf(whole, SAMPLES[0])
    writer = GGUFWriter(tmp_path / "part.gguf", "llama", split_max_tensors=8)
    reader = GGUFReader(whole)
    for key, field in reader.fields.items():
        if key.startswith("llama."):
            writer.add_uint32(key, int(field.contents()))
    for tensor in reader.tensors:
        writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    parts = sorted(tmp_path.glob("part-*.gguf"))
    assert len(parts) > 1
    for part in parts:
        found = read_gguf(part)
        assert found.weights.total == read_gguf(whole).weights.total
        assert found.paths == tuple(parts)
    assert load_model(str(tmp_path / parts[0].name), catalogued=_nothing).weights is not None
    parts[1].unlink()
    with pytest.raises(BadInput, match="missing"):
        read_gguf(parts[0])


def _nothing(name: str) -> object:
    raise AssertionError(name)


def test_unknown_architecture_says_so(tmp_path: Path) -> None:
    path = tmp_path / "odd.gguf"
    writer = GGUFWriter(path, "rwkv9")
    writer.add_uint32("rwkv9.block_count", 3)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    with pytest.raises(Unsupported, match="rwkv9"):
        read_gguf(path)


def test_layers_that_differ_without_a_description_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "odd.gguf"
    writer = GGUFWriter(path, "llama")
    for key in ("embedding_length", "context_length", "feed_forward_length"):
        writer.add_uint32(f"llama.{key}", 256)
    writer.add_uint32("llama.block_count", 2)
    writer.add_array("llama.attention.head_count", [4, 8])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    with pytest.raises(Unsupported, match="head_count"):
        read_gguf(path)
