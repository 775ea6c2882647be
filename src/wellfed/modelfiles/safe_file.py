"""Opening files that strangers made: regular ones only, of a size that makes sense, JSON without double meanings."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from wellfed.errors import BadInput
from wellfed.message import sentence

_MOST_CONFIG_BYTES = 16 << 20
_BOMS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe\x00\x00", "utf-32"), (b"\x00\x00\xfe\xff", "utf-32"),
         (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))  # fmt: skip


def open_regular(path: Path) -> BinaryIO:
    """The file at `path`, opened for reading. Raises BadInput for pipes, devices, folders and what cannot be read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except OSError as error:
        raise BadInput(
            sentence(
                "safe-file.cannot-read", "cannot read {path}: {strerror}", path=path, strerror=error.strerror or error
            ),
            sentence("safe-file.check-path", "check the path and its permissions"),
        ) from error
    except ValueError as error:
        raise BadInput(
            sentence("safe-file.cannot-file-name", "{path!r} cannot be a file's name", path=str(path)[:80])
        ) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise BadInput(
            sentence("safe-file.regular-file", "{path} is no regular file", path=path.name),
            sentence("safe-file.name-model-own", "name the model's own file or folder"),
        )
    return os.fdopen(descriptor, "rb")


def read_json(path: Path, most_bytes: int = _MOST_CONFIG_BYTES) -> Mapping[str, object]:
    """A JSON object of sane size, in UTF-8, UTF-16 or UTF-32 by its mark. Raises BadInput."""
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > most_bytes:
            raise BadInput(
                sentence(
                    "safe-file.bytes-more-any",
                    "{path} has {size} bytes, more than any real one ({most_bytes})",
                    path=path.name,
                    size=size,
                    most_bytes=most_bytes,
                )
            )
        content = file.read(most_bytes + 1)
    return parse_json(content, path.name)


def parse_json(content: bytes, name: str) -> Mapping[str, object]:
    """The JSON object in `content`; `name` is what it is called in errors. A key that comes twice is an error."""
    values = parse_json_value(content, name)
    if not isinstance(values, dict):
        raise BadInput(sentence("safe-file.holds-json-object", "{name} holds no JSON object", name=name))
    return values


def parse_json_value(content: bytes, name: str) -> object:
    """Any JSON value in `content`, as `parse_json` reads it."""
    encoding = next((encoding for mark, encoding in _BOMS if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        raise BadInput(
            sentence("safe-file.not-text", "{name} is no text", name=name),
            sentence("safe-file.not-text.hint", "models are read from config.json, .gguf and .safetensors files"),
        ) from error
    try:
        value: object = json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise BadInput(
            sentence("safe-file.valid-json", "{name} is not valid JSON: {error}", name=name, error=str(error)[:100]),
            sentence("safe-file.not-text.hint", "models are read from config.json, .gguf and .safetensors files"),
        ) from error
    return value


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [key for key, _ in pairs]
        twice = next(name for name in values if names.count(name) > 1)
        raise ValueError(f"the key {twice[:60]!r} occurs twice")
    return values
