"""A GGUF model: its shape, and every byte of it by part. Only headers are read, of all parts of a split file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from wellfed.errors import BadInput
from wellfed.modelfiles.gguf_config import config_of
from wellfed.modelfiles.gguf_header import GgufHeader, GgufTensor, Value, read_header
from wellfed.models.config import from_config
from wellfed.models.model import Model
from wellfed.models.quantisation import tally
from wellfed.models.tensor import Part
from wellfed.models.weights import Weights

_SHARD = re.compile(r"^(.*)-(\d{5})-of-(\d{5})\.gguf$", re.IGNORECASE)
_BLOCK = re.compile(r"^blk\.(\d+)\.(.+)$")
_MOST_SHARDS = 4096

# general.file_type: quantisation id (llama.h of llama.cpp and ik_llama.cpp)
_FILE_TYPES = {
    0: "gguf-f32", 1: "f16", 2: "q4_0", 3: "q4_1", 7: "q8_0", 8: "q5_0", 9: "q5_1", 10: "q2_k", 11: "q3_k_s",
    12: "q3_k_m", 13: "q3_k_l", 14: "q4_k_s", 15: "q4_k_m", 16: "q5_k_s", 17: "q5_k_m", 18: "q6_k", 19: "iq2_xxs",
    20: "iq2_xs", 21: "q2_k_s", 22: "iq3_xs", 23: "iq3_xxs", 24: "iq1_s", 25: "iq4_nl", 26: "iq3_s", 27: "iq3_m",
    28: "iq2_s", 29: "iq2_m", 30: "iq4_xs", 31: "iq1_m", 32: "gguf-bf16", 36: "tq1_0", 37: "tq2_0", 38: "gguf-mxfp4",
    135: "q6_0", 136: "iq1_bn", 137: "iq2_bn", 138: "iq2_k", 139: "iq3_k", 140: "iq4_k", 141: "iq5_k", 142: "iq6_k",
    145: "iq4_ks", 146: "iq3_kl", 147: "iq2_ks", 148: "iq4_kss", 149: "q8_kv", 150: "iq5_ks", 151: "iq2_kt",
    152: "iq3_kt", 153: "iq4_kt", 154: "iq3_ks", 155: "iq2_kl", 156: "iq1_kt", 202: "q4_0_r8", 208: "q8_0_r8",
    212: "q4_k_r4", 338: "iq2_k_r4", 339: "iq3_k_r4", 340: "iq4_k_r4", 345: "iq4_ks_r4",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class GgufFile:
    """What is in a GGUF. `weights` is exact; `metadata` leaves long strings and lists out."""

    model: Model
    weights: Weights
    metadata: Mapping[str, Value]
    tensors: tuple[GgufTensor, ...]
    paths: tuple[Path, ...]


def read_gguf(path: str | Path) -> GgufFile:
    """The model in the GGUF at `path` (of a split file, any part). Raises BadInput or Unsupported."""
    paths = shards(Path(path))
    headers = [read_header(one) for one in paths]
    first = headers[0]
    tensors = tuple(tensor for header in headers for tensor in header.tensors)
    _check_split(first, len(headers), len(tensors), paths[0].name)
    whole = GgufHeader(first.metadata, first.lengths, tensors)
    named = first.metadata.get("general.name")
    name = named if isinstance(named, str) and named else paths[0].stem
    model = from_config(config_of(whole), paths[0].stem, name)
    return GgufFile(model, _weights(model, tensors, first.metadata), first.metadata, tensors, paths)


def shards(path: Path) -> tuple[Path, ...]:
    """All parts of the file that `path` is one of. Raises BadInput where one is missing."""
    match = _SHARD.match(path.name)
    if match is None:
        return (path,)
    count = int(match[3])
    if not 1 <= count <= _MOST_SHARDS or not 1 <= int(match[2]) <= count:
        raise BadInput(f"{path.name}: part {int(match[2])} of {count}")
    parts = tuple(path.with_name(f"{match[1]}-{index:05d}-of-{match[3]}.gguf") for index in range(1, count + 1))
    missing = [part.name for part in parts if not part.exists()]
    if missing:
        raise BadInput(f"{len(missing)} of {count} parts are missing: {', '.join(missing[:3])}", "download all parts")
    return parts


def _check_split(first: GgufHeader, files: int, tensors: int, name: str) -> None:
    count, total = first.metadata.get("split.count"), first.metadata.get("split.tensors.count")
    if isinstance(count, int) and count > 1 and count != files:
        raise BadInput(f"{name} is one of {count} parts, {files} found", "keep the parts' names as they were")
    if isinstance(total, int) and files > 1 and total != tensors:
        raise BadInput(f"{name}: the parts hold {tensors} of {total} tensors", "a part belongs to another file")


def _weights(model: Model, tensors: tuple[GgufTensor, ...], metadata: Mapping[str, Value]) -> Weights:
    sums = tally(len(model.layers))
    by_type: dict[str, int] = {}
    for tensor in tensors:
        block = _BLOCK.match(tensor.name)
        layer = int(block[1]) if block else None
        part = part_of(block[2] if block else tensor.name, layer, len(model.layers), len(tensor.shape))
        sums.add(part, layer, tensor.type.name, tensor.bytes)
        by_type[tensor.type.name] = by_type.get(tensor.type.name, 0) + tensor.bytes
    dominant = max(by_type, key=lambda kind: by_type[kind], default="unknown")
    number = metadata.get("general.file_type")
    stated = _FILE_TYPES.get(number) if isinstance(number, int) else None
    return sums.weights(stated or dominant.lower(), exact=True)


def part_of(role: str, layer: int | None, layers: int, dimensions: int) -> Part:
    """The part a tensor belongs to, by its name within the block."""
    if layer is None:
        outside = {"token_embd.weight": Part.EMBEDDING, "per_layer_token_embd.weight": Part.EMBEDDING}
        return Part.OUTPUT if role == "output.weight" else outside.get(role, Part.NORM)
    if layer >= layers or role.startswith("nextn"):
        return Part.MTP
    if "ffn_gate_inp" in role:
        return Part.ROUTER
    if dimensions < 2 or "norm" in role or role.endswith("bias"):
        return Part.NORM
    if "_exps" in role:
        return Part.ROUTED_EXPERTS
    if "_shexp" in role:
        return Part.SHARED_EXPERTS
    if role.startswith("ffn"):
        return Part.DENSE_FFN
    return Part.INDEXER if "indexer" in role else Part.ATTENTION
