"""How many copies a rate needs, DP3 on three machines, idle GPUs told, estimates only never first."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
from click.testing import CliRunner

from wellfed.cli.main import cli
from wellfed.engines.usual import can_be_started
from wellfed.nouns.layout import Engine
from wellfed.nouns.workload import Workload
from wellfed.planner.answer import Answer
from wellfed.planner.replicas import idle_words, most_rate, replicas
from wellfed.verbs import planning

NODES = "8x h200, 2x epyc 9654"


def answer(on: str, model: str, rate: float | None, nodes: int | None = None, **load: object) -> Answer:
    workload = Workload("chat", request_rate=rate, prompt_tokens=1024, output_tokens=512, **load)  # type: ignore[arg-type]
    options = planning.PlanOptions(
        on=on, nodes=nodes, network="400gb" if nodes else None, workload=workload, engines=(Engine.VLLM,),
        quantisations=("fp8",),
    )  # fmt: skip
    return planning.plan(model, options)


@pytest.fixture(scope="module")
def loaded() -> Answer:
    return answer(NODES, "deepseek-r1", 20.0, 3, tpot_target_s=0.04)


def test_three_machines_are_three_replicas(loaded: Answer) -> None:
    best = loaded.ranking.best
    assert best is not None and best.layout.data_parallel == 3 and best.layout.gpus == 24
    assert idle_words(best) is None


def test_replicas_carry_the_rate(loaded: Answer) -> None:
    best = loaded.ranking.best
    assert best is not None
    copies = replicas(loaded.search, best)
    assert copies is not None and copies.count == math.ceil(20.0 / copies.most_rate) and copies.here == 1
    assert "20" in str(copies.sentence())


def test_a_looser_target_carries_more() -> None:
    tight = answer("2x l40s, epyc 9354", "qwen3-8b", 1.0, tpot_target_s=0.02)
    loose = answer("2x l40s, epyc 9354", "qwen3-8b", 1.0, tpot_target_s=0.1)
    assert tight.ranking.best and loose.ranking.best
    plan = tight.ranking.best
    slack = replace(plan, workload=replace(plan.workload, tpot_target_s=0.1))
    low, high = most_rate(tight.search, plan), most_rate(loose.search, slack)
    assert low is not None and high is not None and high > low


def test_without_a_rate_nothing_is_said() -> None:
    calm = answer("rtx 4090, ryzen 9 7950x", "qwen3-8b", None)
    assert calm.ranking.best and replicas(calm.search, calm.ranking.best) is None


def test_idle_gpus_are_named() -> None:
    done = CliRunner().invoke(cli, ["plan", "qwen3-8b", "--on", "3x rtx 4090, epyc 9354", "-e", "vllm", "--json"])
    plans = json.loads(done.stdout)["plans"]
    assert all(plan["idle_gpus"] == 3 - plan["layout"]["gpus"] for plan in plans)
    shown = CliRunner().invoke(cli, ["plan", "qwen3-8b", "--on", "3x rtx 4090, epyc 9354", "-e", "vllm"]).stdout
    assert ("idle" in shown) == (plans[0]["idle_gpus"] > 0)


def test_an_estimate_only_never_stands_first() -> None:
    options = planning.PlanOptions(
        on=NODES, nodes=3, network="400gb", workload=Workload("chat", request_rate=20.0, tpot_target_s=0.005),
        quantisations=("fp8",), engines=(Engine.TENSORRT_LLM, Engine.VLLM),
    )  # fmt: skip
    best = planning.plan("deepseek-r1", options).ranking.best
    assert best is not None and can_be_started(best.machine, best.layout)
