"""What a search leaves unsettled would have changed nothing, and no estimate beats its layout's bound."""

from __future__ import annotations

from itertools import islice
from typing import Any

import pytest

from samples import few
from wellfed.engines.capabilities import CAPABILITIES
from wellfed.frozen import replace
from wellfed.library.planning import Planned, plan
from wellfed.models.quantisation import weights
from wellfed.nouns.estimate import Speeds, speeds_of
from wellfed.nouns.layout import SOME_EXPERTS, Engine
from wellfed.nouns.plan import Request
from wellfed.perf.estimate import speeds
from wellfed.perf.memory import least_missing_bytes, spare_bytes
from wellfed.planner import ranking, search, standings
from wellfed.planner.degrees import MICRO_BATCHES
from wellfed.planner.dominated import Dominated
from wellfed.planner.floors import fastest
from wellfed.planner.goal import Objective
from wellfed.planner.kinds import Kind
from wellfed.planner.offloads import as_many_as_fit
from wellfed.verbs import inputs, planning

BIG, SMALL = "2x xeon 8480+, 16x64GB ddr5-4800", "ryzen 5 5600, 2x32gb ddr4-3200"
Case = tuple[str, dict[str, Any]]
CASES: list[Case] = [
    ("qwen3-30b-a3b", {"on": f"rtx 3060 12gb, {SMALL}"}),
    ("qwen3-32b", {"on": f"rtx 3060 12gb, {SMALL}", "for_": Objective.QUALITY}),
    ("gpt-oss-120b", {"on": "2x rtx 3090, ryzen 9 7950x, 4x32gb ddr5-4800", "concurrency": 4}),
    ("qwen3-32b", {"on": f"rtx 4090, {SMALL}", "ttft": 1, "tpot": 40}),
    ("qwen3-30b-a3b", {"on": f"rtx 4090, {SMALL}", "rate": 0.2}),
    ("deepseek-r1", {"on": f"2x rtx 4090, {BIG}"}),
    ("qwen3-235b-a22b", {"on": "4x rtx 3090, epyc 7543, 8x64gb ddr4-3200"}),
    ("r1:70b", {"on": f"rtx 4090, {BIG}", "for_": Objective.COST}),
    ("r1:70b", {"on": f"rtx 4090, {SMALL}", "for_": Objective.LATENCY, "kv_type": ("any",)}),
    ("deepseek-r1", {"on": f"8x h200, {BIG}"}),
    ("qwen3-8b", {"on": "ryzen 9 7950x, 2x32GB ddr5-5600"}),
    ("qwen3-30b-a3b", {"on": f"2x mi50 32gb, {SMALL}", "for_": Objective.THROUGHPUT}),
]


def _rows(found: Planned) -> list[object]:
    return [(one.layout, one.workload, speeds_of(one.estimate)) for one in found.answer.ranking.plans]


@pytest.mark.parametrize("case", few(CASES, 8, lambda case: f"{case[0]} {case[1]['on']}"))
def test_the_order_is_that_of_all_estimates(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    model, keywords = case
    lean = plan(model, **keywords)
    assert any(queue.waiting for queue in lean.answer.ranking.standings.queues.values()), "nothing was left unsettled"
    monkeypatch.setattr(search, "fastest", lambda request, calibration: None)
    whole = plan(model, **keywords)
    assert lean.answer.verdict == whole.answer.verdict
    assert [one.layout for one in lean.plans] == [one.layout for one in whole.plans]
    assert _rows(lean) == _rows(whole)
    assert lean.answer.ranking.near_miss == whole.answer.ranking.near_miss


@pytest.mark.parametrize("count", [1, 4, 12])
def test_who_stands_in_front_is_decided_without_settling_all(count: int) -> None:
    asked = plan("deepseek-r1", on=f"8x h200, {BIG}", nodes=2, network="400Gb", concurrency=64).answer.search

    def served(contender: standings.Contender) -> bool:
        return CAPABILITIES[contender.layout.engine].tensor_parallel

    lean, whole = (asked.rank(asked.layouts([]), all_chunks=True) for _ in range(2))
    first = [contender.layout for contender in lean.in_front(count, served)]
    assert first == [contender.layout for contender in islice(whole.front(), count) if served(contender)]
    assert any(queue.waiting for queue in lean.standings.queues.values())


@pytest.mark.parametrize("case", few(CASES, 8, lambda case: f"{case[0]} {case[1]['on']}"))
def test_no_estimate_beats_its_bound(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    model, keywords = case
    bounds: list[tuple[Speeds, Speeds]] = []

    def watch(name: str) -> None:
        become = getattr(search.Search, name)

        def watched(self: search.Search, request: Request, outs: object) -> object:
            bound = fastest(request, self.calibration)
            for one in become(self, request, outs):
                if bound is not None and one.settle is None:
                    bounds.append((bound, speeds_of(one.plan.estimate)))
                yield one

        monkeypatch.setattr(search.Search, name, watched)

    watch("_settled")
    watch("_timed")
    list(plan(model, **keywords).answer.ranking.plans)
    assert bounds
    for bound, true in bounds:
        assert 0 < bound.ttft_s <= true.ttft_s and 0 < bound.tpot_s <= true.tpot_s
        assert bound.total_tok_s >= true.total_tok_s


SPREAD: list[Case] = [
    ("deepseek-r1", {"on": f"8x h200, {BIG}"}),
    ("deepseek-r1", {"on": f"8x a100 80gb, {BIG}", "nodes": 3, "network": "400Gb", "concurrency": 64}),
    ("qwen3-32b", {"on": f"rtx 4090, rtx 3060 12gb, {SMALL}"}),
    ("r1:70b", {"on": f"4x rtx 3090, {SMALL}", "kv_type": ("any",)}),
    ("gpt-oss-120b", {"on": f"2x mi50 32gb, {SMALL}"}),
]


@pytest.mark.parametrize("case", few(SPREAD, 3, lambda case: f"{case[0]} {case[1]['on']}"))
def test_what_weights_alone_lack_is_lacking(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    model, keywords = case
    lacking: list[Request] = []

    def told(request: Request) -> float:
        at_least = least_missing_bytes(request)
        if at_least:
            lacking.append(request)
            assert at_least <= -(spare_bytes(request) or 0.0)
        return at_least

    monkeypatch.setattr(ranking, "least_missing_bytes", told)
    lean = plan(model, **keywords)
    assert lacking, "no layout is too large by its weights alone"
    monkeypatch.setattr(ranking, "least_missing_bytes", lambda request: 0.0)
    whole = plan(model, **keywords)
    assert lean.answer.ranking.near_miss == whole.answer.ranking.near_miss
    assert lean.answer.ranking.refused == whole.answer.ranking.refused


def test_a_micro_batch_that_an_engine_has_not_changes_nothing() -> None:
    on = f"2x rtx 4090, {BIG}"
    asked, _ = planning.search("deepseek-r1", planning.PlanOptions(on=on), inputs.machine(on))
    dominated = Dominated(2, 2, 1, False, lambda layout: False, is_moe=True)
    layouts = [one for one in asked.layouts([]) if one.gpus == 2 and one.offload == SOME_EXPERTS]
    aside = [one for one in layouts if not dominated.worth(one, asked.workload)]
    assert {one.engine for one in aside} == {Engine.KTRANSFORMERS} and dominated.dismissed == len(aside)
    for layout in aside:
        whole = Request(asked.machine, asked.model, weights(asked.model, asked.quantisation(layout.quantisation)), layout,
                        asked.workload)  # fmt: skip
        least = replace(whole, layout=replace(layout, ubatch_tokens=MICRO_BATCHES[0]))
        first, second = (speeds(next(as_many_as_fit(each)), asked.calibration) for each in (whole, least))
        assert first == second


def test_the_best_of_a_placement_needs_few_estimates(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Request] = []
    estimate = search.Search.estimate

    def counted(self: search.Search, request: Request) -> object:
        made.append(request)
        return estimate(self, request)

    monkeypatch.setattr(search.Search, "estimate", counted)
    on = f"2x rtx 4090, {BIG}"
    asked, _ = planning.search("deepseek-r1", planning.PlanOptions(on=on), inputs.machine(on))
    found = asked.run()
    assert found.best_of(Kind.BOTH) is not None and found.best_of(Kind.CPU) is not None
    looked = len(made)
    assert looked < len(found.plans) / 2 and len(made) >= len(found.plans)
    assert found.considered >= len(made)
