"""What the CPU costs a plan: told by `plan`, offered by the next upgrade."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from wellfed.catalog.hardware import cpus
from wellfed.cli.main import cli
from wellfed.perf.host import part_ratio
from wellfed.planner.host_cost import fastest_host


def planned(machine: str, *words: str) -> dict[str, object]:
    result = CliRunner().invoke(cli, ["plan", "qwen3-8b", "--on", machine, "--engine", "vllm", "--json", *words])
    assert result.exit_code == 0, result.output
    found: dict[str, object] = json.loads(result.stdout)
    return found


def test_an_old_host_costs_tokens_and_the_next_upgrade_offers_a_faster_one() -> None:
    slow = planned("8x h100, 2x epyc 7551")
    fast = planned("8x h100, 2x epyc 9575f")
    host, quick = slow["host"], fast["host"]
    assert isinstance(host, dict) and isinstance(quick, dict)
    assert host["single_thread_ratio"] < 0.5 * quick["single_thread_ratio"]
    assert host["total_tok_s_share"] < 0.97 < quick["total_tok_s_share"] <= 1
    assert host["ttft_times"] > 1.1 > quick["ttft_times"] >= 1
    assert "costs" in host["message"]["text"]
    assert any("CPU" in upgrade["change"] for upgrade in slow["upgrades"])  # type: ignore[attr-defined]
    assert not any("CPU" in upgrade["change"] for upgrade in fast["upgrades"])  # type: ignore[attr-defined]


def test_explain_tells_it() -> None:
    words = ["plan", "qwen3-8b", "--on", "8x h100, 2x epyc 7551", "--engine", "vllm", "--explain"]
    text = CliRunner().invoke(cli, words).stdout
    assert "the host" in text and "this CPU costs" in " ".join(text.split())


@pytest.mark.parametrize("machine", ["8x h100", "m2 max 32-core 64gb"])
def test_what_is_not_known_or_not_to_be_swapped_costs_nothing_told(machine: str) -> None:
    result = CliRunner().invoke(cli, ["plan", "qwen3-8b", "--on", machine, "--json"])
    found = json.loads(result.stdout)
    assert "host" in found
    if machine.startswith("m2"):
        assert found["host"] is None


def test_the_fastest_host_takes_as_many_sockets_and_gpus() -> None:
    from wellfed.verbs import inputs

    machine = inputs.machine("8x h100, 2x epyc 7551")
    best = fastest_host(machine, cpus())
    assert best is not None and best.sockets_max >= 2 and best.memory_channels >= 8
    ratio = part_ratio(best)
    assert ratio is not None
    single = fastest_host(inputs.machine("rtx 4090, ryzen 9 7950x"), cpus())
    assert single is not None and (part_ratio(single) or 0) >= ratio
