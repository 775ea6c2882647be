"""Replicas for a load, and traces through them."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from wellfed.cli.main import cli
from wellfed.errors import BadInput
from wellfed.fleet.replicas import Capacity, Stock, capacity, deploy, routing
from wellfed.fleet.simulate import Speed, run, simulate, speed
from wellfed.fleet.trace import Arrival, Moments, drawn, read_trace, written
from wellfed.nouns.layout import Engine
from wellfed.nouns.plan import Request
from wellfed.nouns.workload import PRESETS
from wellfed.planner.search import Search
from wellfed.verbs import inputs, planning

NODE = "2x a100 80gb, epyc 7543, 8x32gb ddr4-3200"
LOAD = replace(PRESETS["chat"], ttft_target_s=3.0, tpot_target_s=0.05)
RUN = CliRunner()


@pytest.fixture(scope="module")
def search() -> Search:
    options = planning.PlanOptions(workload=LOAD, engines=(Engine.VLLM,))
    return planning.search("qwen3-32b", options, inputs.machine(NODE))[0]


@pytest.fixture(scope="module")
def one(search: Search) -> Capacity:
    found = capacity(search)
    assert found is not None
    return found


def test_a_replica_keeps_its_targets_at_its_capacity_and_not_far_beyond(search: Search, one: Capacity) -> None:
    estimate = one.plan.estimate
    assert estimate.ttft_s.value <= 3.0 and estimate.tpot_s.value <= 0.05
    beyond = replace(one.plan.workload, request_rate=one.requests_per_s * 1.1)
    late = search.estimate(Request(one.plan.machine, one.plan.model, one.plan.weights, one.plan.layout, beyond))
    served = late.total_tok_s.value / beyond.output_tokens
    assert late.ttft_s.value > 3.0 or late.tpot_s.value > 0.05 or served < 0.99 * one.requests_per_s * 1.1


def test_tighter_targets_never_take_more(search: Search, one: Capacity) -> None:
    tight = capacity(replace(search, workload=replace(LOAD, tpot_target_s=0.02)))
    assert tight is None or tight.requests_per_s <= one.requests_per_s * 1.03
    strict = capacity(search, p99=True)
    assert strict is None or strict.requests_per_s <= one.requests_per_s * 1.03


@settings(max_examples=80, deadline=None)
@given(st.floats(0.1, 60), st.integers(0, 3), st.integers(1, 12), st.integers(0, 6), st.floats(0.5, 9))
def test_a_deployment_carries_the_rate_with_its_spares_lost(
    one: Capacity, rate: float, spare: int, first: int, second: int, power: float
) -> None:
    small = replace(one, requests_per_s=power)
    options = [(Stock("a", first, 3.0), [one]), (Stock("b", second, 1.0), [small])]
    found = deploy(options, rate, spare)
    singles = sorted((s.capacity.requests_per_s for s in found.shares for _ in range(s.replicas)), reverse=True)
    assert found.short == pytest.approx(max(0.0, rate - sum(singles[spare:])))
    assert all(share.nodes <= share.stock.count for share in found.shares)
    if found.short:
        assert sum(share.nodes for share in found.shares) == first + second or first + second <= spare


def test_the_cheaper_nodes_go_first(one: Capacity) -> None:
    options = [(Stock("dear", 9, 9.0), [one]), (Stock("cheap", 9, 2.0), [one])]
    found = deploy(options, one.requests_per_s * 3.5, 0)
    assert [(share.stock.name, share.replicas) for share in found.shares] == [("cheap", 4)]
    assert found.price_hour == 8.0
    assert found.price_per_million(512) == pytest.approx(8.0 / (one.requests_per_s * 3.5 * 512 * 3600) * 1e6)


def test_a_group_of_two_nodes_is_not_forced_where_single_ones_do(one: Capacity) -> None:
    wide = replace(one, nodes=2, requests_per_s=one.requests_per_s * 2.5)
    found = deploy([(Stock("n", 3), [one, wide])], one.requests_per_s * 1.5, 1)
    assert found.short == 0 and [share.capacity.nodes for share in found.shares] == [1]


def test_a_router_that_knows_prefixes_takes_more(search: Search) -> None:
    turns = routing(replace(search, workload=replace(LOAD, depth_tokens=6000, context_tokens=9000)), 4)
    assert turns is not None and turns.aware > turns.unaware
    assert routing(search, 4) is None  # nothing lies in the cache


class TestTrace:
    def test_who_asks_again_when_answered_sees_the_estimate(self, search: Search, one: Capacity) -> None:
        """Users of a closed loop: n at once, so long that all n run together."""
        speeds = speed(search, one.plan)
        for users in (1, 4, 16):
            arrivals = [Arrival(0.0, LOAD.prompt_tokens, LOAD.output_tokens) for _ in range(users)]
            seen = simulate(arrivals, [speeds])
            asked = replace(LOAD, concurrency=users)
            wanted = search.estimate(
                Request(one.plan.machine, one.plan.model, one.plan.weights, one.plan.layout, asked)
            )
            assert seen.tpot_s[0] == pytest.approx(wanted.tpot_s.value, rel=0.02)
            assert seen.ttft_s[0] == pytest.approx(wanted.ttft_s.value, rel=0.12)  # the first ones see fewer

    def test_random_arrivals_agree_with_the_open_estimate(self, search: Search, one: Capacity) -> None:
        random_of, now = random.Random(7), 0.0
        rate = one.requests_per_s * 0.5
        arrivals = []
        for _ in range(3000):
            now += random_of.expovariate(rate)
            arrivals.append(Arrival(now, LOAD.prompt_tokens, LOAD.output_tokens))
        seen = simulate(arrivals, [speed(search, one.plan)])
        asked = replace(LOAD, request_rate=rate)
        wanted = search.estimate(Request(one.plan.machine, one.plan.model, one.plan.weights, one.plan.layout, asked))
        assert seen.tpot_s[0] == pytest.approx(wanted.tpot_s.value, rel=0.25)
        assert seen.ttft_s[0] == pytest.approx(wanted.ttft_s.value, rel=0.35)

    @settings(max_examples=40, deadline=None)
    @given(st.integers(1, 5), st.lists(st.tuples(st.floats(0, 20), st.integers(1, 4000), st.integers(1, 300)), min_size=1, max_size=60))  # fmt: skip
    def test_every_request_is_answered_once_and_none_faster_than_alone(
        self, replicas: int, rows: list[tuple[float, int, int]]
    ) -> None:
        alone = Speed((1, 4, 16), (0.01, 0.012, 0.03), (0.1, 0.2, 0.6), 1000, 8)
        arrivals = sorted((Arrival(*row) for row in rows), key=lambda a: a.at_s)
        served = run(arrivals, [alone] * replicas)
        assert sorted(map(id, (s.arrival for s in served))) == sorted(map(id, arrivals))
        for s in served:
            assert s.ttft_s >= 0.1 * s.arrival.prompt_tokens / 1000 - 1e-9
            assert s.arrival.output_tokens == 1 or s.tpot_s >= 0.01 - 1e-9

    def test_more_replicas_never_wait_longer(self) -> None:
        alone = Speed((1, 4, 16), (0.01, 0.012, 0.03), (0.1, 0.2, 0.6), 1000, 8)
        arrivals = list(drawn(Moments(4, 1.5, 1000, 3000, 130, 450), 1500, 3))
        waits = [simulate(arrivals, [alone] * n).ttft_s[2] for n in (1, 2, 4)]
        assert waits[0] > waits[1] >= waits[2]

    def test_a_written_trace_reads_back(self, tmp_path: Path) -> None:
        path = tmp_path / "t.csv"
        arrivals = list(drawn(Moments(2, 1.0, 1000, 3000, 130, 450), 200))
        path.write_text(written(iter(arrivals)))
        back = read_trace(path)
        assert len(back) == 200
        assert [a.prompt_tokens for a in back] == [a.prompt_tokens for a in arrivals]
        assert sum(b.at_s - a.at_s for a, b in pairwise(back)) / 199 == pytest.approx(0.5, rel=0.3)

    @pytest.mark.parametrize(
        "text",
        ["", "a,b\n1,2\n", "arrival_s,prompt_tokens,output_tokens\n", "arrival_s,prompt_tokens,output_tokens\nx,1,1\n",
         "arrival_s,prompt_tokens,output_tokens\n-1,1,1\n", "arrival_s,prompt_tokens,output_tokens\n1,0,1\n",
         "arrival_s,prompt_tokens,output_tokens\nnan,1,1\n", "arrival_s,prompt_tokens,output_tokens\n1,1\n"],
    )  # fmt: skip
    def test_what_is_no_trace_is_refused(self, text: str, tmp_path: Path) -> None:
        path = tmp_path / "t.csv"
        path.write_text(text)
        with pytest.raises(BadInput):
            read_trace(path)

    def test_the_example_is_made_by_a_script(self) -> None:
        script = Path(__file__).resolve().parents[2] / "scripts/example_trace.py"
        done = subprocess.run([sys.executable, str(script), "coding", "50"], capture_output=True, text=True, check=True)
        assert len(done.stdout.splitlines()) == 51


class TestDoor:
    def test_plan_with_a_trace(self, tmp_path: Path) -> None:
        path = tmp_path / "t.csv"
        path.write_text(written(drawn(Moments(2, 1.0, 1000, 3000, 130, 450), 120)))
        words = ["fleet", "plan", "qwen3-8b", "--machines", f"4={NODE}", "--rate", "4", "--ttft", "2", "--tpot", "50",
                 "--spare", "1", "--price-hour", "3", "--trace", str(path), "--depth", "2000"]  # fmt: skip
        done = RUN.invoke(cli, words)
        assert done.exit_code == 0, done.output
        assert "carry 4" in done.output and "per million" in done.output and "the trace (120 requests" in done.output
        assert "knows prefixes" in done.output
        document = json.loads(RUN.invoke(cli, [*words, "--json"]).stdout)
        assert document["meets"] and document["simulated"]["requests"] == 120
        assert document["requests_per_s"] >= 4

    def test_too_much_is_said_and_exits_with_1(self) -> None:
        done = RUN.invoke(cli, ["fleet", "plan", "qwen3-32b", "--machines", f"1={NODE}", "--rate", "100"])
        assert done.exit_code == 1 and "too few" in done.output

    @pytest.mark.parametrize(
        ("words", "says"),
        [
            (("--ttft", "0.0001"), "too late with one user"),
            (("--prompt", "900000"), "can attend to"),
            (("--quant", "bf16", "--machines", "2=rtx 3060, ryzen 5600"), "does not fit"),
        ],
    )
    def test_why_a_kind_is_not_used(self, words: tuple[str, ...], says: str) -> None:
        done = RUN.invoke(cli, ["fleet", "plan", "qwen3-32b", "--machines", f"2={NODE}", *words])
        assert says in " ".join(done.output.split())

    @pytest.mark.parametrize(
        ("words", "says"),
        [
            (("--quant", "XYZ"), "unknown quantisation"),
            (("--price-hour", "1", "--price-hour", "2"), "--price-hour is given 2 times"),
            (("--trace", "/nowhere.csv"), "cannot read"),
            (("--network", "quick"), "not a network speed"),
            (("--network", "400g, sideways"), "nothing that a network has"),
            (("--rate", "nan"), "no number"),
            (("--rate", "-3"), "not in the range"),
            (("--spare", "65"), "not in the range"),
            (("--engine", "ollama"), "not one of"),
            (("--export", "yaml"), "not one of"),
            (("--snapshots", "/nowhere"), "no folder"),
            (("--machines", "2=9x nonsense 9000"), "unknown part"),
        ],
    )
    def test_bad_input_is_one_error(self, words: tuple[str, ...], says: str) -> None:
        done = RUN.invoke(cli, ["fleet", "plan", "qwen3-8b", "--machines", f"2={NODE}", *words])
        assert getattr(done.exception, "exit_code", done.exit_code) == 2
        assert says in f"{done.exception} {done.output}"

    def test_what_runs_nowhere_says_why(self) -> None:
        done = RUN.invoke(cli, ["fleet", "plan", "deepseek-r1", "--machines", f"2={NODE}"])
        assert done.exit_code == 1 and "runs on none" in done.output and "no network" in done.output

    @pytest.mark.parametrize("machines", ["x=3", "0=rtx 4090", "rtx 4090", "=rtx 4090", "3="])
    def test_a_count_and_a_machine(self, machines: str) -> None:
        done = RUN.invoke(cli, ["fleet", "plan", "qwen3-8b", "--machines", machines])
        assert done.exception is not None and not isinstance(done.exception, (KeyError, ValueError, AttributeError))


class TestRouters:
    """Conversations of ever longer prompts through two replicas, behind a router that knows prefixes and one that does
    not.
    """

    SPEED = Speed((1, 4, 16), (0.01, 0.012, 0.03), (0.1, 0.2, 0.6), 1000, 8)

    @staticmethod
    def turns(talks: int, count: int, gap_s: float = 20.0) -> list[Arrival]:
        found = [
            Arrival(talk * 1.7 + turn * gap_s, 500 + 600 * turn, 100, f"talk {talk}")
            for talk in range(talks)
            for turn in range(count)
        ]
        return sorted(found, key=lambda arrival: arrival.at_s)

    def test_where_the_turns_lie_the_first_token_comes_sooner(self) -> None:
        aware, blind = (simulate(self.turns(7, 6), [self.SPEED] * 3, knows_prefixes=knows) for knows in (True, False))
        assert aware.cached_share > blind.cached_share
        assert aware.ttft_s[0] < blind.ttft_s[0]
        assert aware.requests == blind.requests == 42

    def test_all_earlier_turns_are_found_where_one_replica_has_them(self) -> None:
        served = run(self.turns(1, 5), [self.SPEED] * 2)
        assert len({each.replica for each in served}) == 1
        ordered = sorted(served, key=lambda each: each.arrival.at_s)
        assert [each.cached_tokens for each in ordered] == [0, 600, 1200, 1800, 2400]

    def test_without_room_nothing_is_kept(self) -> None:
        tight = replace(self.SPEED, cache_tokens=100)
        assert simulate(self.turns(3, 4), [tight] * 2).cached_share == 0.0

    def test_a_full_replica_is_not_waited_for(self) -> None:
        single = replace(self.SPEED, slots=1)
        both = [Arrival(0.0, 1000, 500, "a"), Arrival(0.1, 1000, 500, "b"), Arrival(0.2, 1000, 500, "a")]
        served = {each.arrival: each for each in run(both, [single] * 3)}
        assert len({each.replica for each in served.values()}) == 3

    def test_from_the_command_line(self, tmp_path: Path) -> None:
        path = tmp_path / "t.csv"
        rows = [f"{a.at_s},{a.prompt_tokens},{a.output_tokens},{a.conversation}" for a in self.turns(5, 5)]
        path.write_text("\n".join(["arrival_s,prompt_tokens,output_tokens,conversation", *rows]) + "\n")
        words = ["fleet", "plan", "qwen3-8b", "--machines", f"2={NODE}", "--trace", str(path)]
        done = RUN.invoke(cli, words)
        assert done.exit_code == 0, done.output
        assert "a router that knows prefixes: " in done.output and "one that does not: " in done.output
        document = json.loads(RUN.invoke(cli, [*words, "--json"]).stdout)
        assert document["simulated"]["found_share"] > document["simulated_unaware"]["found_share"]
