"""Models that an engine's own list does not have are not planned on it by itself."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from click.testing import CliRunner

from wellfed.catalog.model_names import model
from wellfed.catalog.tables import table
from wellfed.cli.main import cli
from wellfed.engines.models_run import why_not_listed
from wellfed.nouns.layout import Engine


@pytest.mark.parametrize(
    ("engine", "name", "runs"),
    [
        (Engine.KTRANSFORMERS, "deepseek-r1", True),
        (Engine.KTRANSFORMERS, "kimi-k2.5", True),
        (Engine.KTRANSFORMERS, "gpt-oss-120b", False),
        (Engine.IK_LLAMA_CPP, "granite-4.0-h-tiny", False),
        (Engine.IK_LLAMA_CPP, "glm-4.5-air", True),
        (Engine.TENSORRT_LLM, "ling-mini-2.0", False),
        (Engine.TENSORRT_LLM, "qwen3-32b", True),
        (Engine.VLLM, "ling-mini-2.0", True),
    ],
)
def test_an_engines_list_decides(engine: Engine, name: str, runs: bool) -> None:
    assert (why_not_listed(engine, model(name)) is None) is runs


def test_a_list_says_nothing_of_what_came_later_or_has_no_kind() -> None:
    older = model("gpt-oss-120b")
    assert why_not_listed(Engine.KTRANSFORMERS, older) is not None
    assert why_not_listed(Engine.KTRANSFORMERS, replace(older, released=date(2027, 1, 1))) is None
    assert why_not_listed(Engine.KTRANSFORMERS, replace(older, architecture="")) is None


def test_lists_are_of_engines_that_there_are_and_carry_source_and_date() -> None:
    engines = {engine.value for engine in Engine}
    for name, listed in table("engine_models.toml").items():
        assert name in engines
        assert date.fromisoformat(listed["date"]) and listed["source"].startswith("https://")
        assert sorted(set(listed["model_types"])) and not any(kind.endswith("_text") for kind in listed["model_types"])


def planned(*words: str) -> dict[str, Any]:
    line = ["plan", "gpt-oss-120b", "--on", "rtx 5090, 9950x, 96gb ddr5-6000", "--json", *words]
    answer: dict[str, Any] = json.loads(CliRunner().invoke(cli, line).stdout)
    return answer


def test_a_plan_leaves_the_engine_out_and_says_why_and_takes_it_where_it_is_named() -> None:
    by_itself, named = planned("--top", "50"), planned("--engine", "ktransformers")
    assert {plan["layout"]["engine"] for plan in by_itself["plans"]} >= {"llama.cpp"}
    assert "ktransformers" not in {plan["layout"]["engine"] for plan in by_itself["plans"]}
    assert any("has no gpt_oss models" in refusal["reason"] for refusal in by_itself["refused"])
    assert {plan["layout"]["engine"] for plan in named["plans"]} == {"ktransformers"}
    assert "has no gpt_oss models" in json.dumps(named["assumptions"])
