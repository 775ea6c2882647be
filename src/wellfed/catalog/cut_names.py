"""Names that a tool's column cut short: `NVIDIA GeForce RTX 4070 ...` with 8 GB is the laptop's."""

from __future__ import annotations

import re
from collections.abc import Iterable

from wellfed.hardware.parts import GpuSpec
from wellfed.patterns import regex

_CUT = regex(r"^(.*?)(\s?)(?:\.{2,3}|…)$")
_MAKER = regex(r"^(?:nvidia|amd|intel)\s+", re.I)
_NEAR = 0.06  # a driver reports a little less than the sheet


def is_cut(name: str) -> bool:
    """Whether it ends in the dots of a column that was too narrow."""
    return _CUT.match(name.strip()) is not None


def without_cut_word(name: str) -> str:
    """The whole words that are left: `RTX 6000 Ada Gene...` is `RTX 6000 Ada`."""
    match = _CUT.match(name.strip())
    if match is None:
        return name
    return match[1] if match[2] else match[1].rpartition(" ")[0]


def matching(name: str, memory_bytes: int, specs: Iterable[GpuSpec]) -> GpuSpec | None:
    """The one card that begins like this, is too long for the column, and has that memory; None for none or several."""
    match = _CUT.match(name.strip())
    stem = _MAKER.sub("", match[1]).lower() if match else ""
    if not stem:
        return None
    room = len(_MAKER.sub("", name.strip()))
    fitting = [
        spec
        for spec in specs
        if spec.name.lower().startswith(stem)
        and len(spec.name) > room
        and abs(spec.memory_bytes - memory_bytes) <= _NEAR * spec.memory_bytes
    ]
    return fitting[0] if len(fitting) == 1 else None


def near(spec: GpuSpec | None, memory_bytes: int) -> bool:
    """Whether a card's memory is what the driver reports."""
    return spec is not None and abs(spec.memory_bytes - memory_bytes) <= _NEAR * spec.memory_bytes
