"""Amounts of money as people write them, and the currency that is said with them."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from wellfed.catalog.han import number, simplified
from wellfed.cli.money import Money, currency


@click.command()
@click.option("--amount", type=Money(0, min_open=True))
@click.option("--currency", "chosen", default="USD")
@click.pass_context
def told(context: click.Context, amount: float, chosen: str) -> None:
    context.set_parameter_source("currency", context.get_parameter_source("chosen"))  # type: ignore[arg-type]
    click.echo(f"{amount:g} {currency(context, chosen)}")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("12000", "12000 USD"),
        ("12,000", "12000 USD"),
        ("12k", "12000 USD"),
        ("1.2万", "12000 USD"),
        ("1.2万元", "12000 CNY"),
        ("１．２萬元", "12000 CNY"),
        ("¥12000", "12000 CNY"),
        ("￥1,200.50", "1200.5 CNY"),
        ("0.6元", "0.6 CNY"),
        ("5千块", "5000 CNY"),
        ("3 万 人民币", "30000 CNY"),
        ("2美元", "2 USD"),
        ("€99", "99 EUR"),
    ],
)
def test_an_amount_as_it_is_written(text: str, said: str) -> None:
    assert CliRunner().invoke(told, ["--amount", text]).output.strip() == said


def test_the_option_goes_before_what_an_amount_says() -> None:
    assert CliRunner().invoke(told, ["--amount", "3万元", "--currency", "HKD"]).output.strip() == "30000 HKD"


@pytest.mark.parametrize("text", ["0元", "三", "-3", "万元", "1.2.3", "12 000", "nan", "inf"])
def test_what_is_no_amount_is_refused(text: str) -> None:
    assert CliRunner().invoke(told, ["--amount", text]).exit_code == 2


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("一万万", 1e8), ("三万二千", 32_000), ("十五", 15), ("一亿二千万", 1.2e8), ("二万五", 25_000), ("一百零五", 105),
        ("两千五百", 2500), ("二萬五", 25_000),
    ],
)  # fmt: skip
def test_numbers_in_chinese_numerals(text: str, amount: float) -> None:
    assert number(simplified(text)) == amount
    assert Money(0, min_open=True).convert(f"{text}元", None, None) == amount
