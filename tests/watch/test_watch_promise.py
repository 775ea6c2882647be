"""What a running engine is held against: its plan made again, the bytes of a step, and the mended machine's price."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.watch.scenes import H100, PID, PROMISE, QUIET, Scene, T, said

from wellfed.engines import embedded
from wellfed.hardware.pcie import PcieLink
from wellfed.launch.demo import demo_at_hand
from wellfed.nouns.layout import Engine
from wellfed.nouns.plan import Plan, Request
from wellfed.perf.estimate import estimate
from wellfed.perf.traffic import decode_traffic
from wellfed.verbs import inputs, planning
from wellfed.verbs.promises import as_started, at_rest, mended, promise, promised
from wellfed.verbs.watching import WatchOptions, price, promise_or_why
from wellfed.watching.codec import from_json, to_json
from wellfed.watching.target import Target
from wellfed.watching.trace import Mended, Promise


def planned(model: str, machine: str) -> Plan:
    """The best llama.cpp plan there."""
    found = planning.plan(model, planning.PlanOptions(on=machine, engines=(Engine.LLAMA_CPP,))).ranking.best
    assert found is not None
    return found


def request(plan: Plan) -> Request:
    """Its request."""
    return Request(plan.machine, plan.model, plan.weights, plan.layout, plan.workload)


def test_a_decode_step_reads_the_weights_and_the_cache() -> None:
    plan = planned("llama-3.1-8b:Q4_K_M", "Ryzen 9 7950X, 64GB DDR5-5200")
    found = decode_traffic(request(plan), inputs.calibration())
    assert found is not None
    weights = sum(layer.total for layer in plan.weights.layers) + plan.weights.head
    cache = 32 * 2 * 8 * 128 * plan.workload.mean_decode_context * 2  # layers x (K, V) x heads x width x tokens x fp16
    assert found.step_bytes == pytest.approx(weights + cache, rel=0.02)
    assert found.memory == "predicted"
    measured = replace(plan.machine, measured_memory_bandwidth_bytes_per_s=60e9)
    again = decode_traffic(replace(request(plan), machine=measured), inputs.calibration())
    assert again is not None
    assert (again.bytes_per_s, again.memory) == (60e9, "measured")
    # nothing decodes faster than its memory can be read
    assert plan.estimate.decode_tok_s.value * found.step_bytes <= found.bytes_per_s * 1.05


def test_a_step_on_a_gpu_is_held_against_its_own_memory_and_a_divided_one_against_none() -> None:
    whole = planned("llama-3.1-8b:Q4_K_M", "RTX 4090")
    found = decode_traffic(request(whole), inputs.calibration())
    assert found is not None
    assert found.bytes_per_s == pytest.approx(1008e9, rel=0.01)
    divided = replace(whole.layout, offload=replace(whole.layout.offload, gpu_layers=16))
    assert decode_traffic(replace(request(whole), layout=divided), inputs.calibration()) is None


def test_what_is_free_now_does_not_matter() -> None:
    machine = inputs.machine()
    rested = at_rest(machine)
    assert rested.os.memory_free_bytes is None
    assert all(gpu.memory_free_bytes is None for gpu in rested.gpus)
    assert at_rest(rested) == rested


def test_the_embedded_build_is_known_by_its_command() -> None:
    layout = planned("llama-3.1-8b:Q4_K_M", "Ryzen 9 7950X, 64GB").layout
    found = as_started(layout, ("python", "-m", embedded.MODULE, "--model", "x", "--threads", "3"))
    assert set(embedded.options()) <= set(found.options)
    assert found.threads == 3
    assert as_started(found, ("python", "-m", embedded.MODULE)) == found


def test_an_engine_elsewhere_is_held_against_nothing_but_what_was_expected() -> None:
    there = Target("http://far", None, "http://far")
    assert "--expect" in str(promise_or_why(there, WatchOptions(model="llama-3.1-8b:Q4_K_M")))
    expected = promise_or_why(there, WatchOptions(expect_tok_s=50.0))
    assert isinstance(expected, Promise)
    assert expected.decode_tok_s == 50.0


def test_a_narrow_link_of_the_machine_is_priced_by_the_mended_machine() -> None:
    plan = planned("qwen3-235b-a22b:Q4_K_M", "RTX 4090, EPYC 9354, 12x32GB DDR5-4800")
    card = plan.machine.gpus[0]
    narrow = replace(plan.machine, gpus=(replace(card, link=PcieLink(4, 2)),))
    there = replace(plan, machine=narrow)
    slow = promised(replace(there, estimate=estimate(request(there), inputs.calibration())), inputs.calibration())
    assert [each.rule for each in slow.mended] == ["pcie-bound"]
    assert (slow.mended[0].prefill_tok_s or 0.0) > (slow.prefill_tok_s or 0.0)
    assert not mended(plan, inputs.calibration())
    assert to_json(from_json(Promise, to_json(slow))) == to_json(slow)


@given(st.floats(1.0, 100.0), st.floats(0.0, 100.0))
def test_a_cost_is_what_the_mended_machine_would_add(now: float, more: float) -> None:
    better = replace(PROMISE, mended=(Mended("pcie-bound", PROMISE.decode_tok_s + more),))
    slow = replace(H100, busy=0.35, pcie_read_bytes_per_s=48e9)
    scene = Scene(gpus=(slow,), threads=(T(0.3), T(0.9, pid=PID + 100)), tok_s=now, engine_now={"kind": "vllm"})
    found = said(scene, better)
    cause = next(each for each in found.causes if each.rule.id == "pcie-bound")
    cost = price(cause, found.view)
    assert cost is not None
    assert cost.decode_tok_s == pytest.approx(max(0.0, PROMISE.decode_tok_s + more - now), abs=1e-6)


def test_the_share_of_the_bandwidth_decides_what_decode_is_bound_by() -> None:
    near = replace(PROMISE, bytes_per_token=4e9, memory_bytes_per_s=200e9, memory="measured")
    far = replace(near, memory_bytes_per_s=2000e9)
    assert "memory's bandwidth" in said(QUIET, near).causes[0].sign.why
    assert said(QUIET, far).causes[0].sign.why.startswith("decode: ")
    assert any(
        "8 % of the memory's bandwidth (2e+03 GB/s, measured)" in e for e in said(QUIET, far).causes[0].sign.evidence
    )


def test_the_demo_models_promise_has_its_bytes(tmp_path: Path) -> None:
    path = demo_at_hand()
    if path is None:
        pytest.skip("needs the demo model")
    told = promise(str(path), 1, "llama.cpp", ("python", "-m", embedded.MODULE, "--threads", "1"))
    size = path.stat().st_size
    assert told.bytes_per_token is not None
    assert 0.8 * size < told.bytes_per_token < 1.6 * size  # all weights, and the cache of a mean context
    assert told.memory in ("measured", "predicted")
    assert told.memory_bytes_per_s
