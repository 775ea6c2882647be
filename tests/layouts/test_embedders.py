"""Models that answer with vectors: nothing is decoded, throughput is that of prompts."""

from __future__ import annotations

import pytest

from wellfed.catalog.hardware import gpu
from wellfed.nouns.layout import Engine
from wellfed.nouns.workload import Workload
from wellfed.verbs import planning

ON = "rtx 4090, ryzen 9 7950x, 64gb"


@pytest.mark.parametrize("name", ["bge-m3", "qwen3-embedding-0.6b"])
def test_requests_a_second_are_the_prompts_that_are_read(name: str) -> None:
    load = Workload(concurrency=8, prompt_tokens=400, output_tokens=200)
    options = planning.PlanOptions(on=ON, engines=(Engine.VLLM,), workload=load)
    answer = planning.plan(name, options)
    best = answer.ranking.best
    assert best is not None and best.workload.output_tokens == 1
    assert any("vector" in assumption.text for assumption in answer.assumptions)
    read_tok_s = best.estimate.total_tok_s.value * load.prompt_tokens  # a request is one token of output
    alone_tok_s = best.estimate.prefill_tok_s.value  # prompts that are read together are read faster than one alone
    body = best.model.parameters - best.model.vocabulary * best.model.hidden
    assert 0.8 * alone_tok_s <= read_tok_s <= gpu("rtx 4090").peak.fp16 / (2 * body)


def test_models_of_text_keep_their_answers() -> None:
    load = Workload(prompt_tokens=400, output_tokens=200)
    answer = planning.plan("qwen3-8b", planning.PlanOptions(on=ON, engines=(Engine.VLLM,), workload=load))
    assert answer.ranking.best is not None and answer.ranking.best.workload.output_tokens == 200
