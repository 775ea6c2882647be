"""Machines that nobody needs to own: from a line, a TOML file or a named build.

`machine("2x rtx 4090, ryzen 9 7950x, 2x32GB ddr5-5600")`, `machine("box.toml")`, `machine("build:entry-7b")`,
`machine("dgx h100")`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path

from wellfed.catalog import names
from wellfed.catalog.tables import table
from wellfed.errors import BadInput, UnknownName, nearest
from wellfed.frozen import dataclass, replace
from wellfed.hardware.machine import Machine
from wellfed.message import sentence
from wellfed.patterns import regex
from wellfed.plain_file import named_path
from wellfed.provenance import Assumption
from wellfed.written.as_asked import quoting
from wellfed.written.build import build
from wellfed.written.line import read_line
from wellfed.written.parts_list import PartsList
from wellfed.written.settings import network_between, network_bytes_per_s, with_nodes
from wellfed.written.spelling import plain_line

__all__ = ["Build", "builds", "load_machine", "machine", "network_bytes_per_s", "parse_machine"]

LINE_MAX = 2000  # characters; what is longer is no machine


@dataclass(frozen=True, slots=True)
class Build:
    """A named machine: its line, what it is for, and where the advice comes from."""

    id: str
    title: str
    machine: str
    tier: str
    source: str
    date: str
    titles: Mapping[str, str] = field(default_factory=dict)  # by language, where it has one of its own

    def name(self, language: str) -> str:
        """The build's title in a language."""
        return self.titles.get(language, self.title)


def machine(text: str, nodes: int | None = None, network: str | None = None) -> Machine:
    """The machine of a line, of a TOML file's path, or of `build:NAME`. Raises BadInput, UnknownName.

    `nodes` and `network` (as in `network=400Gb`) take the place of what it says itself.
    """
    stated = text.strip()
    title: str | None = None
    if stated.startswith("build:"):
        named_build = _named_build(stated.removeprefix("build:").strip())
        parts, title = _parts(named_build.machine), named_build.title
    elif stated.endswith(".toml") and (path := named_path(stated)) is not None:
        parts, title = _parts_of_file(path)
    else:
        with quoting(stated):
            parts = _parts(stated)
    with quoting(stated):
        built = build(_with_network(parts, nodes, network))
    return replace(built, name=title) if title is not None else built


def parse_machine(text: str) -> Machine:
    """The machine a line describes; what it leaves out is assumed and said so in `Machine.assumptions`.

    Raises BadInput for machines that cannot be, UnknownName for parts that are in no catalogue.
    """
    return build(_with_network(_parts(text), None, None))


def load_machine(path: Path) -> Machine:
    """The machine a TOML file describes: `machine` (a line), or `gpus`, `cpu`, `memory` and settings.

    Raises BadInput for a file that cannot be read, and whatever its parts raise.
    """
    return machine(str(path))


def _parts(text: str) -> PartsList:
    if not text.strip() or len(text) > LINE_MAX:
        raise BadInput(
            sentence("machines.machine", "not a machine"),
            sentence("machines.example-2x-rtx", 'for example: "2x rtx 4090, ryzen 9 7950x, 2x32GB ddr5-5600"'),
        )
    return read_line(_expanded(text))


def _parts_of_file(path: Path) -> tuple[PartsList, str | None]:
    from wellfed.written.file import parts_of_table, read_table

    keys = read_table(path)
    start = read_line(_expanded(str(keys["machine"]))) if keys.get("machine") else PartsList()
    return parts_of_table(keys, start), str(keys["name"]) if "name" in keys else None


def _with_network(parts: PartsList, nodes: int | None, network: str | None) -> PartsList:
    """The list for so many machines; a network that joins nothing is told, not dropped in silence."""
    parts = parts if nodes is None else with_nodes(parts, nodes)
    if network is not None:
        parts = replace(parts, network_bytes_per_s=network_between(parts.count, network))
    if parts.network_bytes_per_s is None or parts.count > 1:
        return parts
    note = Assumption(
        sentence("machines.one-machine-network", "one machine: its network carries nothing"),
        sentence("machines.several-machines-add", "several machines: add nodes=N"),
        reading=True,
    )
    return replace(parts, assumptions=(*parts.assumptions, note))


def builds() -> tuple[Build, ...]:
    """The named builds."""
    return tuple(_build(key, values) for key, values in table("builds.toml").items())


def _build(identity: str, values: Mapping[str, str]) -> Build:
    titles = {key.removeprefix("title_"): text for key, text in values.items() if key.startswith("title_")}
    return Build(id=identity, titles=titles, **{key: text for key, text in values.items() if "title_" not in key})


def _named_build(name: str) -> Build:
    by_id = {build.id: build for build in builds()}
    if name not in by_id:
        raise UnknownName("build", name, nearest(name, by_id) or tuple(by_id)[:3])
    return by_id[name]


_COUNTED_TWICE = regex(r"\b([hd]gx \w+) \d{1,2} ?gpus?\b", of=("gx",))  # "hgx h200 8-gpu"


def _without_brackets(text: str) -> str:
    return re.sub(r"[(（][^()（）]*[)）]", " ", text)


def _expanded(text: str) -> str:
    """The line with names of whole systems ("dgx h100") replaced by their parts."""
    plain = names.normalise(text).replace("-", " ")
    systems: Mapping[str, str] = {**table("systems.toml"), **table("instances.toml")}
    if not any(name.split()[0] in plain for name in systems):
        return text
    plain = plain_line(_COUNTED_TWICE.sub(r"\1", plain))
    for name in sorted((name for name in systems if name in plain), key=len, reverse=True):
        pattern = (
            rf"(?:(?P<count>\d{{1,3}})\s*x\s*)?(?:nvidia\s+|standard\s+)?\b{re.escape(name)}\b"
            r"(?:\s*[x*]\s*(?P<after>\d{1,3})\b)?"
        )
        match = re.search(pattern, plain)
        if match is None:
            continue
        if plain[: match.start()].rstrip().endswith("("):
            return _without_brackets(text)  # "8x h100 (DGX H100)" tells what it is twice
        stated = match["count"] or match["after"]
        count = f", nodes={stated}" if stated else ""
        other_words = f"{plain[: match.start()]} {plain[match.end() :]}".strip(" ,;")
        return f"{systems[name]}{count}{', ' + other_words if other_words else ''}"
    return text
