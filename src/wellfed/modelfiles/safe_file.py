"""Opening files that strangers made: regular ones only, of a size that makes sense, JSON without double meanings."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from wellfed.errors import BadInput

_MOST_CONFIG_BYTES = 16 << 20
_BOMS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe\x00\x00", "utf-32"), (b"\x00\x00\xfe\xff", "utf-32"),
         (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))  # fmt: skip


def open_regular(path: Path) -> BinaryIO:
    """The file at `path`, opened for reading. Raises BadInput for pipes, devices, folders and what cannot be read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except OSError as error:
        raise BadInput(
            f"cannot read {path}: {error.strerror or error}", "check the path and its permissions"
        ) from error
    except ValueError as error:
        raise BadInput(f"{str(path)[:80]!r} cannot be a file's name") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise BadInput(f"{path.name} is no regular file", "name the model's own file or folder")
    return os.fdopen(descriptor, "rb")


def read_json(path: Path, most_bytes: int = _MOST_CONFIG_BYTES) -> Mapping[str, object]:
    """A JSON object of sane size, in UTF-8, UTF-16 or UTF-32 by its mark. Raises BadInput."""
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > most_bytes:
            raise BadInput(f"{path.name} has {size} bytes, more than any real one ({most_bytes})")
        content = file.read(most_bytes + 1)
    return parse_json(content, path.name)


def parse_json(content: bytes, name: str) -> Mapping[str, object]:
    """The JSON object in `content`; `name` is what it is called in errors. A key that comes twice is an error."""
    values = parse_json_value(content, name)
    if not isinstance(values, dict):
        raise BadInput(f"{name} holds no JSON object")
    return values


def parse_json_value(content: bytes, name: str) -> object:
    """Any JSON value in `content`, as `parse_json` reads it."""
    encoding = next((encoding for mark, encoding in _BOMS if content.startswith(mark)), "utf-8")
    try:
        value: object = json.loads(content.decode(encoding), object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{name} is not valid JSON: {str(error)[:100]}") from error
    return value


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [key for key, _ in pairs]
        twice = next(name for name in values if names.count(name) > 1)
        raise ValueError(f"the key {twice[:60]!r} occurs twice")
    return values
