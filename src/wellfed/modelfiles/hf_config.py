"""config.json and safetensors as Hugging Face repositories keep them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path

from wellfed.errors import BadInput, WellfedError
from wellfed.models.config import from_config
from wellfed.models.model import Model
from wellfed.models.quantisation import tally
from wellfed.models.tensor import Part
from wellfed.models.weights import Weights

_MOST_CONFIG_BYTES = 16 << 20
_MOST_HEADER_BYTES = 100_000_000  # what safetensors itself allows
_MOST_FILES = 4096


def read_config(path: str | Path) -> Model:
    """The model that a config.json (or the folder holding one) describes. Raises BadInput or Unsupported."""
    file = Path(path)
    file = file / "config.json" if file.is_dir() else file
    values = read_json(file)
    identity = file.parent.name if file.name == "config.json" and file.parent.name else file.stem
    named = values.get("_name_or_path")
    name = named.rpartition("/")[2] if isinstance(named, str) and named else identity
    try:
        model = from_config(values, identity, name or identity)
    except WellfedError as error:
        raise type(error)(f"{file.name}: {error.message}", error.hint) from error
    return replace(model, native_quantisation=_beside(file, model.native_quantisation))


def read_json(file: Path) -> Mapping[str, object]:
    """A JSON object of sane size. Raises BadInput."""
    try:
        size = file.stat().st_size
        if size > _MOST_CONFIG_BYTES:
            raise BadInput(f"{file.name} has {size} bytes: not a config")
        values = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(
            f"cannot read {file}: {error.strerror or error}", "check the path and its permissions"
        ) from error
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{file.name} is not valid JSON: {str(error)[:100]}") from error
    if not isinstance(values, dict):
        raise BadInput(f"{file.name} holds no JSON object")
    return values


def _beside(config: Path, stated: str) -> str:
    """What hf_quant_config.json (ModelOpt) beside the config says, else `stated`."""
    file = config.with_name("hf_quant_config.json")
    if stated != "bf16" or not file.is_file():
        return stated
    inner = read_json(file).get("quantization")
    algorithm = str(inner.get("quant_algo", "")) if isinstance(inner, Mapping) else ""
    return "nvfp4" if "FP4" in algorithm else "fp8" if "FP8" in algorithm else stated


@dataclass(frozen=True, slots=True)
class SafetensorsIndex:
    """model.safetensors.index.json: the bytes of all tensors together, and the files they are in."""

    total_bytes: int
    files: tuple[str, ...]


def read_safetensors_index(path: str | Path) -> SafetensorsIndex:
    """The index at `path`, or in the folder `path`. Raises BadInput."""
    file = Path(path)
    file = file / "model.safetensors.index.json" if file.is_dir() else file
    values = read_json(file)
    metadata, placed = values.get("metadata"), values.get("weight_map")
    total = metadata.get("total_size") if isinstance(metadata, Mapping) else None
    if isinstance(total, bool) or not isinstance(total, int | float) or not 0 < total < 1 << 50:
        raise BadInput(f"{file.name} has no sane total_size: {str(total)[:40]}")
    if not isinstance(placed, Mapping) or not all(isinstance(name, str) for name in placed.values()):
        raise BadInput(f"{file.name} has no weight_map")
    return SafetensorsIndex(int(total), tuple(sorted({str(name) for name in placed.values()})))


@dataclass(frozen=True, slots=True)
class SafetensorsTensor:
    """One entry of a safetensors header."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    bytes: int


def read_safetensors_header(path: Path) -> tuple[SafetensorsTensor, ...]:
    """The tensor table of one .safetensors file: 8 bytes of length, then JSON. Raises BadInput."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if length > min(_MOST_HEADER_BYTES, size - 8):
                raise BadInput(f"{path.name}: a header of {length} bytes in a file of {size}", "download it again")
            entries = json.loads(file.read(length))
    except OSError as error:
        raise BadInput(
            f"cannot read {path}: {error.strerror or error}", "check the path and its permissions"
        ) from error
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{path.name} has no valid safetensors header: {str(error)[:100]}") from error
    if not isinstance(entries, dict):
        raise BadInput(f"{path.name} has no valid safetensors header")
    return tuple(_entry(path, name, entry, size) for name, entry in entries.items() if name != "__metadata__")


def _entry(path: Path, name: str, entry: object, size: int) -> SafetensorsTensor:
    fields = entry if isinstance(entry, dict) else {}
    shape, span = fields.get("shape"), fields.get("data_offsets")
    if not isinstance(shape, list) or not all(isinstance(n, int) and 0 <= n < 1 << 40 for n in shape):
        raise BadInput(f"{path.name}: tensor {name[:60]!r} has no valid shape")
    if not isinstance(span, list) or len(span) != 2 or not all(isinstance(n, int) for n in span):
        raise BadInput(f"{path.name}: tensor {name[:60]!r} has no valid offsets")
    if not 0 <= span[0] <= span[1] <= size:
        raise BadInput(f"{path.name}: tensor {name[:60]!r} lies outside the file", "download it again")
    return SafetensorsTensor(name, str(fields.get("dtype")), tuple(shape), span[1] - span[0])


_LAYER = re.compile(r"(?:^|\.)layers\.(\d+)\.(.+)$")


def read_safetensors(folder: str | Path, model: Model) -> Weights:
    """The exact bytes of `model`'s checkpoint in `folder`, by part. Raises BadInput where there are no files."""
    files = sorted(Path(folder).glob("*.safetensors"))
    if not files:
        raise BadInput(f"no .safetensors files in {folder}")
    if len(files) > _MOST_FILES:
        raise BadInput(f"{len(files)} .safetensors files in {folder}")
    sums = tally(len(model.layers))
    for file in files:
        for tensor in read_safetensors_header(file):
            part, layer = _place(tensor, len(model.layers))
            sums.add(part, layer, _weight_type(tensor.dtype, model.native_quantisation), tensor.bytes)
    return sums.weights(model.native_quantisation, exact=True)


_TYPE_OF_DTYPE = {"F8_E4M3": "FP8", "F8_E5M2": "FP8", "I8": "INT8", "U8": "MXFP4", "I32": "INT4-G128"}


def _weight_type(dtype: str, native: str) -> str:
    """The weight type a dtype stands for; packed 4-bit values are stored as bytes or words."""
    packed = "NVFP4-16" if dtype == "U8" and native.startswith("nvfp4") else None
    return packed or _TYPE_OF_DTYPE.get(dtype, dtype)


def _place(tensor: SafetensorsTensor, layers: int) -> tuple[Part, int | None]:
    """Part and layer by the tensor's name in transformers."""
    match = _LAYER.search(tensor.name)
    if "visual" in tensor.name or "vision" in tensor.name or "mm_projector" in tensor.name:
        return Part.VISION, None
    if match is None:
        ends = {"embed_tokens.weight": Part.EMBEDDING, "lm_head.weight": Part.OUTPUT}
        return next((part for end, part in ends.items() if tensor.name.endswith(end)), Part.NORM), None
    layer, role = int(match[1]), match[2]
    if layer >= layers:
        return Part.MTP, None
    return _role_part(role, prod(tensor.shape), tensor.shape), layer


def _role_part(role: str, elements: int, shape: tuple[int, ...]) -> Part:
    if "norm" in role or (len(shape) < 2 and "scale" not in role) or elements <= 1:
        return Part.NORM
    if "indexer" in role:
        return Part.INDEXER
    if "attn" in role or "mixer" in role:
        return Part.ATTENTION
    if "shared_expert" in role:
        return Part.SHARED_EXPERTS
    if ".experts" in role or "block_sparse_moe.experts" in role:
        return Part.ROUTED_EXPERTS
    return Part.ROUTER if role.endswith(("gate.weight", "router.weight")) else Part.DENSE_FFN
