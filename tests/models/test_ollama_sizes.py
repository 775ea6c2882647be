"""Sizes of tags of Ollama's library, as github.com/auditomatic/ollama-models-registry lists them (2026-08-21).

Three tags of each family, drawn by lot. The library rounds to two digits.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from wellfed.resolution import Resolved, resolve

_LINES = Path(__file__).with_name("ollama_sizes.txt").read_text(encoding="utf-8").splitlines()
_UNITS = {"MB": 1e6, "GB": 1e9, "TB": 1e12}
_EXACT = 0.01


def _published(text: str) -> tuple[float, float]:
    """The size in bytes, and half of its last digit."""
    match = re.fullmatch(r"(\d+(?:\.(\d+))?)([MGT]B)", text)
    assert match is not None
    return float(match[1]) * _UNITS[match[3]], 0.5 * 10.0 ** -len(match[2] or "") * _UNITS[match[3]]


@pytest.mark.parametrize("line", _LINES)
def test_a_tag_has_the_size_that_its_library_gives(line: str) -> None:
    tag, size = line.split()
    (answer,) = resolve([tag])
    assert isinstance(answer, Resolved)
    assert answer.weight_bytes is not None
    low, high = answer.weight_bytes_range or (
        answer.weight_bytes * (1 - _EXACT),
        answer.weight_bytes * (1 + _EXACT),
    )
    published, rounding = _published(size)
    assert low - rounding <= published <= high + rounding
