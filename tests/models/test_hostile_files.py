"""Whatever bytes stand in a header or a config: a model, or one clear error, at once and in little memory."""

from __future__ import annotations

import json
import os
import struct
import tracemalloc
from pathlib import Path

import pytest
from gguf_samples import SAMPLES, config_of, write_gguf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wellfed.catalog.models import by_id
from wellfed.errors import BadInput, WellfedError
from wellfed.modelfiles.gguf_file import read_gguf
from wellfed.modelfiles.hf_config import read_config
from wellfed.modelfiles.load import load_model
from wellfed.modelfiles.safetensors_file import read_safetensors_header
from wellfed.models.model import Model

_MEMORY = 64 << 20


@pytest.fixture(scope="module")
def valid(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    write_gguf(path, SAMPLES[10], vocabulary=16)
    return path.read_bytes()


def _reads_or_refuses(content: bytes, folder: Path) -> None:
    path = folder / "hostile.gguf"
    path.write_bytes(content)
    tracemalloc.start()
    try:
        assert isinstance(read_gguf(path).model, Model)
    except WellfedError as error:
        assert error.message
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < _MEMORY


_RELAXED = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@_RELAXED
@given(cut=st.integers(0, 1 << 20))
def test_truncated(cut: int, valid: bytes, tmp_path: Path) -> None:
    content = valid[: cut % len(valid)]
    (tmp_path / "cut.gguf").write_bytes(content)
    with pytest.raises(BadInput):
        read_gguf(tmp_path / "cut.gguf")


@_RELAXED
@given(
    edits=st.lists(st.tuples(st.integers(0, 8191), st.integers(0, 255)), min_size=1, max_size=8),
)
def test_flipped_bytes(edits: list[tuple[int, int]], valid: bytes, tmp_path: Path) -> None:
    content = bytearray(valid)
    for at, value in edits:
        content[at % len(content)] = value
    _reads_or_refuses(bytes(content), tmp_path)


@_RELAXED
@given(at=st.integers(4, 8000), number=st.one_of(st.integers(0, 2**64 - 1), st.sampled_from([2**60, 2**63, 2**32])))
def test_lying_numbers(at: int, number: int, valid: bytes, tmp_path: Path) -> None:
    content = valid[:at] + struct.pack("<Q", number) + valid[at + 8 :]
    _reads_or_refuses(content, tmp_path)


@_RELAXED
@given(noise=st.binary(max_size=400))
def test_noise_after_the_magic(noise: bytes, tmp_path: Path) -> None:
    _reads_or_refuses(b"GGUF" + noise, tmp_path)
    _reads_or_refuses(noise, tmp_path)


@pytest.mark.parametrize(
    "header",
    [
        struct.pack("<4sIQQ", b"GGUF", 3, 2**60, 0),
        struct.pack("<4sIQQ", b"GGUF", 3, 0, 2**60),
        struct.pack("<4sIQQQ4sIIQ", b"GGUF", 3, 0, 1, 4, b"name", 9, 8, 2**60),  # 2^60 strings
        struct.pack("<4sIQQQ4sIIQ", b"GGUF", 3, 0, 1, 4, b"name", 9, 0, 2**63),  # 2^63 bytes
        struct.pack("<4sIQQQ4sIQ", b"GGUF", 3, 0, 1, 4, b"name", 8, 2**62),  # a string without end
        struct.pack("<4sIQQQ", b"GGUF", 3, 0, 1, 2**64 - 1),
        struct.pack("<4sIQQ", b"GGUF", 1, 0, 0),
        struct.pack(">4sIQQ", b"GGUF", 3, 0, 0),
        b"GGUF",
        b"",
    ],
)
def test_classic_lies(header: bytes, tmp_path: Path) -> None:
    path = tmp_path / "lie.gguf"
    path.write_bytes(header + bytes(64) if header else header)
    with pytest.raises(WellfedError):
        read_gguf(path)


def _sparse(path: Path, head: bytes) -> Path:
    """A file of 5 GB that takes no room, with `head` at its start."""
    with path.open("wb") as file:
        file.write(head)
        file.truncate(5 * 10**9)
    return path


_STRINGS = struct.pack("<4sIQQQ4sII", b"GGUF", 3, 1, 1, 4, b"name", 9, 8)


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("a.gguf", _STRINGS + struct.pack("<Q", 10_000_000)),
        ("a.gguf", struct.pack("<4sIQQ", b"GGUF", 3, 100_001, 0)),
        ("a.gguf", struct.pack("<4sIQQQ", b"GGUF", 3, 1, 0, 201) + b"n" * 201),
        ("a.gguf", b""),
        ("model.safetensors", struct.pack("<Q", 10**8)),
        ("model.safetensors", struct.pack("<Q", 2 * 10**7) + b'{"'),
        ("config.json", b"{"),
        ("hf_quant_config.json", b"{"),
    ],
)
def test_huge_files_of_nothing_are_refused(name: str, head: bytes, tmp_path: Path) -> None:
    if name != "config.json":
        (tmp_path / "config.json").write_text(json.dumps(config_of(SAMPLES[0])))
    path = _sparse(tmp_path / name, head)
    tracemalloc.start()
    try:
        with pytest.raises(BadInput):
            load_model(str(path if name.endswith(".gguf") else tmp_path), catalogued=by_id)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 4 * _MEMORY


@pytest.mark.parametrize("name", ["model.gguf", "config.json"])
def test_a_pipe_is_refused_and_not_waited_for(name: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(BadInput, match="no regular file"):
        load_model(str(tmp_path / name), catalogued=by_id)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_configs_in_any_unicode_are_read(encoding: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(json.dumps(config_of(SAMPLES[0])).encode(encoding))
    assert read_config(tmp_path).parameters > 0


def test_a_key_that_comes_twice_is_refused(tmp_path: Path) -> None:
    text = json.dumps(config_of(SAMPLES[0]))
    (tmp_path / "config.json").write_text(text[:-1] + ', "hidden_size": 4096}')
    with pytest.raises(BadInput, match=r"hidden_size.*twice"):
        read_config(tmp_path)


_DIMENSIONS = st.lists(st.integers(-2, 2**45) | st.none() | st.text(max_size=3), max_size=9)
_ENTRY = st.fixed_dictionaries(
    {"dtype": st.sampled_from(["BF16", "U8", "", "F8_E4M3"]), "shape": _DIMENSIONS},
    optional={"data_offsets": st.lists(st.integers(-5, 2**50), max_size=3), "x": st.none()},
)


@_RELAXED
@given(
    entries=st.dictionaries(st.text(min_size=1, max_size=30), _ENTRY | st.none(), max_size=5), lie=st.integers(0, 99)
)
def test_any_safetensors_header_is_a_table_or_a_clear_error(
    entries: dict[str, object], lie: int, tmp_path: Path
) -> None:
    text = json.dumps(entries).encode()
    file = tmp_path / "x.safetensors"
    file.write_bytes(struct.pack("<Q", len(text) + (lie if lie > 90 else 0)) + text + bytes(64))
    try:
        table = read_safetensors_header(file)
    except BadInput as error:
        assert error.message
        return
    assert all(tensor.bytes <= 64 for tensor in table)


def test_arrays_within_arrays_end(tmp_path: Path) -> None:
    nested = struct.pack("<IQ", 9, 1) * 10_000
    path = tmp_path / "deep.gguf"
    path.write_bytes(struct.pack("<4sIQQQ4sI", b"GGUF", 3, 0, 1, 4, b"name", 9) + nested)
    with pytest.raises(BadInput, match="arrays within arrays"):
        read_gguf(path)


@pytest.mark.parametrize("name", ["a-00001-of-99999.gguf", "a-00000-of-00002.gguf", "a-00003-of-00002.gguf"])
def test_shards_that_cannot_be(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"GGUF")
    with pytest.raises(BadInput):
        read_gguf(tmp_path / name)


def test_a_folder_is_not_a_file(tmp_path: Path) -> None:
    with pytest.raises(BadInput):
        read_gguf(tmp_path)


_OPTIONAL_KEYS = (
    "layer_types", "quantization_config", "text_config", "mlp_only_layers", "sliding_window", "dtype", "moe_layer_freq",
    "vision_parameters", "compress_ratios", "expert_dtype", "num_nextn_predict_layers",
)  # fmt: skip
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_config_is_a_model_or_a_clear_error(data: st.DataObject, tmp_path: Path) -> None:
    config = config_of(data.draw(st.sampled_from(SAMPLES)))
    keys = [*config, *_OPTIONAL_KEYS]
    for key in data.draw(st.lists(st.sampled_from(keys), min_size=1, max_size=4)):
        config[key] = data.draw(_JSON)
    (tmp_path / "config.json").write_text(json.dumps(config))
    try:
        model = read_config(tmp_path)
    except WellfedError as error:
        assert error.message
        return
    assert model.parameters > 0
    assert model.cache_elements(1000) >= 0
