"""llama.cpp over RPC servers on other machines: what each holds, what the network costs, what is typed."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from documents import planned
from wellfed.cli.main import cli
from wellfed.engines.pins import pins
from wellfed.errors import BadInput
from wellfed.nouns.layout import Engine, Layout
from wellfed.perf.memory.remote import count, local_gpus
from wellfed.units import GIB

CARD = "rtx 3090, ryzen 9 5950x, 64gb"
MODEL = ("llama-3.3-70b", "-q", "q4_k_m", "-e", "llama.cpp")
ON_THREE = (*MODEL, "--on", CARD, "--nodes", "3", "--network", "10Gb")


def best(*words: str) -> dict[str, Any]:
    plan: dict[str, Any] = planned(*words)["plans"][0]
    return plan


def held(plan: dict[str, Any], name: str) -> dict[str, float]:
    """GiB of a term on each device."""
    return {
        device["device"]: sum(term["bytes"] for term in device["terms"] if term["name"] == name) / GIB
        for device in plan["memory"]
    }


def llama(*more: str, nodes: int = 3) -> dict[str, Any]:
    on = (*("--on", CARD), *(("--nodes", str(nodes), "--network", "10Gb") if nodes > 1 else ()))
    return best(*MODEL, *on, *more)


def test_what_one_machine_cannot_hold_is_divided_over_three() -> None:
    """39.6 GiB of weights; 24 GiB on each card. The token embedding stays in this machine's RAM."""
    assert not planned(*MODEL, "--on", "rtx 3090, ryzen 9 5950x, 16gb")["plans"]
    plan = llama("--set", "rpc=2")
    weights = held(plan, "weights")
    assert set(weights) == {"rpc1", "rpc2", "gpu0", "ram"} and plan["fits"]
    assert sum(weights.values()) == pytest.approx(39.6, rel=0.02)
    assert weights["ram"] < 1 and min(weights["rpc1"], weights["rpc2"], weights["gpu0"]) > 11


def test_the_cache_is_where_its_layers_are() -> None:
    """80 layers x 2 x 8 heads x 128 x 2 bytes x 8,192 tokens: 2.5 GiB over the three."""
    cache = held(llama("--set", "rpc=2", "--context", "8192"), "kv")
    assert sum(cache.values()) == pytest.approx(2.5, rel=0.01) and cache["ram"] == 0


def test_each_servers_memory_may_be_said() -> None:
    """The split follows memory: a server of half the memory takes half the layers."""
    weights = held(llama("--set", "rpc=24GiB,12GiB", nodes=1), "weights")
    assert weights["rpc2"] == pytest.approx(weights["rpc1"] / 2, rel=0.08)


def test_a_slower_network_is_never_quicker_and_none_is_assumed_aloud() -> None:
    words = ("llama-3.3-70b", "-q", "q4_k_m", "-e", "llama.cpp", "--on", CARD, "--nodes", "2", "--set", "rpc=1")
    quick, slow = (best(*words, "--network", rate) for rate in ("100Gb", "1Gb"))
    assert quick["decode_tok_s"]["value"] > slow["decode_tok_s"]["value"]
    assert quick["ttft_s"]["value"] < slow["ttft_s"]["value"]
    untold = planned(*words)
    assert "no network was told" in json.dumps(untold)
    assert untold["plans"][0]["decode_tok_s"]["value"] == pytest.approx(slow["decode_tok_s"]["value"])


def test_servers_without_machines_are_refused_with_what_would_do() -> None:
    done = CliRunner().invoke(cli, ["plan", "llama-3.3-70b", "-e", "llama.cpp", "--on", CARD, "--set", "rpc=2"])
    assert isinstance(done.exception, BadInput)
    assert "--nodes 3" in str(done.exception.hint) and "rpc=24GiB,12GiB" in str(done.exception.hint)


def test_one_pool_of_this_machine_is_not_the_others() -> None:
    """Four machines of 128 GB that share RAM with their GPU hold what one cannot; RAM's ledger is this machine's."""
    line = "llama-server -m DeepSeek-R1-Q4_K_M.gguf -ngl 99 -c 4096 --rpc 10.0.0.2:50052,10.0.0.3:50052,10.0.0.4:50052"
    words = ("--on", "ryzen ai max+ 395, 128gb", "--nodes", "4", "--network", "5Gb", "--from-command", line)
    found = planned(*words)["as_it_is"]
    ram = next(device for device in found["memory"] if device["device"] == "ram")
    assert found["fits"] and sum(term["bytes"] for term in ram["terms"]) < 128 * GIB


def test_what_is_typed_names_servers_and_what_they_start() -> None:
    words = ("plan", *ON_THREE)
    text = CliRunner().invoke(cli, [*words, "--set", "rpc=2"]).output
    assert "rpc-server --host 0.0.0.0 --port 50052" in text and "2 of them behind RPC" in text
    typed = next(line for line in text.splitlines() if line.strip().startswith("llama-server"))
    assert re.search(r"--rpc HOST-1:50052,HOST-2:50052", typed)
    given = CliRunner().invoke(cli, [*words, "--set", "rpc=10.0.0.2:50052,10.0.0.3:50052"]).output
    assert "--rpc 10.0.0.2:50052,10.0.0.3:50052" in given


def test_a_server_on_this_host_is_no_other_machine() -> None:
    line = "llama-server -m Qwen3-8B-Q4_K_M.gguf -ngl 99 -c 4096 --rpc localhost:50052,127.0.0.1:50053"
    found = planned("--on", CARD, "--from-command", line)["as_it_is"]
    assert found["layout"]["gpus"] == 1


@settings(max_examples=50)
@given(st.integers(1, 8), st.integers(0, 6))
def test_pinning_servers_twice_is_pinning_them_once(gpus: int, servers: int) -> None:
    layout = Layout(Engine.LLAMA_CPP, "q4_k_m", gpus=gpus)
    once = pins(Engine.LLAMA_CPP, [f"rpc={servers}"]).applied(layout)
    assert pins(Engine.LLAMA_CPP, [f"rpc={servers}"]).applied(once) == once
    assert (local_gpus(once), count(once), once.gpus) == (gpus, servers, gpus * (1 + servers))


@pytest.mark.parametrize("text", ["", "host", "host:99999999", "24GiB,host:1", "-1", "x GiB"])
def test_what_is_no_server(text: str) -> None:
    with pytest.raises(BadInput):
        pins(Engine.LLAMA_CPP, [f"rpc={text}"])


@pytest.mark.parametrize("export", ["script", "compose", "systemd", "kubernetes"])
def test_it_is_written_down(export: str) -> None:
    words = ("run", *ON_THREE)
    done = CliRunner().invoke(cli, [*words, "--set", "rpc=2", "--export", export])
    assert done.exit_code == 0, done.output
    assert "--rpc" in done.output
