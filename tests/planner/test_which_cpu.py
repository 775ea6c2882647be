"""Which CPU: the least or cheapest that costs a plan next to nothing, with what the next weaker one loses."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from wellfed.catalog.hardware import cpu, cpus
from wellfed.cli.main import cli
from wellfed.nouns.plan import Plan
from wellfed.planner.upgrades import changed_machines
from wellfed.planner.which_cpu import WORTH, behind, which_cpu
from wellfed.verbs import inputs, planning
from wellfed.written.machines import machine

GUIDE = "rtx 4090, ryzen 9 7950x, 2x32GB ddr5-5600"
SOME = tuple(
    cpu(name)
    for name in (
        "ryzen 9 7950x", "ryzen 5 7600", "core i7-13700k", "core i3-10105", "epyc 7543", "epyc 9575f", "epyc 9124",
        "xeon platinum 8380", "xeon silver 4210", "core i7-13700h",
    )
)  # fmt: skip


def best_plan(on: str, name: str = "qwen3-8b", **changes: Any) -> Plan:
    answer = planning.plan(name, planning.PlanOptions(on=on, **changes))
    assert answer.ranking.best is not None
    return answer.ranking.best


def test_the_pick_is_enough_and_the_next_weaker_one_is_not() -> None:
    found = which_cpu(best_plan(GUIDE), inputs.calibration(), SOME)
    assert found is not None
    assert found.pick.enough and found.pick.total_tok_s_share >= 1 - WORTH
    assert found.best.total_tok_s_share == 1
    assert found.weaker is None or (
        not found.weaker.enough and found.weaker.total_tok_s_share < found.pick.total_tok_s_share
    )
    assert found.compared == len(SOME) - 1  # the mobile part is no choice


def test_a_portable_part_is_no_host_for_cards() -> None:
    found = which_cpu(best_plan(GUIDE), inputs.calibration(), [cpu("core i7-13700h")])
    assert found is None


def test_prices_decide_where_there_are_any(tmp_path: Path) -> None:
    from wellfed.catalog.prices import load_prices

    file = tmp_path / "prices.toml"
    lines = [
        f'"{name}" = {{ price = {price}, source = "shop", date = "2026-11-01" }}'
        for name, price in (("ryzen 9 7950x", 300), ("core i7-13700k", 900))
    ]
    file.write_text("[parts]\n" + "\n".join(lines) + "\n")
    found = which_cpu(best_plan(GUIDE), inputs.calibration(), SOME, load_prices(file))
    assert found is not None and found.priced
    assert found.pick.cpu.id == cpu("ryzen 9 7950x").id and found.pick.price == 300


def test_lanes_and_channels_are_counted() -> None:
    four = machine("4x rtx 4090, threadripper pro 7975wx, 8x32GB ddr5-4800")
    desktop = behind(four, cpu("ryzen 9 7950x"), 1)
    server = behind(four, cpu("epyc 9354"), 1)
    assert server is not None and all(gpu.link is not None and gpu.link.width == 16 for gpu in server.gpus)
    assert server.sockets[0].channels == 12
    assert desktop is None or min(gpu.link.width for gpu in desktop.gpus if gpu.link) < 16


def test_memory_that_experts_are_read_from_decides_for_a_hybrid() -> None:
    plan = best_plan("build:moe-epyc", "deepseek-r1")
    found = which_cpu(plan, inputs.calibration(), SOME)
    assert found is not None
    assert found.best.channels >= 12
    two_channels = which_cpu(plan, inputs.calibration(), [cpu("ryzen 9 7950x"), cpu("epyc 9575f")])
    assert two_channels is not None and two_channels.weaker is not None
    assert two_channels.weaker.cpu.name == cpu("ryzen 9 7950x").name
    assert two_channels.weaker.total_tok_s_share < 0.5


def test_a_machine_that_comes_whole_has_no_choice() -> None:
    plan = best_plan("dgx spark", "qwen3-8b")
    assert which_cpu(plan, inputs.calibration(), cpus()) is None


@pytest.mark.parametrize("words", [["--cpus"], ["--cpus", "--json"]])
def test_the_door(words: list[str]) -> None:
    result = CliRunner().invoke(cli, ["plan", "qwen3-8b", "--on", GUIDE, *words])
    assert result.exit_code == 0, result.output
    if "--json" in words:
        found = json.loads(result.stdout)["cpus"]
        assert found["pick"]["total_tok_s_share"] >= 0.97 and found["pick"]["lanes"] == [16]
        assert found["compared"] > 100 and found["by_price"] is False
        assert next(said["id"] for said in found["messages"]) == "plan.cpu.pick"
    else:
        assert "which CPU" in result.stdout and "is enough" in result.stdout


@pytest.mark.slow
def test_buying_picks_the_host() -> None:
    result = CliRunner().invoke(cli, ["plan", "r1:70b", "--buy", "--for", "throughput", "--top", "3", "--json"])
    assert result.exit_code == 0, result.output
    offers = json.loads(result.stdout)["offers"]
    assert any(offer["cpu"] is not None for offer in offers)
    for offer in offers:
        if offer["cpu"] is not None:
            assert offer["cpu"]["pick"]["name"] in offer["parts"]


def test_a_clock_that_is_held_down_is_an_upgrade() -> None:
    whole = machine(GUIDE)
    assert not any("full clock" in change for change, _ in changed_machines(whole))
    slow = replace(whole, os=replace(whole.os, governor="powersave"))
    changes = dict(changed_machines(slow))
    assert "the CPU at its full clock" in changes
    assert changes["the CPU at its full clock"].os.governor is None
