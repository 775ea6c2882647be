"""The part tables: TOML files of families whose members inherit, turned into named rows.

A family gives the values its members share, `columns` (units in the keys) and `parts`: a name and a row of values,
with an optional last table that overrides. A list of sizes in `memory_gib` stands for one part per size; `suffixes`
give further names to every member (13900K, 13900KF); a `rare` part is meant only when its memory size is named.
`single_thread` holds CPU ratings by the date of the chart they are from; members that are on none get the family's
`single_thread_per_ghz` times their boost clock.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from wellfed.catalog.compiled import Files, Folder, compiled, written
from wellfed.frozen import dataclass

DATA = Path(__file__).parent / "data"
_NOT_INHERITED = frozenset({"columns", "parts", "prefix", "same", "suffixes", "single_thread"})


@dataclass(frozen=True, slots=True)
class Row:
    """One part: its name, the family it is from and its values by key (units in the keys)."""

    name: str
    family: str
    values: Mapping[str, Any]


def table(name: str) -> Mapping[str, Any]:
    """One of the small tables beside the parts: hosts.toml, systems.toml, memory.toml ..."""
    rows: Mapping[str, Any] = _small_tables()[name]
    return rows


def write_compiled(into: Path) -> Path:
    """The small tables in one file in `into`, to be shipped in data/; for builders of packages."""
    return written(_SMALL, into)


@cache
def _small_tables() -> Mapping[str, Any]:
    return compiled(_SMALL)


def _by_name(files: Files) -> dict[str, Any]:
    return {path.name: tables for path, tables in files.items()}


_SMALL = Folder(DATA, (Path(__file__),), _by_name)


def family_rows(family: str, table: Mapping[str, Any]) -> Iterator[Row]:
    """All parts of one family, in the order of its lines."""
    shared = {key: value for key, value in table.items() if key not in _NOT_INHERITED}
    shared["words"] = [*table.get("words", ()), *table.get("prefix", "").lower().split()]
    for name, cells in table["parts"].items():
        values = shared | dict(zip(table["columns"], cells, strict=False))
        if isinstance(cells[-1], dict):
            cell = cells[-1]
            values |= cell | {"words": [*shared["words"], *cell.get("words", ())]}
        for chart, ratings in table.get("single_thread", {}).items():
            if name in ratings:
                values |= {"single_thread_rating": ratings[name], "single_thread_chart": chart}
        for target, origin in table.get("same", {}).items():
            values.setdefault(target, values[origin])
        suffixed = [f"{name}{suffix}" for suffix in table.get("suffixes", ())]
        values["aliases"] = [*values.get("aliases", ()), *suffixed]
        full_name = f"{table['prefix']} {name}" if table.get("prefix") else name
        yield from _by_memory(Row(full_name, family, values))


def _by_memory(row: Row) -> Iterator[Row]:
    sizes = row.values.get("memory_gib")
    if not isinstance(sizes, list):
        yield row
        return
    for size in sizes:
        aliases = [f"{alias} {size}GB" for alias in row.values.get("aliases", ())]
        yield Row(f"{row.name} {size}GB", row.family, {**row.values, "memory_gib": size, "aliases": aliases})
