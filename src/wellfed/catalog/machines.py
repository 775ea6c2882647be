"""Machines that nobody needs to own: from a line, a TOML file or a named build.

`machine("2x rtx 4090, ryzen 9 7950x, 2x32GB ddr5-5600")`, `machine("box.toml")`, `machine("build:entry-7b")`,
`machine("dgx h100")`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from wellfed.catalog import names
from wellfed.catalog.machine_build import build
from wellfed.catalog.machine_line import network_bytes_per_s, read_line
from wellfed.catalog.tables import DATA
from wellfed.errors import BadInput, UnknownName, nearest
from wellfed.hardware.machine import Machine

__all__ = ["Build", "builds", "load_machine", "machine", "network_bytes_per_s", "parse_machine"]

LINE_MAX = 2000  # characters; what is longer is no machine
_KEYS: Mapping[str, tuple[type, ...]] = {
    "name": (str,),
    "machine": (str,),
    "gpus": (str, list),
    "cpu": (str,),
    "memory": (str,),
    "nvlink": (bool,),
    "nodes": (int,),
    "network": (str,),
    "nps": (int,),
    "power_supply_w": (int, float),
    "price": (int, float),
}


@dataclass(frozen=True, slots=True)
class Build:
    """A named machine: its line, what it is for, and where the advice comes from."""

    id: str
    title: str
    machine: str
    tier: str
    source: str
    date: str


def machine(text: str) -> Machine:
    """The machine of a line, of a TOML file's path, or of `build:NAME`. Raises BadInput, UnknownName."""
    stated = text.strip()
    if stated.startswith("build:"):
        return _build_machine(stated.removeprefix("build:").strip())
    if stated.endswith(".toml"):
        return load_machine(Path(stated))
    return parse_machine(stated)


def parse_machine(text: str) -> Machine:
    """The machine a line describes; what it leaves out is assumed and said so in `Machine.assumptions`.

    Raises BadInput for machines that cannot be, UnknownName for parts that are in no catalogue.
    """
    if not text.strip() or len(text) > LINE_MAX:
        raise BadInput("not a machine", 'for example: "2x rtx 4090, ryzen 9 7950x, 2x32GB ddr5-5600"')
    return build(read_line(_expanded(text)))


def load_machine(path: Path) -> Machine:
    """The machine a TOML file describes: `machine` (a line), or `gpus`, `cpu`, `memory` and settings.

    Raises BadInput for a file that cannot be read, and whatever its parts raise.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror or error}", "give the path of a TOML file") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadInput(f"{path} is not TOML: {error}", f"keys: {', '.join(_KEYS)}") from error
    made = parse_machine(_line(path, table))
    return replace(made, name=str(table["name"])) if "name" in table else made


def _line(path: Path, table: Mapping[str, Any]) -> str:
    """The file's keys as a line."""
    for key, value in table.items():
        if key not in _KEYS:
            raise BadInput(f"{path}: unknown key {key!r}", f"keys: {', '.join(_KEYS)}")
        if not isinstance(value, _KEYS[key]) or (isinstance(value, bool) and bool not in _KEYS[key]):
            raise BadInput(f"{path}: {key} = {value!r} is of the wrong kind", None)
    gpus = table.get("gpus", [])
    words = [table.get("machine", ""), *([gpus] if isinstance(gpus, str) else map(str, gpus))]
    words += [table.get("cpu", ""), table.get("memory", "")]
    written = {
        "nvlink": "nvlink" if table.get("nvlink") else "no nvlink",
        "nodes": f"nodes={table.get('nodes')}",
        "network": f"network={table.get('network')}",
        "nps": f"nps{table.get('nps')}",
        "power_supply_w": f"psu {table.get('power_supply_w'):g}w" if "power_supply_w" in table else "",
        "price": f"price={table.get('price'):g}" if "price" in table else "",
    }
    return ", ".join(word for word in (*words, *(text for key, text in written.items() if key in table)) if word)


@lru_cache(maxsize=2)
def _table(name: str) -> Mapping[str, Any]:
    return tomllib.loads((DATA / name).read_text(encoding="utf-8"))


def builds() -> tuple[Build, ...]:
    """The named builds."""
    return tuple(Build(id=key, **values) for key, values in _table("builds.toml").items())


def _build_machine(name: str) -> Machine:
    known = {each.id: each for each in builds()}
    if name not in known:
        raise UnknownName("build", name, nearest(name, known) or tuple(known)[:3])
    return replace(parse_machine(known[name].machine), name=known[name].title)


def _expanded(text: str) -> str:
    """The line with names of whole systems ("dgx h100") replaced by their parts."""
    plain = names.normalise(text).replace("-", " ")
    if not re.search("[dh]gx|nvl", plain):
        return text
    systems: Mapping[str, str] = _table("systems.toml")
    for name in sorted(systems, key=len, reverse=True):
        pattern = rf"(?:(?P<count>\d{{1,3}})\s*x\s*)?(?:nvidia\s+)?\b{re.escape(name)}\b"
        found = re.search(pattern, plain)
        if found is None:
            continue
        count = f", nodes={found['count']}" if found["count"] else ""
        rest = f"{plain[: found.start()]} {plain[found.end() :]}".strip(" ,;")
        return f"{systems[name]}{count}{', ' + rest if rest else ''}"
    return text
