"""Safetensors checkpoints of nothing but headers: every tensor named, shaped and typed, the data sparse."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import prod
from pathlib import Path

WIDTH = {"F32": 4, "BF16": 2, "F16": 2, "F8_E4M3": 1, "U8": 1, "I8": 1, "I32": 4, "U32": 4, "I16": 2, "F8_E8M0": 1}
Tensors = Mapping[str, tuple[str, tuple[int, ...]]]  # name: dtype, shape

CONFIG: dict[str, object] = {
    "model_type": "llama", "hidden_size": 256, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 64, "intermediate_size": 512, "vocab_size": 1000,
    "max_position_embeddings": 4096,
}  # fmt: skip


def write_checkpoint(folder: Path, config: Mapping[str, object], tensors: Tensors) -> int:
    """The files, and how many bytes of tensors they promise."""
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    at = 0
    for name, (dtype, shape) in tensors.items():
        size = prod(shape) * WIDTH[dtype]
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    with (folder / "model.safetensors").open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + at)
    return at


def dense(layers: int = 2, hidden: int = 256, kv: int = 128, wide: int = 512, vocabulary: int = 1000) -> Tensors:
    """A Llama of BF16."""
    table = {"model.embed_tokens.weight": (vocabulary, hidden), "lm_head.weight": (vocabulary, hidden)}
    table["model.norm.weight"] = (hidden,)
    for index in range(layers):
        start = f"model.layers.{index}."
        table |= {
            f"{start}self_attn.q_proj.weight": (hidden, hidden),
            f"{start}self_attn.k_proj.weight": (kv, hidden),
            f"{start}self_attn.v_proj.weight": (kv, hidden),
            f"{start}self_attn.o_proj.weight": (hidden, hidden),
            f"{start}mlp.gate_proj.weight": (wide, hidden),
            f"{start}mlp.up_proj.weight": (wide, hidden),
            f"{start}mlp.down_proj.weight": (hidden, wide),
            f"{start}input_layernorm.weight": (hidden,),
            f"{start}post_attention_layernorm.weight": (hidden,),
        }
    return {name: ("BF16", shape) for name, shape in table.items()}
