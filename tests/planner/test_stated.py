"""Memory that is really there: one pool is one pool, and what is said to be free is all there is."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import lru_cache

import pytest
from click.testing import CliRunner
from hypothesis import example, given, settings
from hypothesis import strategies as st

from wellfed.catalog.hardware import gpus
from wellfed.cli.main import cli
from wellfed.errors import BadInput, WellfedError
from wellfed.hardware.machine import Machine
from wellfed.nouns.layout import Engine
from wellfed.nouns.plan import Request
from wellfed.perf.memory import memory
from wellfed.planner.goal import Goal
from wellfed.planner.stated import with_stated
from wellfed.verbs import inputs, planning

ON = "rtx 4090, ryzen 9 7950x, 2x32gb ddr5-5600"
UNIFIED = tuple(spec.id for spec in gpus() if spec.unified_memory)


@lru_cache(maxsize=64)
def machine(text: str) -> Machine:
    return inputs.machine(text)


def best(*words: str) -> dict[str, object]:
    done = CliRunner().invoke(cli, ["plan", "qwen3-30b-a3b", *words, "--json"])
    assert done.exit_code in (0, 1), done.output
    return json.loads(done.output)  # type: ignore[no-any-return]


@settings(max_examples=60, deadline=None)
@example("arc-140v", Engine.LLAMA_CPP, "qwen3-30b-a3b")  # a line that tells no RAM
@given(st.sampled_from(UNIFIED), st.sampled_from(list(Engine)), st.sampled_from(["qwen3-30b-a3b", "llama-3.1-70b"]))
def test_one_pool_is_one_pool_for_every_engine(name: str, engine: Engine, model: str) -> None:
    try:
        where = machine(name)
    except WellfedError:
        return
    pool = where.memory_bytes or max((gpu.memory_bytes or 0) for gpu in where.gpus)
    options = planning.PlanOptions(on=name, engines=(engine,), least_quality_bits=0.0)
    try:
        search, _ = planning.search(model, options, where)
    except WellfedError:
        return
    for plan in replace(search, goal=Goal(engines=(engine,), least_quality_bits=0.0)).run().plans[:8]:
        request = Request(plan.machine, plan.model, plan.weights, plan.layout, plan.workload)
        devices = {device.device: device for device in memory(request).devices}
        on_gpu = sum(device.needed_bytes for key, device in devices.items() if key != "ram")
        if "ram" in devices:
            assert devices["ram"].needed_bytes >= on_gpu * 0.999, "what the GPU holds is in the pool's ledger"
            assert devices["ram"].needed_bytes <= pool
        assert on_gpu <= pool


def test_what_is_said_to_be_free_is_all_there_is() -> None:
    whole = best("--on", ON)["plans"][0]  # type: ignore[index]
    less = best("--on", ON, "--vram-free", "10GiB")["plans"][0]  # type: ignore[index]
    gpu = next(device for device in less["memory"] if device["device"] == "gpu0")
    assert gpu["free_bytes"] == 10 * 2**30 and gpu["needed_bytes"] <= 10 * 2**30
    assert less["decode_tok_s"]["value"] < whole["decode_tok_s"]["value"]


def test_one_size_for_each_gpu() -> None:
    two = with_stated(machine("2x rtx 4090"), vram_free="10GB,20GB")
    assert [gpu.memory_free_bytes for gpu in two.gpus] == [10 * 10**9, 20 * 10**9]


def test_windows_takes_its_share_of_a_card() -> None:
    def capacity(*words: str) -> float:
        found = best("--on", ON, *words)["plans"][0]["memory"]  # type: ignore[index]
        return next(float(device["capacity_bytes"]) for device in found if device["device"] == "gpu0")

    assert capacity("--os", "linux") == capacity()
    taken = capacity() - capacity("--os", "windows")
    assert 0.65 * 2**30 <= taken <= 1.5 * 2**30
    assert capacity("--os", "wsl2") == capacity("--os", "windows")


@pytest.mark.parametrize(
    "stated",
    [
        {"vram_free": "30GB"}, {"ram_free": "1TB"}, {"vram_free": "much"}, {"vram_free": "1GB,2GB"}, {"vram_free": ""},
        {"system": "beos"}, {"ram_free": "-3"},
    ],
)  # fmt: skip
def test_what_cannot_be_is_one_error(stated: dict[str, str]) -> None:
    with pytest.raises(BadInput):
        with_stated(machine(ON), **stated)


def test_a_machine_without_a_gpu_has_no_vram() -> None:
    with pytest.raises(BadInput, match="GPU"):
        with_stated(machine("ryzen 9 7950x, 2x32gb ddr5-5600"), vram_free="1GB")


@settings(max_examples=25, deadline=None)
@given(st.floats(2, 24), st.floats(2, 24))
def test_more_free_memory_is_never_worse(one: float, other: float) -> None:
    less, more = sorted((one, other))
    rates = []
    for size in (less, more):
        options = planning.PlanOptions(
            on=ON, engines=(Engine.LLAMA_CPP,), quantisations=("q4_k_m",), vram_free=f"{size}GiB"
        )
        found, _ = planning.search("llama-3.1-8b", options, machine(ON))
        plan = found.run().best
        rates.append(0.0 if plan is None else plan.estimate.decode_tok_s.value)
    assert rates[1] >= rates[0] * 0.999
