"""Prefill and decode apart over a fleet, and the network between its nodes."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from wellfed.cli.main import cli
from wellfed.errors import BadInput
from wellfed.fleet.disaggregation import Side, disaggregated, side
from wellfed.fleet.network import network
from wellfed.fleet.replicas import Stock, capacity
from wellfed.nouns.layout import Engine
from wellfed.nouns.plan import Request
from wellfed.nouns.workload import PRESETS
from wellfed.verbs import inputs, planning
from wellfed.verbs.fleet_planning import FleetOptions, fleet_plan
from wellfed.written.settings import network_bytes_per_s

RUN = CliRunner()
LONG = replace(PRESETS["chat"], prompt_tokens=6000, output_tokens=400, context_tokens=8192, ttft_target_s=3.0)


@cache
def planned(line: str = "8x h100, 2x xeon 8480+", count: int = 4, tpot_s: float = 0.04, network: str = "3200Gb",
            price: float | None = None) -> Side:  # fmt: skip
    workload = replace(LONG, tpot_target_s=tpot_s)
    options = planning.PlanOptions(workload=workload, engines=(Engine.VLLM,))
    machine = replace(inputs.machine(line, 1), network_bytes_per_s=network_bytes_per_s(network))
    search = planning.search("qwen3-32b", options, machine)[0]
    found = capacity(search)
    assert found is not None
    one = side(Stock(line, count, price), search, found)
    assert one is not None
    return one


def test_a_cell_keeps_the_targets_and_a_larger_load_does_not() -> None:
    found = disaggregated(planned(), planned(), None)
    assert found is not None
    assert found.cell.ttft_s <= 3.0 and found.cell.tpot_s <= 0.04
    assert found.cell.requests_per_s > 0
    assert found.cells == found.cells_there >= 1


def test_the_cell_is_the_split_estimate_itself() -> None:
    """On one node the same deployment, asked of the one estimate, serves as much."""
    found = disaggregated(planned(), planned(), None)
    assert found is not None
    cell = found.cell
    if cell.nodes > 1:
        pytest.skip("the best cell spans nodes: the estimate has one machine's link alone")
    own = cell.decode.plan
    gpus = cell.prefill_workers * cell.prefill.worker_gpus
    layout = replace(own.layout, gpus=gpus + cell.decode_workers * cell.decode.worker_gpus,
                     data_parallel=cell.decode_workers, prefill_gpus=gpus)  # fmt: skip
    workload = replace(own.workload, request_rate=None, concurrency=cell.users)
    estimate = cell.decode.search.estimate(
        Request(replace(own.machine, count=1), own.model, own.weights, layout, workload)
    )
    assert estimate.total_tok_s.value / workload.output_tokens == pytest.approx(cell.requests_per_s, rel=0.02)


def test_longer_prompts_want_more_prefill() -> None:
    def ratio(prompt: int, output: int) -> float:
        one = planned()
        workload = replace(one.plan.workload, prompt_tokens=prompt, output_tokens=output, context_tokens=None)
        other = replace(one, plan=replace(one.plan, workload=workload))
        found = disaggregated(other, other, None)
        assert found is not None
        return found.cell.prefill_workers / found.cell.decode_workers

    assert ratio(12000, 200) > ratio(1000, 800)


def test_a_slower_network_is_never_better() -> None:
    rates = []
    for rate in ("3200Gb", "10Gb"):
        found = disaggregated(planned(network=rate), planned(network=rate), None)
        rates.append(found.worth if found else 0.0)
    assert rates[0] >= rates[1] * 0.99


def test_more_rate_needs_more_cells_and_spares_are_added() -> None:
    few, many = (disaggregated(planned(count=64), planned(count=64), rate) for rate in (5.0, 50.0))
    spared = disaggregated(planned(count=64), planned(count=64), 50.0, spare=3)
    assert few and many and spared
    assert few.cells < many.cells < spared.cells
    assert many.cells * many.cell.requests_per_s >= 50.0
    assert many.enough


def test_two_kinds_of_nodes() -> None:
    first, second = planned(price=20.0), planned("8x l40s, 2x epyc 9354", price=6.0)
    found = disaggregated(first, second, None)
    assert found is not None
    assert found.cell.prefill.stock != found.cell.decode.stock
    assert found.cell.price_hour is not None


@pytest.mark.parametrize(
    ("text", "gigabits", "rails", "subscribed", "leaf"),
    [
        ("400Gb", 400, 1, 1, None), ("8x400Gb", 3200, 1, 1, None), ("400g x8 rails", 3200, 8, 1, None),
        ("400g x8 rails, 2:1", 3200, 8, 2, None), ("8 rails of ndr, 16 a leaf, 3:1", 3200, 8, 3, 16),
        ("100GbE, 4:1 oversubscribed, leaf 32", 100, 1, 4, 32),
    ],
)  # fmt: skip
def test_networks_as_people_write_them(
    text: str, gigabits: float, rails: int, subscribed: float, leaf: int | None
) -> None:
    found = network(text)
    assert found.bytes_per_s == pytest.approx(gigabits * 1e9 / 8)
    assert (found.subscribed, found.leaf_nodes) == (subscribed, leaf)
    assert found.rails in (rails, 8)


@pytest.mark.parametrize("text", ["", "fast", "400g, 0:1", "400g, 2:2", "400g x99 rails", "400g, leaf 0", "400g, a, b"])
def test_what_is_no_network(text: str) -> None:
    with pytest.raises(BadInput):
        network(text)


@given(st.integers(1, 512), st.integers(1, 512), st.sampled_from(["", ", 16 a leaf"]), st.sampled_from([1, 2, 4]))
def test_larger_groups_have_no_more_of_the_network(a: int, b: int, leaf: str, subscribed: int) -> None:
    found = network(f"400g x8 rails, {subscribed}:1{leaf}")
    small, large = sorted((a, b))
    assert found.between(large) <= found.between(small)
    assert (found.assumed is None) == (subscribed == 1 or bool(leaf))


def test_a_replica_over_nodes_is_planned_with_what_is_left_above_a_leaf() -> None:
    rates = {}
    for text in ("400g x2 rails, 8:1", "400g x2 rails, 8:1, 4 a leaf"):
        options = FleetOptions(
            machines=((2, "8x h100, 2x xeon 8480+"),), network=text, engines=(Engine.VLLM,), quantisations=("fp8",)
        )
        plan = fleet_plan("deepseek-r1", options)
        (share,) = plan.deployment.shares
        assert share.capacity.nodes == 2
        rates[text] = share.capacity.plan.machine.network_bytes_per_s
    assert list(rates.values()) == [12.5e9, 100e9]


@pytest.mark.slow
def test_from_the_command_line() -> None:
    words = ["fleet", "plan", "qwen3-32b", "--machines", "2=8x h100, 2x xeon 8480+", "--prompt", "4000", "--rate", "5",
             "--ttft", "3", "--tpot", "40", "--network", "400g x8 rails, 2:1", "--disaggregate"]  # fmt: skip
    done = RUN.invoke(cli, words)
    assert done.exit_code == 0, done.output
    assert "prefill and decode apart" in done.output
    assert "how many nodes a leaf switch has is not told" in " ".join(done.output.split())
    (split,) = json.loads(RUN.invoke(cli, [*words, "--json"]).output)["disaggregated"]
    assert split["prefill"]["workers"] >= 1 <= split["decode"]["workers"]
    assert split["ttft_s"] <= 3
