"""Hostile model files: GGUF headers, configs, safetensors; each with what may be said of it."""

from __future__ import annotations

import json
import random
import struct
import sys
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from attack.judges import either, refused
from attack.sandbox import Input

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "models"))

from gguf_samples import SAMPLES, config_of, write_gguf

_RESOLVE = ("resolve", "{}", "--json")
_PLAN = ("plan", "{}", "--on", "rtx 4090", "--json")
_WIDE = (0, 2**31, 2**32, 2**60, 2**63, 2**64 - 1)


@lru_cache(maxsize=8)
def _whole(number: int) -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "tiny.gguf"
        write_gguf(path, SAMPLES[number], vocabulary=16)
        return path.read_bytes()


def _file(name: str, content: Callable[[], bytes]) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / name).write_bytes(content())
        return folder / name

    return make


def _no_heavier_than_its_file(size: int) -> Callable[[Any], str]:
    """Weights cannot be more than their file holds: bytes, and at more than an eighth of a bit each."""

    def may(value: dict[str, Any]) -> str:
        if "names" not in value:
            return ""
        (name,) = value["names"]
        if (name["weight_bytes"] or 0) > size:
            return f"{name['weight_bytes']} bytes of weights in a file of {size}"
        if not 0 < name["total_parameters"] <= 64 * size:
            return f"{name['total_parameters']} parameters in a file of {size} bytes"
        if name["active_parameters"] > name["total_parameters"]:
            return "more active than there are"
        return ""

    return may


def _damaged(content: bytes, dice: random.Random, most: int) -> bytes:
    whole = bytearray(content)
    for _ in range(dice.randint(1, most)):
        whole[dice.randrange(min(len(whole), 12_000))] = dice.randrange(256)
    return bytes(whole)


def gguf_files(count: int) -> Iterator[Input]:
    """Flips, lies of eight bytes, cuts and noise in headers of several architectures."""
    for number in range(count):
        dice = random.Random(number)
        sample = dice.choice((0, 2, 10, 12, 15, 18))

        def content(number: int = number, sample: int = sample) -> bytes:
            dice, way = random.Random(number), number % 4
            whole = _whole(sample)
            if way == 0:
                return _damaged(whole, dice, 1)
            if way == 1:
                return _damaged(whole, dice, 8)
            if way == 2:
                at = dice.randrange(4, 9000)
                return whole[:at] + struct.pack("<Q", dice.choice(_WIDE)) + whole[at + 8 :]
            return whole[: dice.randrange(len(whole))]

        judge = refused if number % 4 == 3 else either(_no_heavier_than_its_file(len(_whole(sample))))
        words = _PLAN if number % 20 == 0 else _RESOLVE
        yield Input("gguf", f"{SAMPLES[sample].name} {number}", words, _file("a.gguf", content), judge)


_DIMENSIONS = (
    "hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "head_dim", "intermediate_size",
    "vocab_size", "n_routed_experts", "num_experts_per_tok", "kv_lora_rank",
)  # fmt: skip
_NO_DIMENSION: tuple[Any, ...] = (
    -1, 0, -(2**70), 2**70, 1e308, float("nan"), float("inf"), 2.5, True, "", "4096", "x" * 10_000, [], {},
    {"a": 1}, "\x1b[31m", [[[[]]]], 10**300, -0.5,
)  # fmt: skip


def _folder(config: dict[str, Any] | bytes) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        place = folder / "model"
        place.mkdir()
        content = config if isinstance(config, bytes) else json.dumps(config).encode()
        (place / "config.json").write_bytes(content)
        return place

    return make


@lru_cache(maxsize=512)
def _truth(sample: int, without: str | None) -> int | None:
    """Parameters of a config as it is, or without a key; None where it is refused."""
    from wellfed.errors import WellfedError
    from wellfed.models.config import from_config

    config = config_of(SAMPLES[sample])
    config.pop(without, None)
    try:
        return int(from_config(config, "x").parameters)
    except WellfedError:
        return None


def configs(count: int) -> Iterator[Input]:
    """A dimension that is none: refused, or read as if it were not there, or of no importance."""
    turns = [(s, k, v) for s in (0, 4, 8, 10, 12, 15, 18) for k in _DIMENSIONS for v in range(len(_NO_DIMENSION))]
    random.Random(5).shuffle(turns)
    for sample, key, which in turns[:count]:
        value = _NO_DIMENSION[which]

        def may(found: dict[str, Any], sample: int = sample, key: str = key, value: Any = value) -> str:
            if key not in config_of(SAMPLES[sample]):
                return ""
            told = found["names"][0]["total_parameters"]
            fine = {_truth(sample, None), _truth(sample, key)}
            return (
                "" if told in fine else f"{key}={str(value)[:60]!r} gives {told}, without it {sorted(map(str, fine))}"
            )

        config = {**config_of(SAMPLES[sample]), key: value}
        yield Input("config", f"{SAMPLES[sample].name} {key} {which}", _RESOLVE, _folder(config), either(may))


_TEXTS = (
    b"", b"{", b"null", b"[]", b"[1]", b"7", b'"x"', b"{}", b"\xff\xfe{", b"[" * 200_000, b'{"a":' * 100_000,
    b'{"model_type": null}', b'{"model_type": 3}', b'{"model_type": ["llama"]}', b'{"model_type": "\\ud800"}',
    b'{"architectures": [null]}', b'{"model_type": "llama", "hidden_size": 1e999}', b"{" + b" " * 1_000_000,
    b'{"model_type": "' + b"x" * 1_000_000 + b'"}', b'{"\\u001b]0;owned\\u0007": 1}', b"PK\x03\x04", bytes(100),
)  # fmt: skip


def config_texts() -> Iterator[Input]:
    """Configs that are none."""
    for number, text in enumerate(_TEXTS):
        yield Input("config", f"text {number}", _RESOLVE, _folder(text), refused)


def _checkpoint(header: bytes, size: int | None = None) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        place = _folder(config_of(SAMPLES[0]))(folder)
        told = len(header) if size is None else size
        (place / "model.safetensors").write_bytes(struct.pack("<Q", told) + header + bytes(64))
        return place

    return make


def checkpoints(count: int) -> Iterator[Input]:
    """Safetensors whose headers lie; whatever is told of a file of some hundred bytes is no more than that."""
    dtypes: tuple[Any, ...] = ("BF16", "F8_E4M3", "U8", "I32", "", None, 3, "\x1b[2J")
    shapes: tuple[Any, ...] = ([8, 4], [2**40, 2**40], [-1, 4], [0], [], "8", [None], [1e9], [8] * 300)
    offsets: tuple[Any, ...] = ([0, 64], [0, 2**50], [64, 0], [-5, 5], [0], [None, None], "0", None)
    dice = random.Random(11)
    for number in range(count):
        entry = {"dtype": dice.choice(dtypes), "shape": dice.choice(shapes), "data_offsets": dice.choice(offsets)}
        names = ("model.embed_tokens.weight", "__metadata__", "\x1b[31m", "a" * 5000, "model.layers.0.mlp.x")
        header = json.dumps({dice.choice(names): entry, "b": dice.choice((None, entry, 7, [entry]))}).encode()
        size = dice.choice((None, None, None, 0, len(header) - 1, 2**63, 10**8))

        def may(found: dict[str, Any]) -> str:
            heavy = found["names"][0]["weight_bytes"] or 0
            return "" if heavy <= 10**7 else f"{heavy} bytes of a file of some hundred"

        yield Input("safetensors", str(number), _RESOLVE, _checkpoint(header, size), either(may))
