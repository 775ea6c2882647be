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


def test_files_of_ascend_npus_and_of_mlx_are_their_own() -> None:
    """ModelSlim's 8 bits, which the engine must be told; mlx-community's, not a served format of the same bits."""
    words = ["plan", "qwen3-32b", "--on", "8x ascend 910b2", "--engine", "vllm", "--quant", "int8", "--json"]
    ascend = json.loads(CliRunner().invoke(cli, words).stdout)["plans"][0]
    assert ascend["downloads"][0]["repository"] == "vllm-ascend/Qwen3-32B-W8A8"
    assert "--quantization ascend" in ascend["next"][-1]["command"]
    words = ["plan", "qwen3-32b mlx 6bit", "--on", "apple m4 max 128gb", "--engine", "mlx", "--json"]
    mlx = json.loads(CliRunner().invoke(cli, words).stdout)["plans"][0]
    assert "--model mlx-community/Qwen3-32B-6bit" in mlx["next"][-1]["command"]
