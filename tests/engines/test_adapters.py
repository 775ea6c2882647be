"""Every flag that an adapter writes is on its engine's recorded list, whatever the layout."""

from __future__ import annotations

from dataclasses import replace

import pytest

from wellfed.engines.spec import Endpoint, LaunchSpec
from wellfed.launch.programs import Program, recorded_flags, unknown_flags
from wellfed.nouns.layout import Engine
from wellfed.nouns.plan import Plan
from wellfed.verbs import planning, running

ENGINES = (Engine.LLAMA_CPP, Engine.IK_LLAMA_CPP, Engine.VLLM, Engine.SGLANG, Engine.KTRANSFORMERS)
MACHINES = ("2x EPYC 9654 with 24x 64GB DDR5-4800 and 4x H100 SXM", "Ryzen 9 7950X with 2x 32GB DDR5-5600 and RTX 4090")


def plans(engine: Engine, machine: str, model: str) -> list[Plan]:
    """The engine's ten best."""
    found = planning.plan(model, planning.PlanOptions(on=machine, engines=(engine,))).ranking.plans
    return list(found[:10])


def written(plan: Plan) -> LaunchSpec:
    """As it would be started."""
    return running.launch_spec(plan, Program(("engine",), "test"), "/models/m", Endpoint(api_key="sk-secret"))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("model", ["deepseek-v2-lite", "deepseek-r1-distill-llama-70b"])
def test_flags_are_known_and_keys_are_not_written(engine: Engine, machine: str, model: str) -> None:
    for plan in plans(engine, machine, model):
        spec = written(plan)
        assert unknown_flags(spec.argv, " ".join(recorded_flags(engine))) == ()
        assert not any("sk-secret" in word for word in (*spec.argv, *spec.environment.values(), spec.command_line()))
        assert "sk-secret" in spec.secrets.values()
        assert len(spec.gpus) == min(plan.layout.gpus, len(plan.machine.gpus))


def test_the_engines_are_planned_for_at_all() -> None:
    """Else the test above would pass on nothing."""
    for engine in ENGINES:
        model = "deepseek-v2-lite"
        assert any(plans(engine, machine, model) for machine in MACHINES)


@pytest.mark.parametrize("engine", [Engine.VLLM, Engine.SGLANG])
def test_several_nodes_use_the_engines_own_distribution(engine: Engine) -> None:
    options = planning.PlanOptions(on=MACHINES[0], nodes=2, network="400Gb", engines=(engine,))
    wide = [plan for plan in planning.plan("deepseek-r1", options).ranking.plans if plan.layout.gpus > 4]
    if not wide:
        plan = planning.plan("deepseek-v2-lite", options).ranking.plans[0]
        wide = [replace(plan, layout=replace(plan.layout, gpus=8, tensor_parallel=4, pipeline_parallel=2))]
    spec = written(wide[0])
    assert spec.nodes == 2
    assert unknown_flags(spec.argv, " ".join(recorded_flags(engine))) == ()
