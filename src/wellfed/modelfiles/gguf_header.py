"""A GGUF file's header: metadata and tensor table, read without trusting any size in it.

Layout (ggml/docs/gguf.md): magic, version, tensor count, pair count; pairs of key, type, value; per tensor name,
dimensions, type, offset; then the data. Strings and arrays carry 64-bit lengths, any of which may lie: nothing is
allocated by them, every read is checked against the file's end.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Mapping
from math import prod
from pathlib import Path

from wellfed.errors import BadInput, Unsupported
from wellfed.frozen import dataclass
from wellfed.message import sentence
from wellfed.modelfiles.safe_file import open_regular
from wellfed.models.gguf_types import BY_NUMBER, WeightType

Value = int | float | bool | str | tuple[int | float | bool | str, ...]

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_SCALARS = {
    0: struct.Struct("<B"), 1: struct.Struct("<b"), 2: struct.Struct("<H"), 3: struct.Struct("<h"),
    4: struct.Struct("<I"), 5: struct.Struct("<i"), 6: struct.Struct("<f"), 7: struct.Struct("<?"),
    10: struct.Struct("<Q"), 11: struct.Struct("<q"), 12: struct.Struct("<d"),
}  # fmt: skip
_STRING, _ARRAY = 8, 9
_ENTRIES = {count: struct.Struct(f"<{count}QIQ") for count in range(1, 5)}  # extents, type, offset
_U32, _U64 = struct.Struct("<I"), struct.Struct("<Q")
_LONGEST_KEPT = 4096  # longer strings (chat templates) and arrays (vocabularies) are skipped
_LONGEST_NAME = 200  # real keys and tensor names stay below 80
_MOST_TENSORS = 100_000  # the largest real files have a few thousand
_MOST_PAIRS = 100_000
_MOST_STRINGS = 2_000_000  # in one list; the largest real vocabularies and merges have under a million
_DEEPEST = 4
_LEAST_PAIR, _LEAST_TENSOR = 13, 32  # bytes that the shortest of each takes
_MOST_ELEMENTS = 1 << 48


@dataclass(frozen=True, slots=True)
class GgufTensor:
    """One entry of the tensor table; `shape` is rows first, as in PyTorch."""

    name: str
    shape: tuple[int, ...]
    type: WeightType
    offset: int  # into the data section

    @property
    def bytes(self) -> int:
        """What it takes in the file."""
        rows = 1
        for extent in self.shape[:-1]:
            rows *= extent
        return round(self.type.size(rows, self.shape[-1]))


@dataclass(frozen=True, slots=True)
class GgufHeader:
    """What one file says before its data. `lengths` has the sizes of arrays, kept or not."""

    metadata: Mapping[str, Value]
    lengths: Mapping[str, int]
    tensors: tuple[GgufTensor, ...]


def read_header(path: Path) -> GgufHeader:
    """The header of the file at `path`.

    Raises BadInput for anything that is not a whole GGUF file, Unsupported for versions and types unknown here.
    """
    try:
        with open_regular(path) as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _Reader(data, str(path.name)).header()
    except ValueError as error:  # an empty file cannot be mapped
        raise BadInput(
            sentence("gguf-header.gguf-file", "{path} is not a GGUF file: {error}", path=path.name, error=error)
        ) from error
    except OSError as error:
        raise BadInput(
            sentence(
                "gguf-header.cannot-read", "cannot read {path}: {strerror}", path=path, strerror=error.strerror or error
            ),
            sentence("gguf-header.check-path", "check the path and its permissions"),
        ) from error


def header_bytes(path: Path, present: int) -> int | None:
    """How long the header of the file at `path` is, where its first `present` bytes hold all of it; else None.

    What lies behind `present` is not looked at. Raises Unsupported for versions unknown here.
    """
    with open_regular(path) as file, mmap.mmap(file.fileno(), present, access=mmap.ACCESS_READ) as data:
        reader = _Reader(data, path.name)
        try:
            return reader.walked()
        except Unsupported:
            raise
        except BadInput:
            return None


class _Reader:
    """A cursor over the mapped file; every step is checked against its end."""

    def __init__(self, data: mmap.mmap, name: str) -> None:
        self.data, self.name, self.at, self.end = data, name, 0, len(data)

    def header(self) -> GgufHeader:
        """The whole header, and whether the data it promises is there."""
        metadata, lengths, table = self.tables()
        self.check_data(table, metadata.get("general.alignment", 32))
        return GgufHeader(metadata, lengths, table)

    def walked(self) -> int:
        """Read all tables; the offset at which the header ends."""
        self.tables()
        return self.at

    def tables(self) -> tuple[dict[str, Value], dict[str, int], tuple[GgufTensor, ...]]:
        """Metadata, lengths of arrays, tensor table."""
        tensors, pairs = self.counts()
        metadata: dict[str, Value] = {}
        lengths: dict[str, int] = {}
        for _ in range(pairs):
            key = self.string(_LONGEST_NAME)
            if key in metadata:
                raise self.broken(sentence("gguf-header.occurs-twice", "{key!r} occurs twice", key=key[:60]))
            value, length = self.value(self.number(_U32), 0)
            metadata[key] = value
            if length is not None:
                lengths[key] = length
        return metadata, lengths, tuple(self.tensor() for _ in range(tensors))

    def counts(self) -> tuple[int, int]:
        """How many tensors and pairs there are, if the file can hold so many."""
        self._ensure_known()
        tensors, pairs = self.number(_U64), self.number(_U64)
        if tensors > _MOST_TENSORS or pairs > _MOST_PAIRS:
            raise self.broken(
                sentence(
                    "gguf-header.tensors-values-more",
                    "{tensors} tensors and {pairs} values, more than any real file has",
                    tensors=tensors,
                    pairs=pairs,
                )
            )
        if tensors * _LEAST_TENSOR + pairs * _LEAST_PAIR > self.end - self.at:
            raise self.broken(
                sentence(
                    "gguf-header.tensors-values-do",
                    "{tensors} tensors and {pairs} values do not fit in {end} bytes",
                    tensors=tensors,
                    pairs=pairs,
                    end=self.end,
                )
            )
        return tensors, pairs

    def _ensure_known(self) -> None:
        """Read magic and version. Raises BadInput for another file, Unsupported for another version."""
        if self.take(4) != _MAGIC:
            raise BadInput(
                sentence(
                    "gguf-header.gguf-file-starts",
                    "{value} is not a GGUF file: it starts with {data!r}",
                    value=self.name,
                    data=bytes(self.data[:4]).decode("latin-1"),
                ),
                sentence("gguf-header.another-file", "another file under that name, or a broken one: fetch it again"),
            )
        version = self.number(_U32)
        if version not in _VERSIONS:
            hint = (
                sentence("gguf-header.big-endian-file", "a big-endian file?")
                if version & 0xFFFF == 0
                else sentence("gguf-header.convert-again", "convert it again with a current llama.cpp")
            )
            raise Unsupported(
                sentence(
                    "gguf-header.gguf-version-2",
                    "{value}: GGUF version {version} (2 and 3 are known)",
                    value=self.name,
                    version=version,
                ),
                hint,
            )

    def broken(self, problem: str) -> BadInput:
        return BadInput(
            f"{self.name}: {problem}",
            sentence("gguf-header.file-damaged", "the file is damaged or incomplete: download it again"),
        )

    def take(self, count: int) -> bytes:
        if count > self.end - self.at:
            raise self.broken(
                sentence(
                    "gguf-header.header-ends-byte",
                    "the header ends at byte {end}, {count} more wanted at {at}",
                    end=self.end,
                    count=count,
                    at=self.at,
                )
            )
        self.at += count
        return self.data[self.at - count : self.at]

    def number(self, kind: struct.Struct) -> int:
        return int(kind.unpack(self.take(kind.size))[0])

    def string(self, longest: int) -> str:
        length = self.number(_U64)
        if length > longest:
            raise self.broken(sentence("gguf-header.name-bytes", "a name of {length} bytes", length=length))
        return self.take(length).decode("utf-8", "replace")

    def skip(self, count: int) -> None:
        if count > self.end - self.at:
            raise self.broken(
                sentence(
                    "gguf-header.value-bytes-reaches",
                    "a value of {count} bytes at {at} reaches beyond the file's end",
                    count=count,
                    at=self.at,
                )
            )
        self.at += count

    def value(self, kind: int, depth: int) -> tuple[Value, int | None]:
        """A value and, for an array, its length. What is too long to be of use is skipped and comes back empty."""
        if kind in _SCALARS:
            scalar = _SCALARS[kind]
            value: Value = scalar.unpack(self.take(scalar.size))[0]
            return value, None
        if kind == _STRING:
            length = self.number(_U64)
            if length <= _LONGEST_KEPT:
                return self.take(length).decode("utf-8", "replace"), None
            self.skip(length)
            return "", None
        if kind == _ARRAY:
            return self.array(depth)
        raise self.broken(sentence("gguf-header.value-unknown-type", "a value of unknown type {kind}", kind=kind))

    def array(self, depth: int) -> tuple[Value, int]:
        if depth >= _DEEPEST:
            raise self.broken(sentence("gguf-header.arrays-within-arrays", "arrays within arrays within arrays"))
        kind, count = self.number(_U32), self.number(_U64)
        least = _SCALARS[kind].size if kind in _SCALARS else 8
        if count * least > self.end - self.at:
            raise self.broken(
                sentence(
                    "gguf-header.array-values-does", "an array of {count} values does not fit in the file", count=count
                )
            )
        if kind in _SCALARS and count > _LONGEST_KEPT:
            self.skip(count * least)
            return (), count
        if kind == _STRING:
            if count > _MOST_STRINGS:
                raise self.broken(
                    sentence(
                        "gguf-header.list-texts-more", "a list of {count} texts, more than any real one", count=count
                    )
                )
            self.skip_strings(count)
            return (), count
        values = [self.value(kind, depth + 1)[0] for _ in range(count)]
        return tuple(item for item in values if not isinstance(item, tuple)), count

    def skip_strings(self, count: int) -> None:
        """Past `count` strings: vocabularies have hundreds of thousands, so this loop is kept tight."""
        at, end, data, unpack = self.at, self.end, self.data, _U64.unpack_from
        for _ in range(count):
            if at + 8 > end:
                raise self.broken(
                    sentence("gguf-header.list-strings-reaches", "a list of strings reaches beyond the file's end")
                )
            at += 8 + unpack(data, at)[0]
        if at > end:
            raise self.broken(
                sentence("gguf-header.list-strings-reaches", "a list of strings reaches beyond the file's end")
            )
        self.at = at

    def tensor(self) -> GgufTensor:
        name = self.string(_LONGEST_NAME)
        dimensions = self.number(_U32)
        if not 1 <= dimensions <= 4:
            raise self.broken(
                sentence(
                    "gguf-header.tensor-dimensions",
                    "tensor {name!r} has {dimensions} dimensions",
                    name=name[:60],
                    dimensions=dimensions,
                )
            )
        layout = _ENTRIES[dimensions]
        *extents, number, offset = layout.unpack(self.take(layout.size))
        elements = prod(extents)
        if elements < 1 or elements > _MOST_ELEMENTS or max(extents) > _MOST_ELEMENTS:
            raise self.broken(
                sentence(
                    "gguf-header.tensor",
                    "tensor {name!r} of {extents}",
                    name=name[:60],
                    extents=" x ".join(map(str, extents)),
                )
            )
        kind = BY_NUMBER.get(number)
        if kind is None:
            raise Unsupported(
                sentence(
                    "gguf-header.tensor-weight-type",
                    "{value}: tensor {name!r} has weight type {number}, which is not known here",
                    value=self.name,
                    name=name[:60],
                    number=number,
                )
            )
        if not kind.fits(extents[0]):
            raise self.broken(
                sentence(
                    "gguf-header.tensor-columns",
                    "tensor {name!r}: {extents} columns are no multiple of {block}",
                    name=name[:60],
                    extents=extents[0],
                    block=kind.block,
                )
            )
        return GgufTensor(name, tuple(reversed(extents)), kind, offset)

    def check_data(self, table: tuple[GgufTensor, ...], alignment: Value) -> None:
        """Whether every tensor's bytes lie inside the file."""
        if not isinstance(alignment, int) or not 1 <= alignment <= 1 << 20:
            raise self.broken(sentence("gguf-header.alignment", "an alignment of {alignment}", alignment=alignment))
        start = -(-self.at // alignment) * alignment
        ends = max((tensor.offset + tensor.bytes for tensor in table), default=0)
        need = start + max(ends, sum(tensor.bytes for tensor in table))  # no two share their bytes
        if table and need > self.end:
            raise self.broken(
                sentence("gguf-header.least-bytes", "has {end} of at least {need} bytes", end=self.end, need=need)
            )
