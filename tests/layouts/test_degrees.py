"""Degrees that are no powers of two, where heads allow, and KTransformers' flags as they are now."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from wellfed.cli.main import cli
from wellfed.engines.command_line import command
from wellfed.engines.pins import pins
from wellfed.errors import BadInput
from wellfed.nouns.layout import Engine, Layout
from wellfed.planner.candidates import candidates
from wellfed.planner.degrees import divides, group_sizes
from wellfed.planner.goal import Goal
from wellfed.verbs import inputs


@pytest.mark.parametrize(
    ("gpus", "sizes"),
    [(1, [1]), (3, [1, 2, 3]), (6, [1, 2, 3, 4, 5, 6]), (12, [*range(1, 9), 12]), (24, [*range(1, 9), 12, 16, 24])],
)
def test_group_sizes(gpus: int, sizes: list[int]) -> None:
    assert [*group_sizes(gpus)] == sizes


@pytest.mark.parametrize("gpus", [3, 6])
def test_every_layout_divides_the_heads_and_uses_what_is_there(gpus: int) -> None:
    machine = inputs.machine(f"{gpus}x rtx 3090, epyc 7763, 256gb")
    model = inputs.model("llama-3.3-70b").model
    layouts = list(candidates(machine, model, Goal(engines=(Engine.VLLM,)), []))
    degrees = {(x.tensor_parallel, x.pipeline_parallel) for x in layouts}
    assert all(divides(model, tensor) and tensor * pipeline <= gpus for tensor, pipeline in degrees)
    assert ((1, 3) if gpus == 3 else (2, 3)) in degrees, "three stages"
    assert (3, 1) not in degrees, "64 heads are not divided by three"


def test_heads_that_three_divides() -> None:
    machine = inputs.machine("3x rtx 3090, epyc 7763, 256gb")
    model = inputs.model("qwen2.5-0.5b").model  # 14 heads: not by three
    assert all(x.tensor_parallel != 3 for x in candidates(machine, model, Goal(engines=(Engine.VLLM,)), []))


def test_experts_on_gpus_and_the_kernels_are_pinned() -> None:
    line = "python -m sglang.launch_server --model-path m --kt-method amxint8 --kt-num-gpu-experts 12"
    read = command(line)
    options = dict(read.pins.applied(Layout(Engine.KTRANSFORMERS, "x")).options)
    assert read.engine is Engine.KTRANSFORMERS and options == {"kt_method": "AMXINT8", "kt_num_gpu_experts": "12"}
    with pytest.raises(BadInput):
        pins(Engine.KTRANSFORMERS, ["kt-method=magic"])


def test_a_small_search_stays_small() -> None:
    """benchmarks/search_size.py tells the larger ones."""
    from wellfed.verbs import planning

    search, _ = planning.search("qwen2.5-7b", planning.PlanOptions(), inputs.machine("rtx 4090, ryzen 9 7950x, 64gb"))
    assert 20 < search.run().considered < 100


def test_a_stage_that_keeps_states_alone_bounds_no_cache() -> None:
    """Jamba has attention in one layer of eight: of eight stages some cache nothing."""
    words = ("jamba-v0.1", "-e", "sglang", "--set", "pp=8", "--on", "8x a40, epyc 9354, 512gb", "--json")
    done = CliRunner().invoke(cli, ["plan", *words])
    assert done.exit_code == 0, done.output
    tiers = json.loads(done.stdout)["plans"][0]["cache_tiers"]
    assert next(tier for tier in tiers if tier["place"] == "gpu")["holds_tokens"] > 0


def test_a_cache_that_an_engine_has_for_a_kind_of_models_is_on_its_command_line() -> None:
    """vLLM does not start DeepSeek-V4 with the cache that it takes by itself."""
    words = ("deepseek-v4-flash", "-e", "vllm", "--on", "4x h100 sxm, 1tb")
    done = CliRunner().invoke(cli, ["plan", *words])
    assert done.exit_code == 0 and "--kv-cache-dtype fp8" in done.output
    named = CliRunner().invoke(cli, ["plan", *words, "--kv-type", "bf16"])
    assert "--kv-cache-dtype bfloat16" in named.output
