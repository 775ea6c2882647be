"""The part tables compiled: every part prepared for look-up, a family at a time, and the hosts that none beats.

A family's parts are kept as one JSON text, read when a name may mean one of them: a start of wellfed needs a handful
of the 2,000 parts.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from wellfed.catalog import match, names, specs, tables
from wellfed.catalog.compiled import Files, Folder, Lines, compiled, written
from wellfed.catalog.match import Form, Part
from wellfed.catalog.tables import DATA, Row
from wellfed.hardware.parts import CpuSpec

KINDS = ("cpus", "gpus")
_CODE = (*(Path(str(room.__file__)) for room in (match, names, specs, tables)), Path(__file__))
_X86 = frozenset({"amd", "intel"})


def parts(kind: str) -> tuple[Part, ...]:
    """Every part of `cpus` or `gpus`, in the files' order."""
    return tuple(part for text in _families(kind) for part in _prepared(text))


def parts_with(kind: str, numbers: Iterable[str], enough: Any) -> tuple[Part, ...]:
    """The parts of the families in which `enough` (all, any) of the numbers stand."""
    wanted = tuple(numbers)
    families = _families(kind).holding(wanted, enough) if wanted else _families(kind)
    return tuple(part for text in families for part in _prepared(text))


@cache
def front_hosts() -> tuple[CpuSpec, ...]:
    """The x86 CPUs that no other equals or beats in all of: single-thread rating, sockets, channels, lanes.

    The fastest host that a machine's GPUs could stand behind is one of them, whatever they need.
    """
    return tuple(specs.cpu_spec(_part(stored).row) for stored in _compiled("cpus")["front"])


def write_compiled(kind: str, into: Path) -> Path:
    """The compiled table as a file in `into`, to be shipped in data/; for builders of packages."""
    return written(_folder(kind), into)


@cache
def _compiled(kind: str) -> Mapping[str, Any]:
    return compiled(_folder(kind))


def _folder(kind: str) -> Folder:
    return Folder(DATA / kind, _CODE, _build, texts=("families",))


def _families(kind: str) -> Lines:
    texts: Lines = _compiled(kind)["families"]
    return texts


@lru_cache(maxsize=512)
def _prepared(text: str) -> tuple[Part, ...]:
    return tuple(_part(stored) for stored in json.loads(text))


def _build(files: Files) -> dict[str, Any]:
    families, all_parts = [], []
    for tables_of_file in files.values():
        order = 0
        for family, table in tables_of_file.items():
            prepared = [match.prepare(row, order + at) for at, row in enumerate(tables.family_rows(family, table))]
            order += len(prepared)
            all_parts.extend(prepared)
            families.append(json.dumps([_stored(part) for part in prepared], ensure_ascii=False, separators=(",", ":")))
    hosts = [part for part in all_parts if "memory_channels" in part.row.values]
    return {"families": families, "front": [_stored(part) for part in _front(hosts)]}


def _front(all_parts: Iterable[Part]) -> list[Part]:
    hosts = [(_merits(part), part) for part in all_parts if part.row.values["vendor"] in _X86]
    hosts.sort(key=lambda host: host[0], reverse=True)
    front: list[tuple[tuple[float, ...], Part]] = []
    for merits, part in hosts:
        if not any(
            merits != better and all(b >= m for b, m in zip(better, merits, strict=True)) for better, _ in front
        ):
            front.append((merits, part))
    return [part for _, part in front]


def _merits(part: Part) -> tuple[float, ...]:
    """Single-thread rating, sockets, memory channels, PCIe lanes of one socket and of two."""
    spec = specs.cpu_spec(part.row)
    lanes = spec.pcie_lanes or 0
    rating = spec.single_thread_rating or 0.0
    return (rating, spec.sockets_max, spec.memory_channels, lanes, spec.pcie_lanes_of_two or lanes)


def _stored(part: Part) -> list[Any]:
    row = part.row
    forms = [[sorted(form.needed), form.assumed] for form in part.forms]
    cells = [row.name, row.family, row.values, part.order, sorted(part.words), forms]
    return [*cells, sorted(part.allowed), part.memory_gb, part.form, part.cores]


def _part(stored: list[Any]) -> Part:
    name, family, values, order, words, forms, allowed, memory_gb, form, cores = stored
    return Part(
        Row(name, family, values),
        order,
        frozenset(words),
        tuple(Form(frozenset(needed), assumed) for needed, assumed in forms),
        frozenset(allowed),
        tuple(memory_gb),
        form,
        tuple(cores),
    )
