"""Two sockets, and how many threads: directions that published measurements agree on."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.perf_cpu.cpu_parts import CALIBRATION, LAYOUT, experts_on_cpu, machine, request

from wellfed.nouns.layout import Engine, NumaPolicy
from wellfed.nouns.workload import Workload
from wellfed.perf.cpu import cpu_bandwidth
from wellfed.perf.local import local_times
from wellfed.perf.threads import best_threads

CHAT = Workload(prompt_tokens=500, output_tokens=200)


def decode(cpu: str, sockets: int, policy: NumaPolicy, engine: Engine, model: str, gpu: str) -> float:
    on = machine(cpu, sockets=sockets, gpus=(gpu,))
    layout = experts_on_cpu(engine, numa=policy)
    return 1 / local_times(request(on, model, "q4_k_m", layout, CHAT), CALIBRATION).decode_s


def test_weights_duplicated_per_socket_gain_some_but_not_double() -> None:
    """KTransformers, 2x Xeon Gold 6454S and an RTX 4090 D: 8.7 tok/s on one socket, 12.2 on both (its tutorial)."""
    one, both = (
        decode("xeon gold 6454s", sockets, policy, Engine.KTRANSFORMERS, "deepseek-v3", "rtx 4090 d")
        for sockets, policy in ((1, NumaPolicy.ONE_SOCKET), (2, NumaPolicy.DUPLICATE))
    )
    assert 7 < one < 11
    assert 1.15 < both / one < 1.65


def test_a_second_socket_without_care_is_slower_than_none() -> None:
    """2x Xeon 8480+, Maverick: bound 40 tok/s, distributed 27, threads bound but memory not 10."""
    bound, spread, unbound = (
        decode("xeon platinum 8480+", 2, policy, Engine.LLAMA_CPP, "llama-4-maverick", "rtx 3090")
        for policy in (NumaPolicy.ONE_SOCKET, NumaPolicy.INTERLEAVE, NumaPolicy.UNBOUND_MEMORY)
    )
    assert bound > spread > unbound
    assert unbound < 0.7 * bound


@pytest.mark.parametrize("policy", [NumaPolicy.INTERLEAVE, NumaPolicy.DUPLICATE])
def test_two_sockets_read_a_prompt_faster_than_one_but_far_from_twice(policy: NumaPolicy) -> None:
    """2x Xeon Gold 6454S, DeepSeek-V3: 54 tok/s on one socket, 83 on both with a copy each (KTransformers)."""
    one, both = (
        request(machine("xeon gold 6454s", sockets=count), "deepseek-v3", layout=replace(LAYOUT, numa=how))
        for count, how in ((1, NumaPolicy.ONE_SOCKET), (2, policy))
    )
    gain = local_times(one, CALIBRATION).prefill_s / local_times(both, CALIBRATION).prefill_s
    assert 1.1 < gain < 1.7


def test_a_core_far_from_memory_draws_less_of_it() -> None:
    """One thread: 61 GB/s on a Ryzen 9 7950X, 22 on a Threadripper PRO 5975WX, less still on a mesh."""
    desktop, workstation, mesh = (
        cpu_bandwidth(machine(cpu), replace(LAYOUT, threads=1), CALIBRATION)[0]
        for cpu in ("ryzen 9 7950x", "threadripper pro 5975wx", "xeon 6980p")
    )
    assert desktop > 1.3 * workstation > 1.3**2 * mesh


@pytest.mark.parametrize("cpu", ["ryzen 9 7950x", "epyc 7773x", "xeon 6980p", "ampereone a192-32x"])
def test_the_best_number_of_threads_is_no_slower_than_all_cores(cpu: str) -> None:
    asked = request(machine(cpu), "deepseek-v2-lite")
    count = best_threads(asked, CALIBRATION)
    assert count is not None
    chosen = replace(asked, layout=replace(LAYOUT, threads=count))
    assert local_times(chosen, CALIBRATION).decode_s <= local_times(asked, CALIBRATION).decode_s * 1.02


def test_many_cores_on_little_memory_leave_some_idle() -> None:
    """EPYC 7773X, 64 cores: DeepSeek-R1 Q4_K_M decodes best with 24 to 32 threads."""
    count = best_threads(request(machine("epyc 7773x"), "deepseek-r1"), CALIBRATION)
    assert count is not None
    assert 16 <= count < 64


def test_no_threads_to_choose_when_all_is_on_the_gpu() -> None:
    on = machine(gpus=("rtx 4090",))
    layout = replace(experts_on_cpu(), offload=replace(experts_on_cpu().offload, cpu_expert_layers=0))
    assert best_threads(request(on, layout=layout), CALIBRATION) is None
