"""FP8 and FP4 weights on cards that do not know them: planned where the engine's version widens them, else told why."""

from __future__ import annotations

import pytest

from wellfed.engines.named import parted
from wellfed.errors import BadInput
from wellfed.planner.answer import Answer
from wellfed.verbs import planning

TURING, VOLTA, AMPERE = "tesla t4, xeon 4210, 64gb", "tesla v100 32gb, xeon 4210, 64gb", "rtx 3090, i7-9700k, 32gb"


def answer(on: str, engine: str, weights: str) -> Answer:
    named, version = parted(engine)
    options = planning.PlanOptions(
        on=on, engines=(named,), versions=(version,) if version else (), quantisations=(weights,)
    )
    return planning.plan("qwen3-4b", options)


@pytest.mark.parametrize(
    ("on", "engine", "weights"),
    [
        (TURING, "vllm", "fp8"), (TURING, "vllm@0.14", "nvfp4"), (AMPERE, "vllm@0.13", "fp8"), (AMPERE, "sglang", "fp8"),
        (VOLTA, "vllm@0.8", "int4"), (VOLTA, "vllm@0.8", "bf16"),
    ],
)  # fmt: skip
def test_where_the_engine_widens_them_they_run(on: str, engine: str, weights: str) -> None:
    best = answer(on, engine, weights).ranking.best
    assert best is not None and best.layout.quantisation == weights


@pytest.mark.parametrize(
    ("on", "engine", "weights", "least", "would_do"),
    [
        (TURING, "vllm@0.13", "fp8", "8.0", "newest vLLM"), (TURING, "vllm@0.13", "nvfp4", "8.0", "newest vLLM"),
        (VOLTA, "vllm@0.8", "fp8", "8.0", "INT4"), (AMPERE, "vllm@0.4.3", "fp8", "8.9", "newest vLLM"),
        (AMPERE, "tensorrt-llm", "fp8", "8.9", "INT4"),
    ],
)  # fmt: skip
def test_elsewhere_the_reason_is_told_and_what_would_do(
    on: str, engine: str, weights: str, least: str, would_do: str
) -> None:
    with pytest.raises(BadInput) as error:
        answer(on, engine, weights)
    assert least in str(error.value.message) and would_do in str(error.value.hint)


def test_a_card_that_only_older_versions_ran_on_is_told_so() -> None:
    (refusal,) = answer(VOLTA, "vllm", "int4").ranking.refused
    assert "7.5" in refusal.reason and "vllm@0.10" in refusal.reason
