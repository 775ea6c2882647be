"""Unequal cards, islands of direct links, cards of two vendors; formats that a chip does not know."""

from __future__ import annotations

from dataclasses import replace

import pytest

from wellfed.engines.spec import Endpoint
from wellfed.hardware.machine import GpuLink, Machine
from wellfed.hardware.selection import by_islands, equal_groups, selected
from wellfed.launch.programs import nominal
from wellfed.nouns.layout import Engine
from wellfed.perf.memory.chosen import narrowed
from wellfed.planner.candidates import candidates
from wellfed.planner.groups import groups, stage_split
from wellfed.planner.usable import usable
from wellfed.verbs import commands, inputs, planning

MIXED = "rtx 5090, 3x rtx 3090, ryzen 9 7950x, 64gb"


def machine(text: str) -> Machine:
    return usable(inputs.machine(text))


def plan(on: str, name: str = "qwen3-32b", engine: Engine = Engine.VLLM, **options: object) -> planning.PlanOptions:
    return planning.PlanOptions(on=on, engines=(engine,), **options)  # type: ignore[arg-type]


def test_every_kind_of_card_is_a_group_and_vllm_takes_all_together() -> None:
    found = list(groups(machine(MIXED), Engine.VLLM))
    assert [len(group.gpus) for group in found] == [1, 3, 4]
    assert [group.mixed for group in found] == [False, False, True]
    assert [len(group.gpus) for group in groups(machine(MIXED), Engine.SGLANG)] == [1, 3]


def test_the_larger_group_of_slower_cards_serves_what_the_fast_one_cannot_hold() -> None:
    where = "rtx 4090, 4x l40s, epyc 9354, 512gb"
    best = planning.plan("llama-3.3-70b", plan(where, engine=Engine.SGLANG)).ranking.best
    assert best is not None and best.layout.gpus == 4 and set(best.layout.devices) <= {0, 1, 2, 3, 4}
    names = {gpu.index: gpu.spec.name for gpu in best.machine.gpus if gpu.spec}
    used = [names[number] for number in best.layout.devices] if best.layout.devices else list(names.values())[:4]
    assert set(used) == {"L40S"}


def test_named_gpus_are_the_ones_that_are_seen() -> None:
    where = "rtx 5090, 3x rtx 3090, ryzen 9 7950x, 64gb"
    search, _ = planning.search("qwen3-32b", plan(where, engine=Engine.SGLANG), inputs.machine(where))
    ranked = [p for p in search.run().plans if p.layout.devices]
    assert ranked, "the group of three is planned on"
    spec = commands.launch_spec(ranked[0], nominal(Engine.SGLANG), "m", Endpoint())
    assert spec.environment["CUDA_VISIBLE_DEVICES"] == ",".join(map(str, ranked[0].layout.devices))
    assert spec.environment["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID" and spec.gpus == ranked[0].layout.devices


def test_stages_follow_memory_and_reach_the_launch() -> None:
    group = next(
        group for group in groups(machine("rtx 5090, rtx 3090, ryzen 9 7950x, 64gb"), Engine.VLLM) if group.mixed
    )
    split = stage_split(group, 64, 1, 2)
    assert sum(split) == 64 and split[0] / split[1] == pytest.approx(32 / 24, rel=0.05)
    where = "rtx 5090, rtx 3090, ryzen 9 7950x, 64gb"
    options = plan(where, pins=("pp=2",), quantisations=("int4",))
    best = planning.plan("qwen3-32b", options).ranking.best
    assert best is not None and best.layout.split == split
    spec = commands.launch_spec(best, nominal(Engine.VLLM), "m", Endpoint())
    assert spec.environment["VLLM_PP_LAYER_PARTITION"] == ",".join(map(str, split))
    held = [device.terms[0].bytes for device in best.estimate.memory.devices if device.device != "ram"]
    assert held[0] > held[1]


def test_unequal_stages_hold_more_than_equal_ones() -> None:
    where = "rtx 5090, rtx 3060 12gb, ryzen 9 7950x, 64gb"
    options = plan(where, pins=("pp=2",), quantisations=("int4",))
    best = planning.plan("qwen3-32b", options).ranking.best
    assert best is not None
    even = replace(best.layout, split=())
    from wellfed.nouns.plan import Request
    from wellfed.perf.memory import cache_tokens

    def tokens(layout: object) -> float:
        asked = Request(best.machine, best.model, best.weights, layout, best.workload)  # type: ignore[arg-type]
        return cache_tokens(asked) or 0.0

    assert tokens(best.layout) > tokens(even)


class TestIslands:
    PAIRS = (GpuLink(0, 2, "nvlink", 56e9), GpuLink(1, 3, "nvlink", 56e9))

    def test_joined_gpus_stand_beside_each_other(self) -> None:
        four = replace(inputs.machine("4x rtx 3090, epyc 7763, 256gb"), gpu_links=self.PAIRS)
        assert by_islands(four, range(4)) == (0, 2, 1, 3)
        assert equal_groups(four) == ((0, 2, 1, 3),)

    def test_links_are_renumbered(self) -> None:
        four = replace(inputs.machine("4x rtx 3090, epyc 7763, 256gb"), gpu_links=self.PAIRS)
        two = selected(four, (1, 3))
        assert [(link.a, link.b) for link in two.gpu_links] == [(0, 1)]
        assert [gpu.index for gpu in two.gpus] == [1, 3]

    def test_a_pair_on_one_island_is_quicker_than_across(self) -> None:
        four = replace(inputs.machine("4x rtx 3090, epyc 7763, 256gb"), gpu_links=self.PAIRS)
        search, _ = planning.search("qwen3-32b", plan("unused", quantisations=("int4",)), four)
        pairs = [p for p in search.run().plans if p.layout.tensor_parallel == 2 and p.layout.gpus == 2]
        assert pairs and pairs[0].layout.devices == (0, 2)
        across = replace(pairs[0].layout, devices=(0, 1))
        from wellfed.nouns.plan import Request

        request = Request(four, pairs[0].model, pairs[0].weights, across, pairs[0].workload)
        assert search.estimate(request).tpot_s.value > pairs[0].estimate.tpot_s.value


def test_a_request_on_equal_gpus_is_left_as_it_was() -> None:
    search, _ = planning.search("qwen3-8b", plan(MIXED), inputs.machine("4x rtx 3090, epyc 7763, 256gb"))
    request = next(iter(search.requests(candidates(search.machine, search.model, search.goal, []))))
    assert narrowed(request) is request


def test_cards_of_the_other_vendor_are_tried_too() -> None:
    """The radeon has more bandwidth than one 4060 Ti, yet three of those hold what it does not."""
    where = inputs.machine("rx 7900 xtx, 4x rtx 4060 ti 16gb, epyc 9354, 32gb")
    options = planning.PlanOptions(quantisations=("q4_k_m",), engines=(Engine.LLAMA_CPP,))
    best = planning.plan_on(where, "llama-3.3-70b", options).ranking.best
    assert best is not None and {gpu.spec.vendor for gpu in best.machine.gpus if gpu.spec} == {"nvidia"}


class TestWidenedFormats:
    def test_ampere_runs_fp8_at_its_size_and_half_precisions_rate(self) -> None:
        where = "2x rtx 3090, ryzen 9 7950x, 64gb"
        fp8, int4, half = (
            planning.plan("qwen3-14b", plan(where, quantisations=(kind,))).ranking.best
            for kind in ("fp8", "int4", "bf16")
        )
        assert fp8 and int4 and half
        sizes = [one.weights.total for one in (int4, fp8, half)]
        assert sizes == sorted(sizes) and sizes[1] < 0.6 * sizes[2]
        assert fp8.estimate.tpot_s.value < half.estimate.tpot_s.value
        assert fp8.estimate.prefill_tok_s.value <= 1.1 * half.estimate.prefill_tok_s.value

    def test_it_is_in_the_search_unasked(self) -> None:
        found = planning.plan("qwen3-14b", plan("2x rtx 3090, ryzen 9 7950x, 64gb")).ranking.plans
        assert "fp8" in {p.layout.quantisation for p in found}

    def test_nvfp4_runs_on_ampere_when_it_is_named(self) -> None:
        best = planning.plan("qwen3-14b", plan("rtx a6000, ryzen 9 7950x, 64gb", quantisations=("nvfp4",))).ranking.best
        assert best is not None and best.layout.quantisation == "nvfp4"

    @pytest.mark.parametrize(("engine", "fits"), [("vllm@0.9.2", True), ("vllm", False)])
    def test_volta_by_version(self, engine: str, fits: bool) -> None:
        from wellfed import plan as plan_of

        found = plan_of("qwen3-14b", on="v100 32gb, xeon 8480, 256gb", engine=engine)
        assert bool(found.answer.ranking.plans) is fits
