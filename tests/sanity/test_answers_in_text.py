"""What `wellfed plan` prints: readable at 80 columns, with claims that were looked at."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
from click.testing import CliRunner

from samples import few
from wellfed.cli.console import console
from wellfed.cli.plan import command
from wellfed.models.quantisation_names import quantisation
from wellfed.nouns.layout import Engine
from wellfed.planner.kinds import Kind
from wellfed.verbs import planning


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """`plan`'s output at 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")

    def run(*words: str) -> str:
        console.cache_clear()
        result = CliRunner().invoke(command, words)
        console.cache_clear()
        assert result.exit_code in (0, 1), result.output
        return result.output

    return run


@pytest.mark.parametrize(
    "words",
    few(
        [
            ("r1:70b", "--on", "2x rtx 4090"),
            ("qwen2.5-0.5b", "--on", "dgx h100", "--for", "throughput", "--workload", "batch"),
            ("deepseek-v3.2", "--on", "8x h200 sxm", "--nodes", "2", "--network", "400Gb", "--concurrency", "64"),
            ("llama-3.1-70b", "--on", "core i7-13700k, 24GB"),
        ],
        4,
        " ".join,
    ),
)
def test_narrow_terminals_lose_no_column_and_cut_no_number(printed: Callable[..., str], words: tuple[str, ...]) -> None:
    text = printed(*words)
    lines = text.splitlines()
    commands = {line for before, line in itertools.pairwise(lines) if before.startswith("  # ")}
    assert max(len(line) for line in lines if line not in commands) <= 80
    assert len(commands) == 2, "commands are not folded, so that they can be copied"
    assert "…" not in text
    assert "layout" in text and "limited" in text and "TTFT" in text


def test_first_gpu_of_a_machine_without_one_is_priced() -> None:
    answer = planning.plan("r1:7b", planning.PlanOptions(on="ryzen 9 7950x, 64GB"))
    first = answer.upgrades[0]
    assert "RTX 4090" in first.change and first.gain > 3


def test_more_memory_makes_room_for_finer_weights() -> None:
    answer = planning.plan("r1:70b", planning.PlanOptions(on="core i7-13700k, 2x16GB ddr5-5600"))
    assert answer.ranking.best is not None
    more = next(one for one in answer.upgrades if one.change == "twice the RAM")
    assert more.finer is not None and quantisation(more.finer).bits >= 4


def test_gpus_that_were_not_asked_are_not_called_too_small() -> None:
    on = "8x h200 sxm, 2x xeon platinum 8480+"
    answer = planning.plan("deepseek-r1", planning.PlanOptions(on=on, engines=(Engine.KTRANSFORMERS,)))
    assert answer.ranking.plans and answer.ranking.best_of(Kind.GPU) is None  # it keeps experts on the CPU
    assert "alone cannot hold" not in answer.verdict.why
    small = planning.plan("deepseek-r1", planning.PlanOptions(on="build:moe-epyc"))
    assert "alone cannot hold" in small.verdict.why
