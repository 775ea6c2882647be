"""Safetensors: the headers of a checkpoint's files, and its index. Only headers are read."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from wellfed.errors import BadInput
from wellfed.frozen import dataclass
from wellfed.message import listed, sentence
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
        raise BadInput(
            sentence(
                "safetensors-file.sane-total-size",
                "{name} has no sane total_size: {total}",
                name=name,
                total=str(total)[:40],
            )
        )
    if not isinstance(placed, Mapping) or not all(isinstance(file, str) for file in placed.values()):
        raise BadInput(sentence("safetensors-file.weight-map", "{name} has no weight_map", name=name))
    files = tuple(sorted({str(file) for file in placed.values()}))
    if len(files) > _MOST_FILES:
        raise BadInput(
            sentence(
                "safetensors-file.names-files-more",
                "{name} names {count} files, more than any real one",
                name=name,
                count=len(files),
            )
        )
    return SafetensorsIndex(int(total), files, tuple(placed))


def checkpoint_files(folder: Path) -> tuple[Path, ...]:
    """The .safetensors files of the checkpoint in `folder`: those of its index, else all. Raises BadInput.

    A folder may hold the same weights twice (Mistral's consolidated.safetensors beside model-0000N-of-...).
    """
    files = sorted(folder.glob("*.safetensors"))
    if (folder / "model.safetensors.index.json").is_file():
        index_files = [folder / name for name in read_safetensors_index(folder).files]
        missing = [file.name for file in index_files if not file.is_file()]
        if missing and len(missing) < len(index_files):
            raise BadInput(
                sentence(
                    "safetensors-file.files-checkpoint",
                    "{count} of {count2} files of the checkpoint are missing: {missing}",
                    count=len(missing),
                    count2=len(index_files),
                    missing=listed(missing[:3]),
                ),
                sentence("safetensors-file.download-all-them", "download all of them"),
            )
        files = index_files if not missing else files
    elif (folder / "model.safetensors").is_file():
        files = [folder / "model.safetensors"]
    if len(files) > _MOST_FILES:
        raise BadInput(
            sentence(
                "safetensors-file.safetensors-files",
                "{count} .safetensors files in {folder}",
                count=len(files),
                folder=folder,
            )
        )
    return tuple(files)


def read_safetensors_header(path: Path) -> tuple[SafetensorsTensor, ...]:
    """The tensor table of one .safetensors file: 8 bytes of length, then JSON. Raises BadInput."""
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        length = int.from_bytes(file.read(8), "little")
        if length > min(MOST_HEADER_BYTES, size - 8):
            raise BadInput(
                sentence(
                    "safetensors-file.header-bytes-file",
                    "{path}: a header of {length} bytes in a file of {size}",
                    path=path.name,
                    length=length,
                    size=size,
                ),
                sentence("safetensors-file.download-again", "download it again"),
            )
        content = file.read(length)
    return parse_header(content, path.name, size - 8 - length)


def parse_header(content: bytes, name: str, data_bytes: int | None) -> tuple[SafetensorsTensor, ...]:
    """The tensor table in `content`; `data_bytes` follow it, None where that is not known. Raises BadInput."""
    try:
        entries = parse_json(content, name)
    except BadInput as error:
        raise BadInput(
            sentence(
                "safetensors-file.valid-safetensors",
                "{name} has no valid safetensors header: {message}",
                name=name,
                message=error.message,
            ),
            sentence("safetensors-file.download-again", "download it again"),
        ) from error
    if len(entries) > _MOST_TENSORS:
        raise BadInput(
            sentence(
                "safetensors-file.tensors-one-file",
                "{name}: {count} tensors in one file, more than any real one",
                name=name,
                count=len(entries),
            )
        )
    most = data_bytes if data_bytes is not None else 1 << 50
    return tuple(_entry(name, key, entry, most) for key, entry in entries.items() if key != "__metadata__")


def _entry(file: str, name: str, entry: object, most: int) -> SafetensorsTensor:
    if len(name) > _LONGEST_NAME:
        raise BadInput(
            sentence(
                "safetensors-file.tensor-name",
                "{file}: a tensor's name has {count} characters",
                file=file,
                count=len(name),
            )
        )
    fields = entry if isinstance(entry, dict) else {}
    shape, span = fields.get("shape"), fields.get("data_offsets")
    if not isinstance(shape, list) or len(shape) > _MOST_DIMENSIONS or not _are_extents(shape):
        raise BadInput(
            sentence(
                "safetensors-file.tensor-valid-shape",
                "{file}: tensor {name!r} has no valid shape",
                file=file,
                name=name[:60],
            )
        )
    if not isinstance(span, list) or len(span) != 2 or not type(span[0]) is type(span[1]) is int:
        raise BadInput(
            sentence(
                "safetensors-file.tensor-valid-offsets",
                "{file}: tensor {name!r} has no valid offsets",
                file=file,
                name=name[:60],
            )
        )
    if not 0 <= span[0] <= span[1] <= most:
        raise BadInput(
            sentence(
                "safetensors-file.tensor-lies-outside",
                "{file}: tensor {name!r} lies outside the file",
                file=file,
                name=name[:60],
            ),
            sentence("safetensors-file.download-again", "download it again"),
        )
    return SafetensorsTensor(name, str(fields.get("dtype"))[:20], tuple(shape), span[1] - span[0])


def _are_extents(shape: list[object]) -> bool:
    return all(type(value) is int and 0 <= value < 1 << 40 for value in shape)
