"""The host, the back end and the chip have their place in a step: laws with two sides."""

from __future__ import annotations

from dataclasses import replace

import pytest

from wellfed.catalog.calibration import bundled
from wellfed.catalog.hardware import gpu
from wellfed.hardware.machine import Gpu, Machine, Origin
from wellfed.nouns.layout import BackEnd, Engine
from wellfed.nouns.plan import Request
from wellfed.nouns.workload import Workload
from wellfed.perf.estimate import estimate
from wellfed.perf.gpu import gpu_device
from wellfed.perf.host import host_speed
from wellfed.verbs import inputs

from .points import CARD, estimated, hybrid, on_cpu, part, prefill_s, request

SLOW, FAST = "epyc 7551, 8x32GB ddr4-2666", "core i9-14900k, 2x32GB ddr5-5600"


def on_host(card: str, host: str, **layout: object) -> Request:
    return request(f"{card}, {host}", "llama-3.2-1b", "q8_0", **layout)


class TestHost:
    def test_its_work_is_as_long_as_its_core_is_slow(self) -> None:
        slow, fast = (on_host("rtx 4090", host) for host in (SLOW, FAST))
        longer = part(estimated(slow).decode, "host") / part(estimated(fast).decode, "host")
        assert longer == pytest.approx(host_speed(fast.machine).ratio / host_speed(slow.machine).ratio)
        assert 2 < longer < 4

    def test_a_small_model_on_a_fast_card_feels_it_and_a_large_one_hardly(self) -> None:
        def loss(name: str, kind: str) -> float:
            found = [estimated(request(f"rtx 4090, {host}", name, kind)).tpot_s.value for host in (SLOW, FAST)]
            return found[0] / found[1]

        assert 1.1 < loss("llama-3.2-1b", "q4_0") < 2.5
        assert 1 <= loss("qwen3-14b", "q8_0") < 1.1

    def test_launches_that_no_graph_replays_wait_for_the_slower_side(self) -> None:
        """They are ahead of the GPU: together less than the sum, no less than either."""
        asked = on_host("rx 7900 xtx pcie 3.0 x1", "raspberry pi 5", back_end=BackEnd.VULKAN)
        terms = estimated(asked).decode
        gpu_s = sum(term.seconds for term in terms if term.device == "gpu" and term.name != "logits")
        added = part(terms, "launching")
        assert 0.2 * gpu_s < added
        quick = estimated(on_host("rx 7900 xtx", FAST, back_end=BackEnd.VULKAN)).decode
        assert part(quick, "launching") < 0.3 * added

    def test_overlapped_launches_cost_less_than_their_own_time(self) -> None:
        """A fast host launches within the GPU's time: what is added is a small part of it."""
        terms = estimated(request(f"rx 7900 xtx, {FAST}", "qwen3-14b", "q8_0", back_end=BackEnd.VULKAN)).decode
        gpu_s = sum(term.seconds for term in terms if term.device == "gpu")
        assert 0 <= part(terms, "launching") < 0.02 * gpu_s

    def test_graphs_spare_launches(self) -> None:
        assert not [term for term in estimated(on_host("rtx 4090", SLOW)).decode if term.name == "launching"]
        eager = estimated(on_host("rtx 4090", SLOW, cuda_graphs=False)).decode
        assert part(eager, "launching") > 0


class TestBackEnd:
    def test_it_is_the_vendors_own_unless_told(self) -> None:
        for card, own in (("rtx 4090", BackEnd.CUDA), ("rx 7900 xtx", BackEnd.ROCM), ("arc b580", BackEnd.SYCL)):
            machine = inputs.machine(f"{card}, ryzen 9 7950x")
            assert gpu_device(machine.gpus[0], machine).back_end is own
            assert gpu_device(machine.gpus[0], machine, BackEnd.VULKAN).back_end is BackEnd.VULKAN

    def test_what_does_not_exist_is_not_taken(self) -> None:
        machine = inputs.machine("rx 7900 xtx, ryzen 9 7950x")
        assert gpu_device(machine.gpus[0], machine, BackEnd.CUDA).back_end is BackEnd.ROCM

    def test_arm_hosts_have_no_rocm(self) -> None:
        machine = inputs.machine("rx 7900 xtx pcie 3.0 x1, raspberry pi 5")
        assert gpu_device(machine.gpus[0], machine).back_end is BackEnd.VULKAN

    def test_it_changes_speed_and_not_memory(self) -> None:
        one, other = (
            estimated(request("rx 7900 xtx, ryzen 9 7950x", back_end=back)) for back in (BackEnd.ROCM, BackEnd.VULKAN)
        )
        assert one.prefill_tok_s.value != other.prefill_tok_s.value
        assert 0.4 < one.prefill_tok_s.value / other.prefill_tok_s.value < 2.5
        assert one.memory == other.memory


class TestChips:
    def test_one_without_rows_is_less_sure(self) -> None:
        known = bundled()
        seen = request(CARD)
        spec = replace(gpu("rtx 4090"), architecture="never-seen")
        unseen = replace(seen, machine=Machine("unseen", Origin.PARTS, seen.machine.sockets, gpus=(Gpu(0, spec),)))

        def width(asked: Request) -> float:
            rate = estimate(asked, known).decode_tok_s
            return rate.high / rate.low

        assert 1.1 * width(seen) < width(unseen) < 4 * width(seen)

    def test_rows_behind_a_number_are_told(self) -> None:
        found = estimated(request(CARD)).assumptions
        (evidence,) = [one for one in found if "rows of decode" in one.text]
        assert "ada with cuda" in evidence.text and not evidence.reason
        few = estimated(request("rx 6800 xt, ryzen 9 7950x", back_end=BackEnd.SYCL)).assumptions
        assert any("0 rows of decode" in one.text and one.reason for one in few)

    def test_narrow_cores_compute_less(self) -> None:
        """Cortex-A76: two vector pipes where an Apple core has four."""
        found = estimated(
            on_cpu("raspberry pi 5", "llama-3.2-1b", "q4_0", load=Workload(prompt_tokens=512, output_tokens=8))
        )
        elements = 2 * 1.1e9 * 512 / 2
        per_core_and_clock = elements / prefill_of(found) / 4 / 2.4e9
        assert 3 < per_core_and_clock < 20


def prefill_of(found: object) -> float:
    return sum(term.seconds for term in found.prefill)  # type: ignore[attr-defined]


class TestCopies:
    def test_host_memory_bounds_them(self) -> None:
        """PCIe 5.0 x16 on two channels: passes through memory decide, not the slot."""
        load = Workload(prompt_tokens=4096, output_tokens=2)
        asked = hybrid(
            "rtx 5090, ryzen 9 7950x, 4x48GB ddr5-3600", "gpt-oss-120b", "mxfp4_moe", load, ubatch_tokens=4096
        )
        routed = sum(layer.routed_experts for layer in asked.weights.layers)
        memory = 2 * 3600e6 * 8
        assert 2.5 * routed / memory < part(estimated(asked).prefill, "weights over PCIe") < 8 * routed / memory

    def test_ktransformers_streams_long_chunks_only(self) -> None:
        line = "rtx 5090, epyc 9654, 12x64GB ddr5-4800"
        load = Workload(prompt_tokens=16384, output_tokens=2)
        small, large = (
            hybrid(line, "qwen3-235b-a22b", load=load, engine=Engine.KTRANSFORMERS, batch_tokens=n)
            for n in (2048, 16384)
        )
        assert not [term for term in estimated(small).prefill if term.name == "weights over PCIe"]
        assert part(estimated(large).prefill, "weights over PCIe") > 0
        assert prefill_s(large) < prefill_s(small)
