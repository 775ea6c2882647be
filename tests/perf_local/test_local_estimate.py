"""The local estimate: what follows from the terms, and what happens when things are not known."""

from __future__ import annotations

from dataclasses import replace

import pytest

from wellfed.catalog.calibration import bundled
from wellfed.catalog.hardware import gpu as gpu_spec
from wellfed.errors import Unsupported
from wellfed.hardware.machine import Gpu
from wellfed.nouns.estimate import total_seconds
from wellfed.nouns.workload import Workload
from wellfed.perf.local import estimate_local

from .conftest import MakeRequest


def test_one_user_waits_for_his_own_prompt_and_steps(make_request: MakeRequest) -> None:
    found = estimate_local(make_request(), bundled())
    assert found.tpot_s.value == pytest.approx(total_seconds(found.decode))
    assert found.ttft_s.value == pytest.approx(total_seconds(found.prefill))
    assert found.prefill_tok_s.value == pytest.approx(1024 / total_seconds(found.prefill))
    assert found.total_tok_s.value == pytest.approx(256 / (found.ttft_s.value + 256 * found.tpot_s.value))
    assert found.limited_by == "memory bandwidth"
    assert found.tpot_s.low < found.tpot_s.value < found.tpot_s.high


def test_users_interrupt_each_other(make_request: MakeRequest) -> None:
    one = estimate_local(make_request(workload=Workload(concurrency=1)), bundled())
    eight = estimate_local(make_request(workload=Workload(concurrency=8)), bundled())
    assert eight.running == 8
    assert eight.tpot_s.value > total_seconds(eight.decode)
    assert eight.ttft_s.value > one.ttft_s.value
    assert eight.total_tok_s.value > one.total_tok_s.value


def test_users_beyond_the_slots_queue(make_request: MakeRequest) -> None:
    def ttft(users: int) -> float:
        return estimate_local(
            make_request(workload=Workload(concurrency=users), max_sequences=4), bundled()
        ).ttft_s.value

    assert ttft(8) > 10 * ttft(4)


def test_a_request_rate_keeps_slots_busy(make_request: MakeRequest) -> None:
    def running(rate: float) -> float:
        return estimate_local(make_request(workload=Workload(request_rate=rate)), bundled()).running

    assert 1 <= running(0.01) < running(0.5) <= running(1000) == 64


def test_what_the_catalogue_does_not_tell_is_assumed_and_widens(make_request: MakeRequest) -> None:
    spec = gpu_spec("RTX 4090")
    vague = replace(spec, compute_units=None, boost_clock_hz=None, board_power_w=None, pcie_generation=None)
    known, guessed = (estimate_local(make_request(gpu=one), bundled()) for one in (spec, vague))
    assert len(guessed.assumptions) >= len(known.assumptions) + 3
    assert guessed.tpot_s.high / guessed.tpot_s.low > known.tpot_s.high / known.tpot_s.low
    assert guessed.tpot_s.value == pytest.approx(known.tpot_s.value, rel=0.5)


def test_a_gpu_without_a_data_sheet_is_refused(make_request: MakeRequest) -> None:
    request = make_request()
    unknown = replace(request, machine=replace(request.machine, gpus=(Gpu(0, None, "Some Card"),)))
    with pytest.raises(Unsupported, match="Some Card"):
        estimate_local(unknown, bundled())


def test_more_gpus_than_there_are_is_refused(make_request: MakeRequest) -> None:
    request = make_request()
    with pytest.raises(Unsupported, match="2 GPUs"):
        estimate_local(replace(request, layout=replace(request.layout, gpus=2)), bundled())


def test_unlike_gpus_share_the_time(make_request: MakeRequest) -> None:
    request = make_request(count=2)
    slow = gpu_spec("RTX 3060 12GB")
    mixed = replace(request, machine=replace(request.machine, gpus=(request.machine.gpus[0], Gpu(1, slow, slow.name))))
    two_slow = make_request(gpu="RTX 3060 12GB", count=2)
    values = [estimate_local(one, bundled()).tpot_s.value for one in (request, mixed, two_slow)]
    assert values == sorted(values)


def test_cpu_only_needs_no_gpu(make_request: MakeRequest) -> None:
    from wellfed.nouns.layout import CPU_ONLY

    request = make_request(gpus=0, offload=CPU_ONLY)
    found = estimate_local(replace(request, machine=replace(request.machine, gpus=())), bundled())
    assert all(term.device != "gpu" for term in (*found.decode, *found.prefill))
    assert found.tpot_s.value > 0
