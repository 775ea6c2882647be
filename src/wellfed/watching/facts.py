"""What a watched engine runs on and with: plain words that change only when somebody or a fault changes them."""

from __future__ import annotations

from typing import NamedTuple


class Fact(NamedTuple):
    """Of a subject (gpu3, system, engine) one property and its value."""

    subject: str
    name: str
    value: str
