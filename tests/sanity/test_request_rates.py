"""Requests that arrive at a rate: what cannot keep up is neither quick nor first."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from click.testing import CliRunner

from samples import few
from wellfed.cli.plan import command
from wellfed.nouns.layout import Engine
from wellfed.nouns.workload import PRESETS
from wellfed.planner.answer import Answer
from wellfed.planner.search import served_share
from wellfed.verbs import planning

BOTH = (Engine.VLLM, Engine.LLAMA_CPP)


def at_rate(rate: float, on: str = "4x h100 sxm") -> Answer:
    workload = replace(PRESETS["chat"], request_rate=rate)
    return planning.plan("r1:70b", planning.PlanOptions(on=on, workload=workload, engines=BOTH))


def test_an_overloaded_local_engine_makes_people_wait() -> None:
    answer = at_rate(5)
    local = next(one for one in answer.ranking.plans if one.layout.engine is Engine.LLAMA_CPP)
    assert local.estimate.ttft_s.value > 60
    assert served_share(local) < 0.5
    assert answer.ranking.best is not None and answer.ranking.best.layout.engine is Engine.VLLM
    assert served_share(answer.ranking.best) == 1


def test_nothing_keeps_up_and_it_is_said() -> None:
    answer = at_rate(1000)
    assert "cannot keep up" in answer.verdict.why
    assert answer.ranking.best is not None
    most = max(one.estimate.total_tok_s.value for one in answer.ranking.plans)
    assert answer.ranking.best.estimate.total_tok_s.value == pytest.approx(most)  # plans of one rate differ by rounding


@pytest.mark.parametrize("rate", few([0.01, 0.2, 1.0], 3))
def test_what_keeps_up_answers_what_arrives(rate: float) -> None:
    answer = at_rate(rate)
    for one in answer.ranking.plans[:20]:
        assert one.estimate.total_tok_s.value <= rate * one.workload.output_tokens * 1.001
    assert "cannot keep up" not in answer.verdict.why


@pytest.mark.slow
def test_more_requests_never_wait_less() -> None:
    waits = []
    for rate in (0.1, 0.5, 1.0, 1.3, 2.0, 10.0):
        local = next(p for p in at_rate(rate).ranking.plans if (p.layout.engine, p.layout.max_sequences) == MANY)
        waits.append(local.estimate.ttft_s.value)
    assert waits[-1] > 60 * waits[0]
    assert all(later >= 0.9 * sooner for sooner, later in pairwise(waits))


MANY = (Engine.LLAMA_CPP, 64)


@pytest.mark.parametrize("words", [("--rate", "nan"), ("--rate", "inf"), ("--ttft", "nan"), ("--top", "0")])
def test_numbers_that_are_none(words: tuple[str, str]) -> None:
    result = CliRunner().invoke(command, ["r1:7b", "--on", "rtx 4090", *words])
    assert result.exit_code == 2
