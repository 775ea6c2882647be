"""What a serving engine is given: repositories that public lists name, FP8 made at the start told to the engine."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner

from wellfed.cli.main import cli


def best(model: str, engine: str, quant: str) -> dict[str, Any]:
    words = ["plan", model, "--on", "8x h100 sxm, 2x xeon 8480", "--engine", engine, "--quant", quant, "--json"]
    plan: dict[str, Any] = json.loads(CliRunner().invoke(cli, words).stdout)["plans"][0]
    return plan


@pytest.mark.parametrize("engine", ["vllm", "sglang"])
def test_fp8_is_made_of_wide_weights_or_fetched(engine: str) -> None:
    """Qwen2.5 has no FP8 files: its BF16 ones are fetched, twice the size, and the engine is told to make FP8."""
    made, fetched = best("qwen2.5-72b", engine, "fp8"), best("qwen3-32b", engine, "fp8")
    assert "--quantization fp8" in made["next"][-1]["command"]
    assert made["downloads"][0]["repository"] == "Qwen/Qwen2.5-72B-Instruct"
    assert made["downloads"][0]["bytes"] == pytest.approx(2 * 72.7e9, rel=0.01)
    assert "--quantization" not in fetched["next"][-1]["command"]
    assert fetched["downloads"][0]["repository"] == "Qwen/Qwen3-32B-FP8"
    assert fetched["downloads"][0]["bytes"] < 1.1 * 32.8e9


def test_a_listed_repository_stands_before_the_rule() -> None:
    """There is no Qwen/Qwen3-30B-A3B-AWQ, which the rule of its maker would say."""
    assert best("qwen3-30b-a3b", "vllm", "int4")["downloads"][0]["repository"] == "Qwen/Qwen3-30B-A3B-GPTQ-Int4"
