"""One sequence's tokens over several ranks: memory, speed, what engines take, launch."""

from __future__ import annotations

import shlex
from dataclasses import replace
from functools import cache

import pytest
from click.testing import CliRunner

from wellfed.cli.main import cli
from wellfed.errors import BadInput
from wellfed.nouns.layout import Engine
from wellfed.nouns.plan import Plan
from wellfed.nouns.workload import Workload
from wellfed.planner.kinds import describe
from wellfed.verbs import planning
from wellfed.verbs.commands import ModelReference, command_for
from wellfed.verbs.next_steps import next_steps
from wellfed.verbs.restated import restated

ON = "8x h200, 2x xeon 8480+"
LOAD = Workload(concurrency=4, prompt_tokens=16_000, output_tokens=512, context_tokens=32_000)


@cache
def best(model: str, *pins: str, engine: Engine = Engine.VLLM, load: Workload = LOAD, quant: str = "int4") -> Plan:
    options = planning.PlanOptions(
        on=ON, engines=(engine,), pins=pins, workload=load, quantisations=(quant,), speculate="none"
    )
    found = planning.plan(model, options).ranking.best
    assert found is not None
    return found


def cache_bytes(plan: Plan) -> float:
    return sum(term.bytes for term in plan.estimate.memory.devices[0].terms if term.name == "kv")


class TestDecode:
    def test_copies_of_latents_become_parts(self) -> None:
        whole, divided = best("deepseek-v3.1", "tp=8"), best("deepseek-v3.1", "tp=8", "dcp=8")
        assert cache_bytes(divided) == pytest.approx(cache_bytes(whole) / 8)
        assert (divided.estimate.memory.max_sequences or 0) > 6 * (whole.estimate.memory.max_sequences or 0)

    def test_it_saves_reading_more_the_longer_contexts_are_and_costs_messages(self) -> None:
        """Of each token: what the cache's part is read sooner, against the exchanges that divide it."""
        gains = []
        for context in (512, 120_000):
            load = replace(LOAD, concurrency=32, prompt_tokens=context, context_tokens=context + 1024)
            whole, divided = (best("deepseek-v3.1", "tp=8", *more, load=load) for more in ((), ("dcp=8",)))
            read, said = (
                [sum(term.seconds for term in plan.estimate.decode if term.name == name) for plan in (whole, divided)]
                for name in ("kv cache and scores", "communication")
            )
            assert read[1] < read[0] and said[1] > said[0]
            gains.append((read[0] - read[1]) / (said[1] - said[0]))
        assert gains[1] > 5 * gains[0]

    @pytest.mark.parametrize(
        ("engine", "pin", "flag"),
        [(Engine.VLLM, "dcp=2", "--decode-context-parallel-size"), (Engine.SGLANG, "dcp-size=2", "--dcp-size")],
    )
    def test_it_reaches_the_command(self, engine: Engine, pin: str, flag: str) -> None:
        plan = best("qwen3-235b-a22b", "tp=8", pin, engine=engine)
        words = command_for(plan, ModelReference("m")).argv
        assert words[words.index(flag) + 1] == "2"
        assert "DCP2" in describe(plan.layout)

    def test_it_is_found_where_it_helps_and_the_command_leads_there(self) -> None:
        load = Workload(concurrency=64, prompt_tokens=100_000, output_tokens=512, context_tokens=120_000)
        options = planning.PlanOptions(on=ON, engines=(Engine.SGLANG,), workload=load, quantisations=("int4",))
        plans = planning.plan("qwen3-235b-a22b-thinking-2507", options).ranking.plans
        divided = [plan for plan in plans if "DCP" in describe(plan.layout)]
        assert divided
        ours = next_steps("qwen3-235b-a22b-thinking-2507", divided[0], ON, None, restated(options)).steps[0].command
        assert "decode-context-parallel-size=" in ours
        assert CliRunner().invoke(cli, shlex.split(ours)[1:]).exit_code == 0

    def test_ordinary_loads_do_not_try_it(self) -> None:
        options = planning.PlanOptions(on=ON, engines=(Engine.VLLM,), quantisations=("int4",))
        plans = planning.plan("deepseek-v3.1", options).ranking.plans
        assert not any("DCP" in describe(plan.layout) for plan in plans)


class TestPrefill:
    def test_it_takes_more_gpus_divides_experts_and_shortens_prompts(self) -> None:
        four, eight = best("deepseek-v3.1", "tp=4", "dp=1"), best("deepseek-v3.1", "tp=4", "pcp=2")
        assert (four.layout.gpus, eight.layout.gpus) == (4, 8)
        assert len(eight.estimate.memory.devices) == len(four.estimate.memory.devices) + 4
        held = [plan.estimate.memory.devices[0].needed_bytes for plan in (four, eight)]
        assert held[1] < 0.7 * held[0]
        assert cache_bytes(eight) == pytest.approx(cache_bytes(four))  # whole on each
        assert eight.estimate.ttft_s.value < 0.75 * four.estimate.ttft_s.value

    def test_it_reaches_the_command_in_any_order(self) -> None:
        for pins in (("tp=4", "pcp=2"), ("pcp=2", "tp=4")):
            plan = best("deepseek-v3.1", *pins)
            words = command_for(plan, ModelReference("m")).argv
            assert words[words.index("--prefill-context-parallel-size") + 1] == "2"
            assert plan.layout.gpus == 8


@pytest.mark.parametrize(
    ("model", "pins", "would_do"),
    [
        pytest.param("deepseek-v3.1", ("tp=8", "dcp=3"), "at most 8", marks=pytest.mark.slow),
        ("qwen3-235b-a22b", ("tp=8", "dcp=4"), "at most 2"),
        pytest.param("deepseek-v3.1", ("tp=2", "pcp=2", "dcp=3"), "1, P or", marks=pytest.mark.slow),
        
        pytest.param("deepseek-v3.1", ("tp=8", "pcp=2"), "at most 8", marks=pytest.mark.slow),
        ("gpt-oss-120b", ("tp=8", "dcp=2"), "at most 1"),
    ],
)  # fmt: skip
def test_degrees_that_engines_refuse_are_told_with_what_would_do(
    model: str, pins: tuple[str, ...], would_do: str
) -> None:
    with pytest.raises(BadInput) as error:
        planning.plan(model, planning.PlanOptions(on=ON, engines=(Engine.VLLM,), pins=pins))
    assert would_do in str(error.value.hint)


def test_a_command_line_with_it_is_read() -> None:
    line = "vllm serve deepseek-ai/DeepSeek-V3.1 -tp 4 -pcp 2 -dcp 2 --max-model-len 65536"
    done = CliRunner().invoke(cli, ["plan", "--on", ON, "--from-command", line, "--json"])
    assert done.exit_code in (0, 1), done.output
    assert "TP4 x DCP2 x PCP2" in done.stdout
