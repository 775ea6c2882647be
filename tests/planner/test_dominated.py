"""What is not estimated would have changed nothing: the same answer with every layout estimated."""

from __future__ import annotations

from dataclasses import replace

import pytest

from samples import few
from wellfed.engines.capabilities import CAPABILITIES
from wellfed.library.planning import Planned, plan
from wellfed.nouns.layout import Engine, Layout
from wellfed.nouns.workload import Workload
from wellfed.planner.dominated import Dominated

CASES = [
    ("deepseek-r1", {"on": "8x h200"}),
    ("qwen3-235b-a22b", {"on": "4x rtx 3090, epyc 7543, 8x64gb ddr4-3200"}),
    ("qwen3-30b-a3b", {"on": "rtx 3060 12gb, ryzen 5 5600, 2x32gb ddr4-3200"}),
    ("gpt-oss-120b", {"on": "2x rtx 3090, ryzen 9 7950x, 4x32gb ddr5-4800", "concurrency": 4}),
    ("qwen3-32b", {"on": "8x a100 80gb", "concurrency": 3}),
    ("qwen3-32b", {"on": "2x a100 40gb", "nodes": 3, "network": "100Gb", "concurrency": 20}),
    ("llama-3.3-70b", {"on": "4x l40s", "concurrency": 16, "for_": "throughput"}),
    ("qwen3-32b", {"on": "2x a100 80gb", "workload": "rag"}),
]


def _first(found: Planned) -> list[object]:
    return [(one.layout, one.estimate.decode_tok_s.value, one.estimate.ttft_s.value) for one in found.plans[:3]]


@pytest.mark.parametrize("number", few(range(len(CASES)), 4))
def test_the_answer_is_that_of_all_layouts(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    model, keywords = CASES[number]
    lean = plan(model, **keywords)
    asked = []

    def every(self: Dominated, layout: object, load: object) -> bool:
        asked.append(layout)
        return True

    monkeypatch.setattr(Dominated, "worth", every)
    whole = plan(model, **keywords)
    assert asked and _first(lean) == _first(whole)
    assert lean.answer.verdict.kind == whole.answer.verdict.kind


def test_a_chunk_stands_for_larger_ones_where_it_bounds_nothing() -> None:
    smallest, larger = sorted(CAPABILITIES[Engine.VLLM].batch_tokens)[:2]
    rule = Dominated(gpus=1, total=1, users=1, by_gpus=False, holds=lambda layout: True, is_moe=False)
    layout = Layout(Engine.VLLM, "bf16", gpus=1, batch_tokens=larger)
    short, long = (Workload(prompt_tokens=tokens, output_tokens=512) for tokens in (smallest // 2, smallest + 1))
    assert not rule.worth(layout, short)
    assert rule.worth(layout, long), "the smaller chunk cuts this prompt in two"
    assert rule.worth(replace(layout, batch_tokens=smallest), short)


def test_no_pipeline_stands_where_more_joined_gpus_are_one_group() -> None:
    """Seven of eight GPUs on one switch as a pipeline leave one idle: a group of all eight takes its place."""
    plans = plan("kimi-k2", on="8x b200", engine="vllm", concurrency=64, top=50).plans
    assert plans and all(shown.layout.pipeline_parallel == 1 for shown in plans)
