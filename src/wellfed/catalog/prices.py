"""Prices that the user gives: of parts, with source and date. wellfed has only dated examples of its own."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Any

from wellfed.catalog.hardware import find_cpu, find_gpu
from wellfed.errors import BadInput, UnknownName
from wellfed.frozen import dataclass
from wellfed.hardware.machine import Machine
from wellfed.message import listed, sentence
from wellfed.plain_file import read_text
from wellfed.units import GIB

_REST = frozenset({"base", "board", "psu", "case"})
_EXAMPLES = Path(__file__).parent / "data" / "prices"
_HINT = '[parts] "rtx 4090" = { price = 1600, source = "shop", date = "2026-11-01" }; memory: "ddr5 per gib"'


@dataclass(frozen=True, slots=True)
class Price:
    """What one part costs, where that was read, and when (ISO date)."""

    amount: float
    source: str
    date: str


@dataclass(frozen=True, slots=True)
class Prices:
    """Prices by part id; memory by type ("DDR5") and GiB; `rest` is what every machine needs besides: board,
    power supply (`psu`), case, or all in one (`base`)."""

    currency: str
    parts: Mapping[str, Price]
    memory_per_gib: Mapping[str, Price]
    rest: Mapping[str, Price] = field(default_factory=dict)

    def of(self, machine: Machine) -> tuple[float | None, str]:
        """(the machine's price, "") or (None, which part has none). All nodes together."""
        total = sum(price.amount for price in self.rest.values())
        included = any(gpu.spec is not None and gpu.spec.cpu_id for gpu in machine.gpus)
        wanted = [gpu.spec.id if gpu.spec else "?" for gpu in machine.gpus]
        if not included:
            wanted += [socket.cpu.id if socket.cpu else "?" for socket in machine.sockets]
        for part in wanted:
            if part not in self.parts:
                return None, sentence("prices.no-price", "no price of {part}", part=part)
            total += self.parts[part].amount
        if included:
            return total * machine.count, ""
        memory = self._memory(machine)
        return (
            (None, sentence("prices.no-price-memory", "no price of its memory"))
            if memory is None
            else ((total + memory) * machine.count, "")
        )

    def _memory(self, machine: Machine) -> float | None:
        kinds = {socket.cpu.memory_type.upper() for socket in machine.sockets if socket.cpu}
        price = next((self.memory_per_gib[kind] for kind in kinds if kind in self.memory_per_gib), None)
        if price is None or machine.memory_bytes is None:
            return None
        return price.amount * machine.memory_bytes / GIB


def load_prices(path: Path) -> Prices:
    """Read a price file; `example:usd` and `example:cny` come with wellfed.

    Raises BadInput when it is damaged or a price lacks its source or date.
    """
    kind, _, name = str(path).partition(":")
    if kind == "example":
        names = sorted(file.stem for file in _EXAMPLES.glob("*.toml"))
        if name.lower() not in names:
            raise BadInput(
                sentence("prices.there-example-prices", "there is no example of prices in {name}", name=name or "?"),
                sentence("prices.there", "there are: {known}", known=listed(names)),
            )
        path = _EXAMPLES / f"{name.lower()}.toml"
    try:
        table = tomllib.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise BadInput(sentence("prices.toml", "{path} is not TOML: {error}", path=path, error=error), _HINT) from error
    entries = table.get("parts")
    if not isinstance(entries, dict) or not entries:
        raise BadInput(sentence("prices.has-no", "{path} has no [parts]", path=path), _HINT)
    parts: dict[str, Price] = {}
    memory: dict[str, Price] = {}
    rest: dict[str, Price] = {}
    for name, entry in entries.items():
        price = _price(path, name, entry)
        if name.lower().endswith("per gib"):
            memory[name.split()[0].upper()] = price
        elif name.lower() in _REST:
            rest[name.lower()] = price
        else:
            parts[_part_id(path, name)] = price
    return Prices(str(table.get("currency", "")), parts, memory, rest)


def _price(path: Path, name: str, entry: Any) -> Price:
    if not isinstance(entry, dict):
        raise BadInput(sentence("prices.price", "{path}: {name} is not a price", path=path, name=name), _HINT)
    amount = entry.get("price")
    if isinstance(amount, bool) or not isinstance(amount, (int, float)) or not 0 <= amount < 1e9:
        raise BadInput(
            sentence("prices.usable-price", "{path}: {name} has no usable price", path=path, name=name), _HINT
        )
    source, date = entry.get("source"), entry.get("date")
    if not source or not date:
        raise BadInput(
            sentence(
                "prices.price-needs-source",
                "{path}: the price of {name} needs a source and a date",
                path=path,
                name=name,
            ),
            _HINT,
        )
    return Price(float(amount), str(source), str(date))


def _part_id(path: Path, name: str) -> str:
    resolved = find_gpu(name) or find_cpu(name)
    if resolved is None:
        raise UnknownName(sentence("prices.part", "part in {path}", path=path), name)
    return resolved.spec.id
