"""Safetensors: the headers of a checkpoint's files, and its index. Only headers are read."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from wellfed.errors import BadInput
from wellfed.modelfiles.safe_file import open_regular, parse_json, read_json

MOST_HEADER_BYTES = 25_000_000  # 100,000 tensors of 250 bytes each; real headers have a few hundred kilobytes
_MOST_INDEX_BYTES = 64 << 20
_MOST_FILES = 4096
_MOST_TENSORS = 100_000  # in one file
_LONGEST_NAME = 200
_MOST_DIMENSIONS = 8


@dataclass(frozen=True, slots=True)
class SafetensorsIndex:
    """model.safetensors.index.json: the bytes of all tensors together, and the files they are in."""

    total_bytes: int
    files: tuple[str, ...]
    names: tuple[str, ...]  # of the tensors


@dataclass(frozen=True, slots=True)
class SafetensorsTensor:
    """One entry of a safetensors header."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    bytes: int

    @property
    def elements(self) -> int:
        """Numbers in it, as stored."""
        count = 1
        for extent in self.shape:
            count *= extent
        return count


def read_safetensors_index(path: str | Path) -> SafetensorsIndex:
    """The index at `path`, or in the folder `path`. Raises BadInput."""
    file = Path(path)
    file = file / "model.safetensors.index.json" if file.is_dir() else file
    return parse_index(read_json(file, _MOST_INDEX_BYTES), file.name)


def parse_index(values: Mapping[str, object], name: str) -> SafetensorsIndex:
    """The index that `values` are. Raises BadInput."""
    metadata, placed = values.get("metadata"), values.get("weight_map")
    total = metadata.get("total_size") if isinstance(metadata, Mapping) else None
    if isinstance(total, bool) or not isinstance(total, int | float) or not 0 < total < 1 << 50:
        raise BadInput(f"{name} has no sane total_size: {str(total)[:40]}")
    if not isinstance(placed, Mapping) or not all(isinstance(file, str) for file in placed.values()):
        raise BadInput(f"{name} has no weight_map")
    files = tuple(sorted({str(file) for file in placed.values()}))
    if len(files) > _MOST_FILES:
        raise BadInput(f"{name} names {len(files)} files, more than any real one")
    return SafetensorsIndex(int(total), files, tuple(placed))


def checkpoint_files(folder: Path) -> tuple[Path, ...]:
    """The .safetensors files of the checkpoint in `folder`: those of its index, else all. Raises BadInput.

    A folder may hold the same weights twice (Mistral's consolidated.safetensors beside model-0000N-of-...).
    """
    files = sorted(folder.glob("*.safetensors"))
    if (folder / "model.safetensors.index.json").is_file():
        listed = [folder / name for name in read_safetensors_index(folder).files]
        missing = [file.name for file in listed if not file.is_file()]
        if missing and len(missing) < len(listed):
            raise BadInput(
                f"{len(missing)} of {len(listed)} files of the checkpoint are missing: {', '.join(missing[:3])}",
                "download all of them",
            )
        files = listed if not missing else files
    elif (folder / "model.safetensors").is_file():
        files = [folder / "model.safetensors"]
    if len(files) > _MOST_FILES:
        raise BadInput(f"{len(files)} .safetensors files in {folder}")
    return tuple(files)


def read_safetensors_header(path: Path) -> tuple[SafetensorsTensor, ...]:
    """The tensor table of one .safetensors file: 8 bytes of length, then JSON. Raises BadInput."""
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        length = int.from_bytes(file.read(8), "little")
        if length > min(MOST_HEADER_BYTES, size - 8):
            raise BadInput(f"{path.name}: a header of {length} bytes in a file of {size}", "download it again")
        content = file.read(length)
    return parse_header(content, path.name, size - 8 - length)


def parse_header(content: bytes, name: str, data_bytes: int | None) -> tuple[SafetensorsTensor, ...]:
    """The tensor table in `content`; `data_bytes` follow it, None where that is not known. Raises BadInput."""
    try:
        entries = parse_json(content, name)
    except BadInput as error:
        raise BadInput(f"{name} has no valid safetensors header: {error.message}", "download it again") from error
    if len(entries) > _MOST_TENSORS:
        raise BadInput(f"{name}: {len(entries)} tensors in one file, more than any real one")
    most = data_bytes if data_bytes is not None else 1 << 50
    return tuple(_entry(name, key, entry, most) for key, entry in entries.items() if key != "__metadata__")


def _entry(file: str, name: str, entry: object, most: int) -> SafetensorsTensor:
    if len(name) > _LONGEST_NAME:
        raise BadInput(f"{file}: a tensor's name has {len(name)} characters")
    fields = entry if isinstance(entry, dict) else {}
    shape, span = fields.get("shape"), fields.get("data_offsets")
    if not isinstance(shape, list) or len(shape) > _MOST_DIMENSIONS or not _are_extents(shape):
        raise BadInput(f"{file}: tensor {name[:60]!r} has no valid shape")
    if not isinstance(span, list) or len(span) != 2 or not type(span[0]) is type(span[1]) is int:
        raise BadInput(f"{file}: tensor {name[:60]!r} has no valid offsets")
    if not 0 <= span[0] <= span[1] <= most:
        raise BadInput(f"{file}: tensor {name[:60]!r} lies outside the file", "download it again")
    return SafetensorsTensor(name, str(fields.get("dtype"))[:20], tuple(shape), span[1] - span[0])


def _are_extents(shape: list[object]) -> bool:
    return all(type(value) is int and 0 <= value < 1 << 40 for value in shape)
