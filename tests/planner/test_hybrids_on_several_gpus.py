"""More GPUs beside a CPU: each holds experts, and the plan says which layers it has."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from click.testing import CliRunner

from samples import few
from wellfed.cli.main import cli
from wellfed.nouns.layout import Engine
from wellfed.nouns.plan import Plan
from wellfed.planner.kinds import Kind, describe, kind_of
from wellfed.planner.upgrades import upgrades
from wellfed.verbs import planning

LOCAL = (Engine.LLAMA_CPP, Engine.IK_LLAMA_CPP)


def on_cards(count: int, card: str = "rtx 4090") -> str:
    return f"{count}x {card}, 2x epyc 9554, 24x32GB ddr5-4800"


def best(model: str, on: str, engine: Engine, quantisation: str = "q4_k_m", **options: object) -> Plan:
    options = {"engines": (engine,), "quantisations": (quantisation,), **options}
    plans = planning.plan(model, planning.PlanOptions(on=on, **options)).ranking.plans  # type: ignore[arg-type]
    return next(plan for plan in plans if kind_of(plan.layout) is not Kind.CPU)


def experts_in_ram(plan: Plan) -> int:
    count = plan.layout.offload.cpu_expert_layers
    return plan.model.expert_layers if count is None else count


def answer_s(plan: Plan) -> float:
    """What plans are ranked by: a whole answer."""
    return plan.estimate.ttft_s.value + plan.workload.output_tokens * plan.estimate.tpot_s.value


@pytest.mark.parametrize("engine", LOCAL)
@pytest.mark.parametrize("model", few(["qwen3-235b-a22b", "deepseek-r1"], 2))
def test_more_gpus_hold_more_experts_and_are_faster(engine: Engine, model: str) -> None:
    plans = [best(model, on_cards(count), engine) for count in range(1, 9)]
    for fewer, more in pairwise(plans):
        assert experts_in_ram(more) <= experts_in_ram(fewer)
        assert answer_s(more) <= answer_s(fewer)
        assert all((device.spare_bytes or 0) >= 0 for device in more.estimate.memory.devices)
    assert experts_in_ram(plans[5]) < experts_in_ram(plans[1])
    assert plans[5].estimate.tpot_s.value < 0.9 * plans[1].estimate.tpot_s.value


@pytest.mark.parametrize("engine", LOCAL)
def test_the_split_covers_every_layer_and_is_said(engine: Engine) -> None:
    plan = best("deepseek-r1", on_cards(6), engine)
    assert sum(plan.layout.split) == 62
    assert len(plan.layout.split) == plan.layout.gpus == 6
    assert "+".join(map(str, plan.layout.split)) in describe(plan.layout)
    notes = [t.note for d in plan.estimate.memory.devices[:-1] for t in d.terms if t.name == "weights"]
    layers = [int(note.split()[0]) for note in notes]
    assert layers == [*plan.layout.split[:-1], plan.layout.split[-1] - 1]


def test_engines_own_division_where_it_holds_as_much() -> None:
    assert best("deepseek-r1", on_cards(1), Engine.LLAMA_CPP).layout.split == ()
    assert best("deepseek-v2-lite", on_cards(2), Engine.LLAMA_CPP).layout.split == ()


def test_the_last_layers_need_no_cpu_when_a_split_fits_them_all() -> None:
    """By memory alone one card overflows; filled in turn, nothing stays in RAM."""
    found = [best("qwen3-235b-a22b", on_cards(count), Engine.LLAMA_CPP) for count in (5, 6, 7, 8)]
    whole = [plan for plan in found if kind_of(plan.layout) is Kind.GPU]
    assert whole
    assert any(plan.layout.split for plan in whole)


def test_another_card_is_worth_something_again() -> None:
    answer = planning.plan("deepseek-r1", planning.PlanOptions(on=on_cards(2), engines=(Engine.LLAMA_CPP,)))
    gains = {upgrade.change: upgrade.gain for upgrade in upgrades(answer.search, answer.ranking.best)}
    assert gains["2 more GeForce RTX 4090"] > 1.03


def test_unequal_cards_are_filled_each_to_its_own_size() -> None:
    """Whether three cards beat the fastest alone is the speed model's to say; where all work, each is filled."""
    on = "rtx 4090, 2x rtx 3060 12gb, epyc 9554, 12x32GB ddr5-4800"
    plans = planning.plan("qwen3-235b-a22b", planning.PlanOptions(on=on, engines=(Engine.LLAMA_CPP,))).ranking.plans
    plan = next(plan for plan in plans if plan.layout.gpus == 3 and plan.layout.offload.cpu_expert_layers)
    assert plan.layout.split
    assert all((device.spare_bytes or 0) >= 0 for device in plan.estimate.memory.devices)


def test_json_has_the_split() -> None:
    words = ["plan", "deepseek-r1", "--on", on_cards(4), "-e", "llama.cpp", "-q", "q4_k_m", "--json"]
    answer = json.loads(CliRunner().invoke(cli, words).stdout)
    assert sum(answer["plans"][0]["layout"]["split"]) == 62
