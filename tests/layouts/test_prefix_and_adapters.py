"""Prompts that begin alike, cache outside the GPUs, adapters beside the model."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from documents import planned
from wellfed.cli.main import cli
from wellfed.nouns.layout import Engine
from wellfed.nouns.plan import Plan, Request
from wellfed.nouns.workload import Workload
from wellfed.perf.memory import memory
from wellfed.planner.tiers import Tier, tiers
from wellfed.units import GIB
from wellfed.verbs import inputs, planning
from wellfed.verbs.commands import ModelReference, command_for

ON = "2x rtx 3090, ryzen 9 7950x, 128gb"
LOAD = Workload(concurrency=8, prompt_tokens=16_000, output_tokens=512)


def best(engine: Engine = Engine.VLLM, load: Workload = LOAD, **options: Any) -> Plan:
    asked = planning.PlanOptions(on=options.pop("on", ON), engines=(engine,), workload=load, **options)
    found = planning.plan("qwen3-14b", asked).ranking.best
    assert found is not None
    return found


class TestSharedPrefix:
    def test_its_cache_is_kept_once_and_it_is_computed_once(self) -> None:
        plain = best(quantisations=("int4",), pins=("tp=2",))
        load = replace(LOAD, shared_prefix_tokens=12_000)
        request = Request(plain.machine, plain.model, plain.weights, plain.layout, load)
        before, after = plain.estimate.memory.max_sequences or 0, memory(request).max_sequences or 0
        assert after > 2 * before
        search, _ = planning.search("qwen3-14b", planning.PlanOptions(workload=load), plain.machine)
        shared = search.estimate(request)
        assert shared.ttft_s.value < 0.6 * plain.estimate.ttft_s.value

    def test_llama_cpp_keeps_one_for_each_slot(self) -> None:
        plain = best(Engine.LLAMA_CPP, quantisations=("q4_k_m",))
        load = replace(LOAD, shared_prefix_tokens=12_000)
        request = Request(plain.machine, plain.model, plain.weights, plain.layout, load)
        assert memory(request).devices == plain.estimate.memory.devices

    @settings(max_examples=25, deadline=None)
    @given(st.integers(0, 15_999), st.integers(0, 15_999))
    def test_more_in_common_never_needs_more(self, one: int, other: int) -> None:
        plain = planned_once()
        few, many = sorted((one, other))
        sizes = [
            memory(
                Request(plain.machine, plain.model, plain.weights, plain.layout, replace(LOAD, shared_prefix_tokens=n))
            ).max_sequences
            or 0
            for n in (few, many)
        ]
        assert sizes[0] <= sizes[1]

    def test_it_must_leave_something_of_the_prompt(self) -> None:
        done = CliRunner().invoke(cli, ["plan", "qwen3-8b", "--on", ON, "--prompt", "100", "--shared-prefix", "100"])
        assert done.exit_code != 0


_KEPT: list[Plan] = []


def planned_once() -> Plan:
    if not _KEPT:
        _KEPT.append(best(quantisations=("int4",), pins=("tp=2",)))
    return _KEPT[0]


class TestTiers:
    def named(self, plan: Plan) -> dict[str, Tier]:
        return {tier.place: tier for tier in tiers(plan)}

    def test_ram_holds_more_than_the_pool_and_a_hit_is_quicker(self) -> None:
        found = self.named(planned_once())
        assert set(found) == {"gpu", "ram", "disk"}
        ram = found["ram"]
        assert ram.holds_tokens and found["gpu"].holds_tokens and ram.holds_tokens > found["gpu"].holds_tokens
        assert ram.hit_s < ram.computed_s and ram.break_even_tokens is not None and ram.break_even_tokens < 1000
        assert ram.hit_s < found["disk"].hit_s
        assert "--kv-offloading-size" in ram.flag

    def test_the_copy_is_bytes_over_the_link(self) -> None:
        """Qwen3-14B: 40 layers, 8 KV heads of 128, 16 bits: 160 KiB a token, half of it on each of two ranks."""
        ram = self.named(planned_once())["ram"]
        assert ram.hit_s == pytest.approx(0.002 + 16_000 * 160 * 1024 / 2 / 13e9, rel=0.05)  # x8 PCIe 4.0

    def test_a_narrow_link_makes_computing_quicker(self) -> None:
        """A small model behind one PCIe 3.0 lane."""
        load = Workload(prompt_tokens=4000, output_tokens=64)
        search, _ = planning.search(
            "qwen3-0.6b", planning.PlanOptions(on="rtx 5090 pcie 3.0 x1, ryzen 9 7950x, 64gb", workload=load,
                                               engines=(Engine.VLLM,), quantisations=("bf16",)),
            inputs.machine("rtx 5090 pcie 3.0 x1, ryzen 9 7950x, 64gb"),
        )  # fmt: skip
        plan = search.run().best
        assert plan is not None
        assert self.named(plan)["ram"].break_even_tokens is None

    def test_one_pool_has_nothing_to_copy(self) -> None:
        assert tiers(best(Engine.LLAMA_CPP, on="dgx spark", quantisations=("q4_k_m",))) == ()

    def test_they_are_told_where_a_prefix_is_asked_for(self) -> None:
        words = ("qwen3-14b", "--on", ON, "-e", "vllm", "--prompt", "16000", "--shared-prefix", "12000", "--top", "1")
        done = CliRunner().invoke(cli, ["plan", *words])
        assert done.exit_code == 0 and "copying 12,000 in takes" in done.output
        rows = planned(*words)["plans"][0]["cache_tiers"]
        assert [row["place"] for row in rows] == ["gpu", "ram", "disk"]

    def test_cache_in_ram_is_in_its_ledger_and_on_the_command_line(self) -> None:
        words = ("qwen3-14b", "--on", ON, "-e", "vllm", "--set", "kv-offloading-size=40")
        ram = next(device for device in planned(*words)["plans"][0]["memory"] if device["device"] == "ram")
        assert next(t["bytes"] for t in ram["terms"] if t["name"] == "kv offload") == 40 * GIB
        done = CliRunner().invoke(cli, ["run", *words, "--dry-run"])
        assert "--kv-offloading-size 40" in done.output
        too_much = planned("qwen3-14b", "--on", ON, "-e", "vllm", "--set", "kv-offloading-size=200")
        assert not too_much["plans"]

    def test_a_hierarchical_cache_is_a_multiple_of_the_pool(self) -> None:
        line = "python -m sglang.launch_server --model-path Qwen/Qwen3-8B --enable-hierarchical-cache --hicache-ratio 3"
        found = planned("--from-command", line, "--on", "rtx 4090, ryzen 9 7950x, 128gb")["as_it_is"]
        gpu, ram = found["memory"]
        pool = gpu["spare_bytes"] + next(t["bytes"] for t in gpu["terms"] if t["name"] == "kv")
        assert next(t["bytes"] for t in ram["terms"] if t["name"] == "kv offload") == pytest.approx(3 * pool)


class TestAdapters:
    def test_they_are_in_the_ledger_of_every_engine_that_serves_them(self) -> None:
        plans = planned("llama-3.1-8b", "--on", "rtx 3090, ryzen 9 7950x, 64gb", "--lora", "4@64", "--top", "20")[
            "plans"
        ]
        assert {plan["layout"]["engine"] for plan in plans} >= {"llama.cpp", "vllm"}
        for plan in plans:
            gpu = plan["memory"][0]
            if plan["placement"] == "GPU":
                held = next(term["bytes"] for term in gpu["terms"] if term["name"] == "adapters")
                assert held == pytest.approx(81_920 * 32 * 64 * 4 * 2)

    def test_others_are_refused_with_the_reason(self) -> None:
        refused = planned("qwen3-30b-a3b", "--on", "rtx 3090, ryzen 9 7950x, 64gb", "--lora", "2")["refused"]
        assert any("adapters" in row["reason"] for row in refused)

    def test_they_reach_the_commands(self) -> None:
        plan = planned("llama-3.1-8b", "--on", "rtx 3090, ryzen 9 7950x, 64gb", "-e", "vllm", "--lora", "4@50")
        commands = " ".join(step["command"] for step in plan["next"]) if "next" in plan else json.dumps(plan)
        assert "--max-loras 4 --max-lora-rank 64" in commands

    @pytest.mark.parametrize("engine", [Engine.LLAMA_CPP, Engine.VLLM, Engine.SGLANG, Engine.TENSORRT_LLM])
    def test_they_cost_time_the_more_the_more_there_are(self, engine: Engine) -> None:
        plain = best(engine)
        search, _ = planning.search("qwen3-14b", planning.PlanOptions(workload=LOAD), plain.machine)

        def rate(count: int, rank: int) -> float:
            beside = (("lora", "1"), ("loras", str(count)), ("lora_rank", str(rank))) if count else ()
            layout = replace(plain.layout, options=(*plain.layout.options, *beside))
            request = Request(plain.machine, plain.model, plain.weights, layout, replace(LOAD, prompt_tokens=16))
            return search.estimate(request).decode_tok_s.value

        rates = [rate(0, 0), rate(1, 8), rate(1, 128), rate(8, 128)]
        assert rates[0] > rates[1] > rates[2] > rates[3] > 0.1 * rates[0]

    def test_no_more_of_them_are_read_than_there_are_users(self) -> None:
        alone = replace(LOAD, concurrency=1)
        few, many = (best(load=alone, lora=lora).estimate.tpot_s.value for lora in ("1@64", "16@64"))
        assert many == pytest.approx(few)

    def test_tensorrt_llm_is_told_of_them(self) -> None:
        plan = planned("llama-3.1-8b", "--on", "rtx 3090, ryzen 9 7950x, 64gb", "-e", "tensorrt-llm", "--lora", "4@50")
        ours = plan["plans"][0]["next"][0]["command"]
        assert "--lora 4@50" in ours
        done = CliRunner().invoke(cli, [*shlex.split(ours)[1:]])
        assert done.exit_code == 0
        spec = command_for(best(Engine.TENSORRT_LLM, lora="4@50"), ModelReference("m"))
        assert any("max_lora_rank: 50, max_loras: 4" in note for note in spec.notes)

    @pytest.mark.parametrize("text", ["x", "0", "4@", "4@x", "-1", "4@0", ""])
    def test_words_that_are_no_number_of_adapters(self, text: str) -> None:
        done = CliRunner().invoke(cli, ["plan", "llama-3.1-8b", "--on", "rtx 3090", "--lora", text])
        assert done.exit_code != 0 and done.exception is not None
