"""Experts that memory does not hold, read from disk: a way out, never an answer to whether it fits."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner

from wellfed.cli.main import cli

SMALL = "rtx 4090, ryzen 9 7950x, 64gb"


def asked(*words: str) -> tuple[int, dict[str, Any]]:
    done = CliRunner().invoke(cli, ["plan", *words, "--json"])
    assert done.exit_code in (0, 1), done.output
    found: dict[str, Any] = json.loads(done.output)
    return done.exit_code, found


def ram_weights(plan: dict[str, Any]) -> float:
    terms = [term for device in plan["memory"] if device["device"] == "ram" for term in device["terms"]]
    return float(sum(term["bytes"] for term in terms if term["name"] == "weights"))


def streamed(ram: str, *more: str) -> dict[str, Any]:
    on = f"rtx 4090, ryzen 9 7950x, {ram}"
    code, found = asked("qwen3-235b-a22b", "-q", "q4_k_m", "-e", "llama.cpp", "--on", on, "--stream", *more)
    assert code == 0
    plan: dict[str, Any] = found["plans"][0]
    return plan


def test_it_does_not_fit_and_the_disk_is_a_way_out() -> None:
    code, found = asked("qwen3-235b-a22b", "-q", "q4_k_m", "--on", SMALL)
    assert code == 1 and not found["plans"]
    assert "--stream" in json.dumps(found), "a lever"


def test_asked_for_it_fits_and_the_disk_bounds_it() -> None:
    plan = streamed("64gb")
    assert plan["fits"] and plan["limited_by"] == "disk" and "disk" in plan["description"]
    step = next(term for term in plan["decode"] if term["name"] == "experts from disk")
    assert step["seconds"] > 0.5 * plan["tpot_s"]["value"]
    assert any("not measured" in str(one["reason"]) for one in plan["assumptions"])


def test_more_ram_reads_less_and_is_never_slower() -> None:
    plans = [streamed(ram) for ram in ("64gb", "96gb", "128gb")]
    held = [ram_weights(plan) for plan in plans]
    rates = [plan["decode_tok_s"]["value"] for plan in plans]
    assert held == sorted(held) and rates == sorted(rates)


def test_where_all_fits_nothing_is_read_from_disk() -> None:
    plan = streamed("256gb")
    assert not [term for term in plan["decode"] if term["name"] == "experts from disk"]


def test_the_disk_s_seconds_are_its_bytes_over_half_its_rate() -> None:
    """Q4_K_M of 94 layers, 8 of 128 experts a token: the share that is away of their bytes at 3.35 GB/s."""
    small, whole = streamed("64gb"), streamed("256gb")
    away = ram_weights(whole) - ram_weights(small)
    step = next(term["seconds"] for term in small["decode"] if term["name"] == "experts from disk")
    assert step == pytest.approx(away * 8 / 128 / 3.35e9, rel=0.02)


def test_dense_models_have_no_such_way() -> None:
    code, found = asked("llama-3.1-405b", "-q", "q4_k_m", "--on", SMALL, "--stream")
    assert code == 1 and not found["plans"]


@pytest.mark.parametrize(
    ("model", "engine", "why"),
    [
        ("deepseek-r1:671b", "vllm", "vLLM: reads no experts from disk"),
        ("llama-3.1-405b", "llama.cpp", "llama.cpp: every token reads all of a model"),
    ],
)
def test_what_reads_no_experts_from_disk_says_so(model: str, engine: str, why: str) -> None:
    done = CliRunner().invoke(cli, ["plan", model, "-e", engine, "--on", SMALL, "--stream"])
    assert done.exit_code == 1 and why in " ".join(done.output.split())
