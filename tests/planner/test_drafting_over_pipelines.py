"""What drafts tokens over a pipeline, and that upgrades are held against the same way of drafting."""

from __future__ import annotations

from dataclasses import replace

import pytest

from wellfed.library.planning import plan
from wellfed.nouns.layout import DraftKind, Engine, Layout, Speculation
from wellfed.nouns.workload import PRESETS
from wellfed.planner.speculate import why_not

THREE = "8x h200"


@pytest.mark.parametrize(
    ("engine", "kind", "drafts"),
    [
        (Engine.VLLM, DraftKind.MTP, False),
        (Engine.VLLM, DraftKind.EAGLE, True),
        (Engine.SGLANG, DraftKind.MTP, False),
        (Engine.SGLANG, DraftKind.EAGLE, False),
        (Engine.TENSORRT_LLM, DraftKind.MTP, True),
    ],
)
def test_over_a_pipeline(engine: Engine, kind: DraftKind, drafts: bool) -> None:
    layout = Layout(engine, "fp8", gpus=8, tensor_parallel=4, pipeline_parallel=2)
    guess = Speculation(2, 2.0, kind=kind)
    assert (why_not(layout, guess, PRESETS["chat"]) is None) is drafts
    flat = replace(layout, tensor_parallel=8, pipeline_parallel=1)
    assert why_not(flat, guess, PRESETS["chat"]) is None


@pytest.mark.slow
def test_the_best_plan_of_nodes_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    found = plan("deepseek-r1", on=THREE, nodes=2, network="400Gb", concurrency=64)
    for one in found.answer.ranking.plans:
        if one.layout.engine in (Engine.VLLM, Engine.SGLANG) and one.layout.speculation is not None:
            assert one.layout.pipeline_parallel == 1
    drafted = [one for one in found.plans if one.layout.speculation is not None]
    assert drafted, "the best layouts without a pipeline are tried with prediction layers"


def test_an_upgrade_drafts_as_the_best_plan_does() -> None:
    found = plan("deepseek-r1", on=THREE)
    assert found.best is not None and found.best.layout.speculation is not None
    for upgrade in found.answer.upgrades:
        if upgrade.plan.layout.engine is found.best.layout.engine:
            assert upgrade.gain > 0.9, upgrade.change
