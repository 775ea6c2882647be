"""Files in EXL3 or MLX's format bind a plan to the one engine that loads them; its command is told."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from wellfed.cli.main import cli
from wellfed.models.quantisation_names import quantisation

_CARD, _APPLE = "rtx 4090, ryzen 7950x, 64gb ddr5", "m3 ultra 80 core 256gb"


def planned(*words: str) -> dict[str, object]:
    result = CliRunner().invoke(cli, ["plan", *words, "--json"])
    assert result.exit_code == 0, result.output
    document: dict[str, object] = json.loads(result.output)
    return document


@pytest.mark.parametrize(
    ("model", "machine", "engine", "words"),
    [
        ("Qwen3-32B-exl3-4.0bpw", _CARD, "exllamav3", ("main.py", "--cache-size", "--max-seq-len")),
        ("mlx-community/Qwen3.5-27B-4bit", _APPLE, "mlx", ("mlx_lm.server", "--model")),
    ],
)
def test_the_plan_is_of_the_one_engine_that_loads_it(
    model: str, machine: str, engine: str, words: tuple[str, ...]
) -> None:
    document = planned(model, "--on", machine)
    plans = document["plans"]
    assert isinstance(plans, list) and plans
    assert {plan["layout"]["engine"] for plan in plans} == {engine}
    text = json.dumps(plans[0])
    assert f"no measurement of {engine}" in text
    shown = CliRunner().invoke(cli, ["plan", model, "--on", machine]).output
    assert all(word in shown for word in words)


def test_its_weights_are_those_of_its_bits() -> None:
    three, six = (planned(f"Qwen3-32B-exl3-{bits}bpw", "--on", "rtx 5090, 64gb") for bits in ("3.0", "6.0"))
    used = []
    for document in (three, six):
        plans = document["plans"]
        assert isinstance(plans, list)
        terms = {term["name"]: term["bytes"] for term in plans[0]["memory"][0]["terms"]}
        used.append(sum(size for name, size in terms.items() if "weights" in name))
    assert used[1] - used[0] == pytest.approx(31.2e9 * 3 / 8, rel=0.05)  # all but the embedding
    assert quantisation("3.0bpw").bits == 3


def test_no_engine_of_another_format_is_offered_or_told() -> None:
    text = CliRunner().invoke(cli, ["plan", "qwen3-8b q4_k_m", "--on", _CARD]).output
    assert "exllamav3" not in text and "mlx" not in text.lower()
