"""Copies over machines are equal servers; vLLM's copies of a mixture of experts are groups of attention."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner

from wellfed.cli.main import cli
from wellfed.engines.servers import Servers, servers
from wellfed.nouns.layout import Engine, Layout
from wellfed.planner.copies import copy_counts
from wellfed.written.machines import machine

NODES = ["--on", "8x h200, 2x epyc 9654", "--nodes", "3", "--network", "400Gb"]


def output(*words: str) -> str:
    result = CliRunner().invoke(cli, list(words))
    assert result.exit_code == 0, result.output
    return result.stdout


def planned(*words: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(output("plan", *words, "--json"))
    return answer


@pytest.mark.parametrize(
    ("degrees", "nodes", "expected"),
    [
        ((8, 1, 3), 3, Servers(3, 1, 1)),
        ((4, 1, 6), 3, Servers(3, 1, 2)),
        ((8, 2, 2), 4, Servers(2, 2, 1)),
        ((8, 3, 1), 3, Servers(1, 3, 1)),
        ((4, 1, 2), 3, Servers(1, 1, 2)),
        ((4, 1, 2), 1, Servers(1, 1, 2)),
    ],
)
def test_servers_of_a_layout(degrees: tuple[int, int, int], nodes: int, expected: Servers) -> None:
    """Eight GPUs a machine: so many servers, each over so many machines, each with so many copies."""
    tensor, pipeline, data = degrees
    layout = Layout(
        Engine.SGLANG, "fp8", gpus=tensor * pipeline * data, tensor_parallel=tensor, pipeline_parallel=pipeline,
        data_parallel=data,
    )  # fmt: skip
    assert servers(machine("8x h200, 2x epyc 9654", nodes, "400Gb" if nodes > 1 else None), layout) == expected


def test_copies_that_are_tried_can_be_started() -> None:
    assert copy_counts(8, 3, 8, shared_experts=True) == (1, 2, 3)
    assert copy_counts(8, 3, 4, shared_experts=False) == (1, 2, 4, 6)
    assert copy_counts(8, 3, 4, shared_experts=True) == (1,)
    assert copy_counts(8, 3, 12, shared_experts=False) == (1,)
    assert copy_counts(8, 4, 16, shared_experts=False) == (1, 2)


@pytest.mark.parametrize("engine", ["vllm", "sglang"])
def test_three_copies_on_three_machines_are_three_servers(engine: str) -> None:
    words = ("run", "deepseek-r1", *NODES, "--engine", engine, "--quant", "fp8", "-c", "64")
    manifest = output(*words, "--export", "kubernetes")
    body = "\n".join(line for line in manifest.splitlines() if not line.startswith("#"))
    workload = json.loads(body.split("\n---\n")[0])
    assert workload["kind"] == "Deployment" and workload["spec"]["replicas"] == 3
    for flag in ("--data-parallel-size", "--dp-size", "--nnodes", "--distributed-executor-backend"):
        assert flag not in body
    assert "#SBATCH --array=0-2" in output(*words, "--export", "slurm")
    assert "load balancer" in output(*words, "--export", "script")


def test_copies_of_a_mixture_divide_its_experts_in_vllm() -> None:
    """`--data-parallel-size 4` of a mixture: four groups of attention, experts over four ranks; SGLang's are copies."""
    on = ("qwen3-30b-a3b", "--on", "4x h100, 2x xeon 8480", "--quant", "bf16", "-c", "64")
    shared = planned(*on, "--engine", "vllm", "--set", "data-parallel-size=4")["plans"][0]
    assert (shared["layout"]["attention_data_parallel"], shared["layout"]["data_parallel"]) == (4, 1)
    assert "--data-parallel-size 4" in shared["next"][-1]["command"]
    copied = planned(*on, "--engine", "sglang", "--set", "dp-size=4")["plans"][0]
    assert (copied["layout"]["attention_data_parallel"], copied["layout"]["data_parallel"]) == (1, 4)

    def weights(plan: dict[str, Any]) -> float:
        return sum(term["bytes"] for term in plan["memory"][0]["terms"] if term["name"] == "weights")

    assert weights(shared) < 0.5 * weights(copied)


def test_no_copies_of_a_mixture_in_one_vllm_server() -> None:
    answer = planned("qwen3-30b-a3b", "--on", "4x rtx 4090", "--engine", "vllm", "-c", "64", "--top", "30")
    assert answer["plans"]
    assert {plan["layout"]["data_parallel"] for plan in answer["plans"]} == {1}
    dense = planned("qwen3-8b", "--on", "4x rtx 4090", "--engine", "vllm", "-c", "64", "--top", "30")
    assert max(plan["layout"]["data_parallel"] for plan in dense["plans"]) == 4
