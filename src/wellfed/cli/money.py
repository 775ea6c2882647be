"""An amount of money as people write it: 12000, 12,000, 12k, ¥12000, 1.2万, 1.2万元."""

from __future__ import annotations

import re
from typing import Any

import click

from wellfed.catalog.han import NUMERALS, number, simplified
from wellfed.cli.numbers import Number
from wellfed.patterns import regex

_TIMES = {"": 1.0, "k": 1e3, "千": 1e3, "w": 1e4, "万": 1e4, "百万": 1e6, "m": 1e6, "千万": 1e7, "亿": 1e8}
_AMOUNT = regex(
    r"(?P<sign>[¥￥$€]?)\s*(?P<number>\d+(?:,\d{3})*(?:\.\d+)?|\.\d+)\s*(?P<times>百万|千万|[kwm千万亿]?)\s*"
    r"(?P<currency>元|块钱|块|人民币|rmb|cny|美元|美金|usd|欧元|eur)?",
    re.IGNORECASE,
)
_CURRENCIES = {
    **dict.fromkeys(("¥", "元", "块钱", "块", "人民币", "rmb", "cny"), "CNY"),
    **dict.fromkeys(("$", "美元", "美金", "usd"), "USD"),
    **dict.fromkeys(("€", "欧元", "eur"), "EUR"),
}
_SAID = "wellfed.cli.currency"


class Money(Number):
    """An amount above 0; a currency behind it is kept for `currency`."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The amount as a number."""
        match = _AMOUNT.fullmatch(_in_digits(value)) if isinstance(value, str) else None
        if match is None:
            return super().convert(value, param, ctx)
        named_currency = _CURRENCIES.get((match["currency"] or match["sign"]).lower())
        if named_currency is not None and ctx is not None:
            ctx.meta[_SAID] = named_currency
        amount = float(match["number"].replace(",", "")) * _TIMES[match["times"].lower()]
        return super().convert(amount, param, ctx)


_NUMERALS = regex(f"[{NUMERALS}]+")


def _in_digits(value: str) -> str:
    """The text with a number that is written in Chinese numerals in digits: 三万二千元 is 32000元."""
    text = simplified(value).strip()
    match = _NUMERALS.match(text.lstrip("¥￥"))
    count = number(match[0]) if match else None
    return text if match is None or count is None else text.replace(match[0], str(count), 1)


class Hourly(click.ParamType):  # type: ignore[type-arg, unused-ignore]
    """What an hour costs, or `cloud`."""

    name = "price"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """`cloud`, or the amount."""
        return "cloud" if str(value).strip().lower() == "cloud" else Money(0, min_open=True).convert(value, param, ctx)


def currency(context: click.Context, chosen: str) -> str:
    """What --currency says; where it was not given, the currency that an amount was written in."""
    typed = context.get_parameter_source("currency") is click.core.ParameterSource.COMMANDLINE
    return chosen if typed else str(context.meta.get(_SAID) or chosen)
