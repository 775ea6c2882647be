"""Numbers as people write them: with the unit of the option behind them, tokens by the thousand."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import click

from wellfed.catalog.han import simplified
from wellfed.message import sentence
from wellfed.patterns import regex

_NUMBER = regex(r"(?P<number>\d+(?:\.\d+)?|\.\d+)\s*(?P<unit>[a-z/秒分毫每钟万千]+)", re.IGNORECASE)
_K_TOKENS = 1024  # a context of 32k is 32,768 tokens, as models' cards have it
_TOKENS: Mapping[str, float] = {"k": _K_TOKENS, "m": _K_TOKENS**2, "千": 1e3, "万": 1e4}
_TIMES_S: Mapping[str, float] = {
    **dict.fromkeys(("ms", "毫秒"), 1e-3),
    **dict.fromkeys(("s", "sec", "秒"), 1.0),
    **dict.fromkeys(("min", "分钟", "分"), 60.0),
}
_RATES_HZ: Mapping[str, float] = {
    **dict.fromkeys(("/s", "rps", "qps", "req/s", "requests/s", "每秒"), 1.0),
    **dict.fromkeys(("/min", "rpm", "req/min", "requests/min", "每分钟"), 1 / 60),
    **dict.fromkeys(("/h", "req/h", "requests/h"), 1 / 3600),
}


def _times(value: Any, units: Mapping[str, float]) -> float | None:
    """The number of a text that ends in one of these units, in the option's own; None for any other."""
    match = _NUMBER.fullmatch(simplified(value).strip()) if isinstance(value, str) else None
    factor = None if match is None else units.get(match["unit"].lower())
    return None if match is None or factor is None else float(match["number"]) * factor


class Integer(click.IntRange):
    """A whole number within bounds."""

    name = "integer"


class Number(click.FloatRange):
    """A number within bounds that ends: neither nan nor inf."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """As click does, then that."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(sentence("cli.plan.number-plan", "{value!r} is no number to plan with.", value=value), param, ctx)
        return number


class Tokens(Integer):
    """A count of tokens: 8192, 32k (x 1,024), 1M (x 1,048,576)."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The count; thousands become tokens."""
        count = _times(value, _TOKENS)
        return super().convert(value if count is None else round(count), param, ctx)


class Duration(Number):
    """A time above 0 in the option's `unit` ("s" or "ms"), or with a unit behind it: 3s, 500ms."""

    def __init__(self, unit: str) -> None:
        super().__init__(0, min_open=True)
        self.unit = unit

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The time in the option's unit."""
        seconds = _times(value, _TIMES_S)
        return super().convert(value if seconds is None else seconds / _TIMES_S[self.unit], param, ctx)


class PerSecond(Number):
    """A rate above 0 in 1/s: 6, 6/s, 300/min."""

    def __init__(self) -> None:
        super().__init__(0, min_open=True)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The rate in 1/s."""
        rate = _times(value, _RATES_HZ)
        return super().convert(value if rate is None else rate, param, ctx)
