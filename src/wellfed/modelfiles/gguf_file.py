"""A GGUF model: its shape, and every byte of it by part. Only headers are read, of all parts of a split file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from math import prod
from pathlib import Path

from wellfed.errors import BadInput, Unsupported
from wellfed.frozen import dataclass
from wellfed.message import listed, sentence
from wellfed.modelfiles.gguf_config import architecture_of, config_of, loose_values
from wellfed.modelfiles.gguf_header import GgufHeader, GgufTensor, Value, read_header
from wellfed.models.config import from_config, from_layers
from wellfed.models.config_reader import Config
from wellfed.models.from_tensors import LayerTensors, shape_of
from wellfed.models.model import Model
from wellfed.models.quantisation import tally
from wellfed.models.tensor import Part, Tensor
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
    headers = [read_header(path) for path in paths]
    first = headers[0]
    tensors = tuple(tensor for header in headers for tensor in header.tensors)
    _check_split(first, len(headers), len(tensors), paths[0].name)
    joined_header = GgufHeader(first.metadata, first.lengths, tensors)
    general_name = first.metadata.get("general.name")
    name = general_name if isinstance(general_name, str) and general_name else paths[0].stem
    model = _model(joined_header, paths[0].stem, name)
    return GgufFile(model, _weights(model, tensors, first.metadata), first.metadata, tensors, paths)


def _model(header: GgufHeader, identity: str, name: str) -> Model:
    """The layers by the architecture's builder where it counts what the table holds, else by the tensors."""
    counted = _counts(header)
    try:
        built = from_config(config_of(header), identity, name)
    except Unsupported as error:
        return _by_tensors(header, identity, name, counted, error)
    if built.parameters == counted[0]:
        return built
    if abs(built.parameters / counted[0] - 1) > _MOST_DIFFERENCE:
        return _by_tensors(header, identity, name, counted, None)
    return replace(built, counted_parameters=counted)


_MOST_DIFFERENCE = 0.02  # between a builder's count and the table's; a pruned or merged model is another shape


def _by_tensors(
    header: GgufHeader, identity: str, name: str, counted: tuple[int, int], refusal: Unsupported | None
) -> Model:
    """The model by its tensors' shapes. `refusal` says why there is no builder; it is raised where shapes fail too."""
    values = loose_values(header)
    reader = Config(values, str(values["model_type"]))
    count = reader.layers - reader.count("num_nextn_predict_layers")
    shapes = {tensor.name: tensor.shape for tensor in header.tensors}
    embedding = shapes.get("token_embd.weight")
    if embedding is None:
        raise refusal or Unsupported(
            sentence("gguf-file.gguf-token-embedding", "the GGUF has no token embedding"),
            sentence("gguf-file.language-model", "is it a language model?"),
        )
    values["vocab_size"] = embedding[0]
    layers = [_layer_tensors(header.tensors, index) for index in range(count)]
    lookups = [
        Tensor(role, Part.LOOKUP, shape[0], shape[-1])
        for role, shape in ((name.removesuffix(".weight"), shape) for name, shape in shapes.items())
        if role in _LOOKUPS
    ]
    try:
        shape = shape_of(layers, reader, embedding[-1], "output.weight" not in shapes, lookups)
        model = from_layers(values, reader, shape, identity, name)
    except (BadInput, Unsupported) as error:
        if refusal is None:
            raise
        raise Unsupported(f"{refusal.message}; {error.message}", error.hint or refusal.hint) from error
    return replace(model, counted_parameters=counted)


_LOOKUPS = frozenset({"per_layer_token_embd", "position_embd", "token_types"})


def _layer_tensors(tensors: tuple[GgufTensor, ...], index: int) -> LayerTensors:
    start = f"blk.{index}."
    return LayerTensors(
        {
            tensor.name.removeprefix(start).removesuffix(".weight"): tensor.shape
            for tensor in tensors
            if tensor.name.startswith(start)
        }
    )


def _counts(header: GgufHeader) -> tuple[int, int]:
    """Parameters of the language model, and of everything in the file."""
    architecture = architecture_of(header)
    blocks, ahead = (
        header.metadata.get(f"{architecture}.block_count"),
        header.metadata.get(f"{architecture}.nextn_predict_layers", 0),
    )
    layers = blocks - ahead if isinstance(blocks, int) and isinstance(ahead, int) else 1 << 30
    counted = total = 0
    for tensor in header.tensors:
        elements = prod(tensor.shape)
        block = _BLOCK.match(tensor.name)
        beside = block is not None and (int(block[1]) >= layers or block[2].startswith("nextn"))
        total += elements
        counted += 0 if beside else elements
    return counted, total


def shards(path: Path) -> tuple[Path, ...]:
    """All parts of the file that `path` is one of. Raises BadInput where one is missing."""
    match = _SHARD.match(path.name)
    if match is None:
        return (path,)
    count = int(match[3])
    if not 1 <= count <= _MOST_SHARDS or not 1 <= int(match[2]) <= count:
        raise BadInput(
            sentence(
                "gguf-file.part", "{path}: part {match} of {count}", path=path.name, match=int(match[2]), count=count
            )
        )
    parts = tuple(path.with_name(f"{match[1]}-{index:05d}-of-{match[3]}.gguf") for index in range(1, count + 1))
    missing = [part.name for part in parts if not part.exists()]
    if missing:
        raise BadInput(
            sentence(
                "gguf-file.parts-missing",
                "{count} of {count2} parts are missing: {missing}",
                count=len(missing),
                count2=count,
                missing=listed(missing[:3]),
            ),
            sentence("gguf-file.download-all-parts", "download all parts"),
        )
    return parts


def _check_split(first: GgufHeader, files: int, tensors: int, name: str) -> None:
    count, total = first.metadata.get("split.count"), first.metadata.get("split.tensors.count")
    if isinstance(count, int) and count > 1 and count != files:
        raise BadInput(
            sentence(
                "gguf-file.one-parts-found",
                "{name} is one of {count} parts, {files} found",
                name=name,
                count=count,
                files=files,
            ),
            sentence("gguf-file.keep-parts-names", "keep the parts' names as they were"),
        )
    if isinstance(total, int) and files > 1 and total != tensors:
        raise BadInput(
            sentence(
                "gguf-file.parts-hold-tensors",
                "{name}: the parts hold {tensors} of {total} tensors",
                name=name,
                tensors=tensors,
                total=total,
            ),
            sentence("gguf-file.part-belongs-another", "a part belongs to another file"),
        )


def _weights(model: Model, tensors: tuple[GgufTensor, ...], metadata: Mapping[str, Value]) -> Weights:
    sums = tally(len(model.layers))
    by_type: dict[str, int] = {}
    for tensor in tensors:
        block = _BLOCK.match(tensor.name)
        layer = int(block[1]) if block else None
        part = part_of(block[2] if block else tensor.name, layer, len(model.layers), len(tensor.shape))
        sums.add(part, (layer,), tensor.type.name, tensor.bytes)
        by_type[tensor.type.name] = by_type.get(tensor.type.name, 0) + tensor.bytes
    dominant = max(by_type, key=lambda kind: by_type[kind], default="unknown")
    number = metadata.get("general.file_type")
    stated = _FILE_TYPES.get(number) if isinstance(number, int) else None
    return sums.weights(stated or dominant.lower(), exact=True)


def part_of(role: str, layer: int | None, layers: int, dimensions: int) -> Part:
    """The part a tensor belongs to, by its name within the block."""
    if layer is None:
        outside = {"token_embd.weight": Part.EMBEDDING, "per_layer_token_embd.weight": Part.LOOKUP}
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
