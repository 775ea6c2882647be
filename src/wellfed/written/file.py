"""A machine in a TOML file: its keys become parts as they stand; only the parts' names are read as in a line."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from wellfed.errors import BadInput
from wellfed.message import listed, sentence
from wellfed.plain_file import read_text
from wellfed.written.line import complete, read_piece
from wellfed.written.parts_list import PartsList
from wellfed.written.settings import network_bytes_per_s, with_nodes, with_nodes_per_socket

_KINDS: Mapping[str, tuple[type, ...]] = {
    "name": (str,),
    "machine": (str,),
    "gpus": (str, list),
    "cpu": (str,),
    "memory": (str,),
    "nvlink": (bool,),
    "p2p": (bool,),
    "nodes": (int,),
    "network": (str,),
    "nps": (int,),
    "power_supply_w": (int, float),
    "price": (int, float),
}
_SETTERS: Mapping[str, Callable[[PartsList, Any], PartsList]] = {
    "nvlink": lambda parts, value: replace(parts, nvlink=value),
    "p2p": lambda parts, value: replace(parts, peers=value),
    "nodes": lambda parts, value: with_nodes(parts, value),
    "network": lambda parts, value: replace(parts, network_bytes_per_s=network_bytes_per_s(value)),
    "nps": lambda parts, value: with_nodes_per_socket(parts, value, f"nps{value}"),
    "power_supply_w": lambda parts, value: replace(parts, power_supply_w=_positive("power_supply_w", value)),
    "price": lambda parts, value: replace(parts, price=_positive("price", value)),
}


def read_table(path: Path) -> Mapping[str, Any]:
    """The file's keys, each known and of its kind. Raises BadInput for a file that cannot be read or other keys."""
    try:
        table = tomllib.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise BadInput(
            sentence("written.file.toml", "{path} is not TOML: {error}", path=path, error=error),
            sentence("written.file.keys", "keys: {kinds}", kinds=listed(_KINDS)),
        ) from error
    for key, value in table.items():
        if key not in _KINDS:
            raise BadInput(
                sentence("written.file.unknown-key", "{path}: unknown key {key!r}", path=path, key=key),
                sentence("written.file.keys", "keys: {kinds}", kinds=listed(_KINDS)),
            )
        if not isinstance(value, _KINDS[key]) or (isinstance(value, bool) and bool not in _KINDS[key]):
            raise BadInput(
                sentence(
                    "written.file.wrong-kind",
                    "{path}: {key} = {value!r} is of the wrong kind",
                    path=path,
                    key=key,
                    value=value,
                ),
                None,
            )
    return table


def parts_of_table(table: Mapping[str, Any], start: PartsList) -> PartsList:
    """The parts of a file's keys, added to those that its `machine` line gave. Raises BadInput or UnknownName."""
    parts = start
    gpus = table.get("gpus", [])
    for text in (*([gpus] if isinstance(gpus, str) else gpus), table.get("cpu", ""), table.get("memory", "")):
        if not isinstance(text, str):
            raise BadInput(
                sentence("written.file.name-gpu", "{text!r} is not the name of a GPU", text=text),
                sentence("written.file.gpus-2x-rtx", 'gpus = ["2x rtx 4090"]'),
            )
        if text.strip():
            parts = read_piece(parts, text.strip())
    for key, setter in _SETTERS.items():
        if key in table:
            parts = setter(parts, table[key])
    return complete(parts, str(table.get("name", sentence("written.file.file", "the file"))))


def _positive(key: str, value: float) -> float:
    if not 0 <= value < 1e9:
        raise BadInput(
            sentence("written.file.possible", "{key} = {value:g} is not possible", key=key, value=value), None
        )
    return float(value)
