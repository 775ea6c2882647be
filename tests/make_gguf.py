"""Model files of real shapes with random weights: they load, serve and weigh what the real ones do, and say nonsense.

    python tests/make_gguf.py qwen2-1.5b q8_0 OUT.gguf

Quantised tensors are random bytes with small scales in each block, so no quantiser is needed. Neither the memory nor
the speed of an engine depends on the values. Block layouts: ggml/src/ggml-common.h.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Type
from gguf.quants import quant_shape_to_byte_shape

_STD = 0.02  # of the weights
_POOL = np.random.default_rng(0).integers(0, 256, 2**24, dtype=np.uint8)
_LETTERS = "etaoinshrdlu"


@dataclass(frozen=True)
class Latent:
    """Multi-head latent attention without a query projection of low rank (DeepSeek-V2-Lite)."""

    kv_rank: int
    rope: int
    nope: int
    value: int


@dataclass(frozen=True)
class Experts:
    """Mixture of experts after `dense` dense layers."""

    count: int
    active: int
    shared: int
    width: int
    dense: int = 1


@dataclass(frozen=True)
class Shape:
    """An architecture. `vocabulary` 0: as many as the small tokenizer has."""

    architecture: str
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    ff: int
    vocabulary: int = 0
    context: int = 131072
    latent: Latent | None = None
    experts: Experts | None = None


# Shapes as in the models' published config.json.
SHAPES = {
    "qwen2-1.5b": Shape("qwen2", 1536, 28, 12, 2, 128, 8960, 151936),
    "qwen2-7b": Shape("qwen2", 3584, 28, 28, 4, 128, 18944, 152064),
    "deepseek-v2-lite": Shape(
        "deepseek2", 2048, 27, 16, 1, 192, 10944, 102400, 163840, Latent(512, 64, 128, 128), Experts(64, 6, 2, 1408)
    ),
    "small": Shape("llama", 768, 4, 6, 3, 128, 2048, context=8192),
    "tiny": Shape("llama", 256, 4, 4, 2, 64, 512, context=8192),
    "tiny-latent": Shape(
        "deepseek2", 256, 27, 4, 1, 64, 512, 0, 8192, Latent(64, 32, 32, 32), Experts(8, 2, 1, 128)
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Tensor:
    """A tensor to write: `dims` as numpy has them; `role` is its name without the layer."""

    name: str
    dims: tuple[int, ...]
    role: str
    layer: int | None = None


def tensors(shape: Shape) -> Iterator[Tensor]:
    """Every tensor of the shape."""
    yield Tensor("token_embd.weight", (shape.vocabulary, shape.hidden), "token_embd")
    yield Tensor("output_norm.weight", (shape.hidden,), "norm")
    yield Tensor("output.weight", (shape.vocabulary, shape.hidden), "output")
    for layer in range(shape.layers):
        for name, dims in [*_attention(shape), *_feed_forward(shape, layer)]:
            role = "norm" if name.endswith("norm.weight") else name.rpartition(".")[0]
            yield Tensor(f"blk.{layer}.{name}", dims, role, layer)


def _attention(shape: Shape) -> Any:
    hidden, latent = shape.hidden, shape.latent
    found = {"attn_norm.weight": (hidden,), "ffn_norm.weight": (hidden,)}
    if latent is not None:
        found |= {
            "attn_q.weight": (shape.heads * (latent.nope + latent.rope), hidden),
            "attn_kv_a_mqa.weight": (latent.kv_rank + latent.rope, hidden),
            "attn_kv_a_norm.weight": (latent.kv_rank,),
            "attn_k_b.weight": (shape.heads, latent.kv_rank, latent.nope),
            "attn_v_b.weight": (shape.heads, latent.value, latent.kv_rank),
            "attn_output.weight": (hidden, shape.heads * latent.value),
        }
        return found.items()
    widths = {"q": shape.heads * shape.head_dim, "k": shape.kv_heads * shape.head_dim}
    for name, width in (widths | {"v": widths["k"]}).items():
        found[f"attn_{name}.weight"] = (width, hidden)
        if shape.architecture == "qwen2":
            found[f"attn_{name}.bias"] = (width,)
    found["attn_output.weight"] = (hidden, widths["q"])
    return found.items()


def _feed_forward(shape: Shape, layer: int) -> Any:
    hidden, experts = shape.hidden, shape.experts
    if experts is None or layer < experts.dense:
        return {
            "ffn_gate.weight": (shape.ff, hidden), "ffn_up.weight": (shape.ff, hidden),
            "ffn_down.weight": (hidden, shape.ff),
        }.items()  # fmt: skip
    count, width, shared = experts.count, experts.width, experts.width * experts.shared
    return {
        "ffn_gate_inp.weight": (count, hidden),
        "ffn_gate_exps.weight": (count, width, hidden), "ffn_up_exps.weight": (count, width, hidden),
        "ffn_down_exps.weight": (count, hidden, width), "ffn_gate_shexp.weight": (shared, hidden),
        "ffn_up_shexp.weight": (shared, hidden), "ffn_down_shexp.weight": (hidden, shared),
    }.items()  # fmt: skip


def type_of(tensor: Tensor, recipe: str, layers: int) -> Type:
    """The type a recipe gives a tensor: Q4_K_M keeps the output and some layers' v and down projections in Q6_K."""
    if len(tensor.dims) == 1 or tensor.role in {"ffn_gate_inp", "norm"}:
        return Type.F32
    kind = Type.Q4_K if recipe == "q4_k_m" else Type[recipe.upper()]
    if recipe == "q4_k_m" and (tensor.role == "output" or _gets_more_bits(tensor, layers)):
        kind = Type.Q6_K
    block, _ = gguf.GGML_QUANT_SIZES[kind]
    return kind if tensor.dims[-1] % block == 0 else Type.Q8_0


def _gets_more_bits(tensor: Tensor, layers: int) -> bool:
    if tensor.layer is None or tensor.role not in {"attn_v", "ffn_down", "ffn_down_exps", "ffn_down_shexp"}:
        return False
    eighth = layers // 8
    return tensor.layer < eighth or tensor.layer >= 7 * eighth or (tensor.layer - eighth) % 3 == 2


def values(dims: tuple[int, ...], kind: Type, chance: np.random.Generator) -> np.ndarray[Any, Any]:
    """Random contents."""
    if kind is Type.F32:
        return np.ones(dims, np.float32) if len(dims) == 1 else _normal(dims, chance)
    if kind is Type.F16:
        return np.resize(_normal((min(int(np.prod(dims)), 2**22),), chance).astype(np.float16), dims)
    shape = quant_shape_to_byte_shape(dims, kind)
    _, size = gguf.GGML_QUANT_SIZES[kind]
    blocks = np.resize(np.roll(_POOL, int(chance.integers(2**20))), int(np.prod(shape))).reshape(-1, size)
    for start, scale in _SCALES[kind]:
        blocks[:, start : start + 2] = np.frombuffer(np.float16(scale).tobytes(), np.uint8)
    return blocks.reshape(shape)


# Where a block's half-precision scales are, and values that bring its weights near _STD.
_SCALES = {
    Type.Q8_0: ((0, _STD / 73),),
    Type.Q4_0: ((0, _STD / 4.6),),
    Type.Q4_K: ((0, _STD / 150), (2, _STD / 20)),
    Type.Q6_K: ((208, _STD / 1300),),
}


def _normal(dims: tuple[int, ...], chance: np.random.Generator) -> np.ndarray[Any, Any]:
    return chance.standard_normal(dims, dtype=np.float32) * np.float32(_STD)


def vocabulary(size: int) -> tuple[list[str], list[int], list[str]]:
    """(tokens, their types, merges): bytes, pairs of common letters, two control tokens, padding that prints itself."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    tokens = [chr(byte) for byte in printable] + [chr(256 + n) for n in range(len(others))]
    pairs = [(a, b) for a in _LETTERS for b in _LETTERS]
    tokens += [a + b for a, b in pairs] + ["<|bos|>", "<|eos|>"]
    types = [1] * (len(tokens) - 2) + [3, 3]
    wanted = size or -(-len(tokens) // 256) * 256
    padding = [f"[PAD{n}]" for n in range(len(tokens), wanted)]
    return tokens + padding, types + [1] * len(padding), [f"{a} {b}" for a, b in pairs]


def write(path: Path, name: str, recipe: str, seed: int = 0) -> Path:
    """Write shape `name` in `recipe` (f16, q8_0, q4_0, q4_k, q6_k, q4_k_m) to `path`."""
    tokens, types, merges = vocabulary(SHAPES[name].vocabulary)
    shape = Shape(**{**SHAPES[name].__dict__, "vocabulary": len(tokens)})
    writer = gguf.GGUFWriter(path, shape.architecture)
    _describe(writer, shape, name, recipe)
    writer.add_string("tokenizer.ggml.model", "gpt2")
    writer.add_string("tokenizer.ggml.pre", "qwen2")
    writer.add_array("tokenizer.ggml.merges", merges)
    writer.add_array("tokenizer.ggml.tokens", tokens)
    writer.add_array("tokenizer.ggml.token_type", types)
    writer.add_uint32("tokenizer.ggml.bos_token_id", tokens.index("<|bos|>"))
    writer.add_uint32("tokenizer.ggml.eos_token_id", tokens.index("<|eos|>"))
    writer.add_bool("tokenizer.ggml.add_bos_token", False)
    writer.add_chat_template("{% for m in messages %}{{m.role}}: {{m.content}}\n{% endfor %}assistant:")
    jobs = [(tensor, type_of(tensor, recipe, shape.layers)) for tensor in tensors(shape)]
    for tensor, kind in jobs:
        _announce(writer, tensor, kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    chance = np.random.default_rng(seed)
    for tensor, kind in jobs:
        writer.write_tensor_data(values(tensor.dims, kind, chance))
    writer.close()
    return path


def _announce(writer: gguf.GGUFWriter, tensor: Tensor, kind: Type) -> None:
    if kind in (Type.F32, Type.F16):
        dtype: Any = np.dtype(np.float32 if kind is Type.F32 else np.float16)
        writer.add_tensor_info(tensor.name, tensor.dims, dtype, int(np.prod(tensor.dims)) * dtype.itemsize)
        return
    size = quant_shape_to_byte_shape(tensor.dims, kind)
    writer.add_tensor_info(tensor.name, size, np.dtype(np.uint8), int(np.prod(size)), raw_dtype=kind)


def _describe(writer: gguf.GGUFWriter, shape: Shape, name: str, recipe: str) -> None:
    writer.add_name(f"{name} random")
    writer.add_file_type({"f16": 1, "q8_0": 7, "q4_0": 2, "q4_k_m": 15, "q4_k": 14, "q6_k": 18}[recipe])
    writer.add_block_count(shape.layers)
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.hidden)
    writer.add_feed_forward_length(shape.ff)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(shape.vocabulary)
    latent, experts = shape.latent, shape.experts
    if latent is None:
        writer.add_rope_dimension_count(shape.head_dim)
    else:
        writer.add_rope_dimension_count(latent.rope)
        writer.add_kv_lora_rank(latent.kv_rank)
        writer.add_key_length(latent.kv_rank + latent.rope)
        writer.add_value_length(latent.kv_rank)
        writer.add_key_length_mla(latent.nope + latent.rope)
        writer.add_value_length_mla(latent.value)
    if experts is not None:
        writer.add_leading_dense_block_count(experts.dense)
        writer.add_expert_count(experts.count)
        writer.add_expert_used_count(experts.active)
        writer.add_expert_shared_count(experts.shared)
        writer.add_expert_feed_forward_length(experts.width)
        writer.add_expert_weights_scale(1.0)
        writer.add_expert_gating_func(gguf.ExpertGatingFuncType.SOFTMAX)


if __name__ == "__main__":
    write(Path(sys.argv[3]), sys.argv[1], sys.argv[2])
