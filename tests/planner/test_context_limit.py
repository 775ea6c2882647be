"""A context beyond what the model can attend to is cut, and the plan says so."""

from __future__ import annotations

from dataclasses import replace

import pytest
from click.testing import CliRunner

from wellfed.cli.main import cli
from wellfed.nouns.workload import PRESETS
from wellfed.verbs import planning

CARD = "rtx 4090, ryzen 9 7950x, 2x32GB ddr5-5600"


def asked(context: int) -> planning.PlanOptions:
    return planning.PlanOptions(on=CARD, workload=replace(PRESETS["chat"], context_tokens=context))


@pytest.mark.parametrize("context", [8192, 131072])
def test_within_the_limit_nothing_is_said(context: int) -> None:
    answer = planning.plan("deepseek-r1:7b", asked(context))
    assert answer.search.workload.context == context
    assert not any("room for" in assumption.text for assumption in answer.assumptions)


def test_a_cut_is_said_first() -> None:
    answer = planning.plan("deepseek-r1:7b", asked(500_000))
    assert answer.search.workload.context == 131072
    assert answer.assumptions[0].text == "room for 131,072 tokens, not 500,000"
    printed = CliRunner().invoke(cli, ["plan", "deepseek-r1:7b", "--on", CARD, "--context", "500000"]).stdout
    assert "not 500,000" in " ".join(printed.split())
