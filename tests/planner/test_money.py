"""Money and energy: parts add up, break-even, caps; cloud prices from an optional package."""

from __future__ import annotations

import json
import re
import sys
import types
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from wellfed.catalog.prices import load_prices
from wellfed.cli.console import console
from wellfed.cli.main import cli
from wellfed.errors import BadInput
from wellfed.nouns.layout import Engine
from wellfed.nouns.plan import Plan
from wellfed.planner.answer import Answer
from wellfed.planner.cooling import cooling_words
from wellfed.planner.money import Rates, money, power_caps
from wellfed.planner.power import power
from wellfed.verbs import inputs, planning
from wellfed.verbs.cloud import cloud_offers

ON = "rtx 4090, ryzen 9 7950x, 64gb"


@pytest.fixture(scope="module")
def answer() -> Answer:
    return planning.plan("qwen3-14b", planning.PlanOptions(on=ON, engines=(Engine.LLAMA_CPP,)))


@pytest.fixture(scope="module")
def best(answer: Answer) -> Plan:
    assert answer.ranking.best is not None
    return answer.ranking.best


@given(hire=st.floats(0.01, 100), electricity=st.floats(0.01, 2), price=st.floats(100, 1e6))
def test_parts_add_up_and_grow(best: Plan, hire: float, electricity: float, price: float) -> None:
    rates = Rates(hire, electricity, price)
    found = money(best, rates)
    assert found.per_million == pytest.approx((found.hire or 0) + (found.electricity or 0) + (found.amortisation or 0))
    dearer = money(best, replace(rates, hire_per_hour=2 * hire))
    assert dearer.hire == pytest.approx(2 * (found.hire or 0))
    assert money(best, replace(rates, years=6.0)).amortisation == pytest.approx((found.amortisation or 0) / 2)


def test_by_hand(best: Plan) -> None:
    """A million tokens at one rate take 1e6 / rate seconds; joules a token are watts over tokens/s."""
    found, rate, watts = money(best, Rates(3.6, 0.25)), best.estimate.total_tok_s.value, power(best.machine).total_w
    assert watts is not None and found.hire == pytest.approx(1e6 / rate * 3.6 / 3600)
    assert found.joules_per_token == pytest.approx(watts / rate)
    assert found.electricity == pytest.approx(1e6 / rate / 3600 * watts / 1000 * 0.25)


def test_break_even(best: Plan) -> None:
    hire = money(best, Rates(1.0)).hire or 0.0
    assert money(best, Rates(1.0, api_per_million=2 * hire)).break_even_share == pytest.approx(0.5)
    never = money(best, Rates(1.0, api_per_million=hire / 2))
    assert (never.break_even_share or 0) > 1 and "dearer" in str(never.sentences()[-1])
    assert money(best, Rates(1.0)).break_even_share is None


def test_a_cap_costs_speed_and_saves_energy(answer: Answer, best: Plan) -> None:
    caps = list(power_caps(answer.search, best))
    assert len(caps) == 5
    assert [row.ttft_times for row in caps] == sorted(row.ttft_times for row in caps) and caps[-1].ttft_times > 1.1
    energies = [row.joules_per_token or 0 for row in caps]
    assert energies == sorted(energies, reverse=True)


def test_plan_tells_it() -> None:
    words = ["plan", "qwen3-14b", "--on", ON, "--price-hour", "0.5", "--electricity", "0.3", "--api-price", "1"]
    shown = CliRunner().invoke(cli, [*words, "--currency", "EUR", "--top", "1"]).stdout
    assert "a million output tokens" in shown and "EUR" in shown
    document = json.loads(CliRunner().invoke(cli, [*words, "--top", "1", "--json"]).stdout)
    assert document["plans"][0]["money"]["per_million_output_tokens"] > 0


def test_cloud_prices_need_their_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gpuhunt", None)
    with pytest.raises(BadInput, match="gpuhunt"):
        cloud_offers(inputs.machine(ON))


def test_the_cheapest_cloud_offer_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, object] = {}

    def query(**options: object) -> list[object]:
        asked.update(options)
        item = types.SimpleNamespace
        return [
            item(provider="a", location="x", instance_name="big", gpu_count=1, price=0.9, spot=False),
            item(provider="b", location="y", instance_name="small", gpu_count=1, price=0.4, spot=True),
        ]

    monkeypatch.setitem(sys.modules, "gpuhunt", types.SimpleNamespace(query=query))
    offers = cloud_offers(inputs.machine(ON))
    assert offers[0].price_per_hour == 0.4 and asked["gpu_name"] == ["RTX4090"] and asked["min_gpu_count"] == 1
    shown = CliRunner().invoke(cli, ["plan", "qwen3-14b", "--on", ON, "--price-hour", "cloud", "--top", "1", "--json"])
    assert json.loads(shown.stdout)["plans"][0]["money"]["hire"] > 0
    assert "b small (y, spot): 0.40 USD/h" in shown.stderr


@pytest.mark.parametrize("currency", ["usd", "cny"])
def test_example_prices_are_whole(currency: str) -> None:
    prices = load_prices(Path(f"example:{currency}"))
    assert prices.currency == currency.upper() and len(prices.parts) >= 10
    assert {"board", "psu", "case"} <= set(prices.rest) and {"DDR4", "DDR5"} <= set(prices.memory_per_gib)
    every = [*prices.parts.values(), *prices.rest.values(), *prices.memory_per_gib.values()]
    assert all(price.amount > 0 and price.source and re.fullmatch(r"\d{4}-\d\d-\d\d", price.date) for price in every)


def test_board_supply_and_case_are_in_the_price() -> None:
    prices = load_prices(Path("example:usd"))
    bare = replace(prices, rest={})
    machine = inputs.machine("rtx 4090, ryzen 9 7950x, 2x32gb ddr5-5600")
    whole, without = prices.of(machine)[0], bare.of(machine)[0]
    assert whole is not None and without is not None
    assert whole - without == pytest.approx(sum(price.amount for price in prices.rest.values()))


def test_an_unknown_example_is_refused() -> None:
    with pytest.raises(BadInput, match="xyz"):
        load_prices(Path("example:xyz"))


@pytest.mark.parametrize(
    ("on", "fanless"),
    [("tesla p40, ryzen 9 7950x", True), ("l40s, epyc 9354", True), ("rtx 4090, ryzen 9 7950x", False),
     ("8x h100 sxm", False), ("rtx a6000, ryzen 9 7950x", False)],
)  # fmt: skip
def test_cards_without_fans_are_told(on: str, fanless: bool) -> None:
    assert (cooling_words(inputs.machine(on)) is not None) is fanless


@pytest.mark.slow
def test_buying_says_what_it_ranks_by_and_what_is_in_each_row() -> None:
    words = ["plan", "qwen3-14b", "--buy", "--prices", "example:usd", "--top", "3"]
    console.cache_clear()
    shown = CliRunner().invoke(cli, words, env={"COLUMNS": "220"}).stdout
    console.cache_clear()
    assert "sorted by" in shown and "price USD" in shown and "CPU" in shown and "RAM" in shown
    document = json.loads(CliRunner().invoke(cli, [*words, "--json"]).stdout)
    assert document["currency"] == "USD" and document["ranked_by"]["id"] == "market.by-price"
    assert all(offer["processors"] and offer["memory_bytes"] for offer in document["offers"])
