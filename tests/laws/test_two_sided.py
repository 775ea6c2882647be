"""Laws with two sides: what physics forbids, and what it demands. `scripts/mutants.py` shows that each bites."""

from __future__ import annotations

import math
from dataclasses import replace
from statistics import NormalDist

import pytest

from wellfed.catalog.hardware import gpu
from wellfed.catalog.model_names import model
from wellfed.checks.rules import cpu_quota
from wellfed.hardware.machine import Gpu, Machine, Origin
from wellfed.hardware.pcie import PcieLink
from wellfed.models.ffn import MoeFfn
from wellfed.models.quantisation import weights
from wellfed.models.quantisation_names import quantisation
from wellfed.nouns.estimate import Quantity
from wellfed.nouns.finding import Verdict
from wellfed.nouns.layout import Engine, NumaPolicy, Offload
from wellfed.nouns.workload import Workload
from wellfed.perf.memory import memory
from wellfed.perf.ops import Step, expert_share, layer_works
from wellfed.planner.goal import coarseness
from wellfed.verbs import planning

from .points import (
    CARD,
    TWO_SOCKETS,
    decode_s,
    estimated,
    hybrid,
    on_cpu,
    part,
    prefill_s,
    request,
    with_layout,
    with_load,
)

WORKS = ("attention weights", "dense ffn", "output head")


class TestIntervals:
    def test_eighty_percent_are_inside(self) -> None:
        """Of a log-normal error: from quantile 0.1 to 0.9, neither less nor more."""
        found = Quantity.lognormal(10.0, 0.3)
        assert math.log(found.high / 10) == pytest.approx(0.3 * NormalDist().inv_cdf(0.9))
        assert math.log(10 / found.low) == pytest.approx(0.3 * NormalDist().inv_cdf(0.9))

    def test_a_rate_is_as_wide_as_its_time(self) -> None:
        found = estimated(request(CARD))
        assert found.decode_tok_s.high / found.decode_tok_s.low == pytest.approx(found.tpot_s.high / found.tpot_s.low)


class TestExperts:
    """n tokens that choose k of E at random reach E (1 - (1 - k/E)^n) different ones."""

    @pytest.mark.parametrize("tokens", [1, 2, 8, 64])
    def test_of_random_choices(self, tokens: int) -> None:
        ffn = next(layer.ffn for layer in model("deepseek-v2-lite").layers if isinstance(layer.ffn, MoeFfn))
        missed = 1.0
        for _ in range(tokens):
            missed *= 1 - ffn.active / ffn.experts
        assert expert_share(ffn, tokens) == pytest.approx(1 - missed)

    def test_bytes_read_follow(self) -> None:
        """Two tokens read more than one and less than twice as much."""
        built, kind = model("deepseek-v2-lite"), quantisation("q8_0")

        def read(tokens: float) -> float:
            works = layer_works(built, weights(built, kind), range(27), Step.decode(tokens, 100), 2.0)
            return next(work.read_bytes for work in works if work.name == "routed experts")

        assert 1.8 * read(1) < read(2) < 1.95 * read(1)
        assert read(10_000) == pytest.approx(sum(layer.routed_experts for layer in weights(built, kind).layers))


class TestGpuDecode:
    """A step is at least its bytes over the data sheet's bandwidth; large matrices come near it."""

    @pytest.mark.parametrize("kind", ["q8_0", "f16"])
    @pytest.mark.parametrize("card", ["rtx 4090", "rtx 3090", "rx 7900 xtx", "m2 ultra 192gb"])
    def test_weights_at_memory_speed(self, card: str, kind: str) -> None:
        asked = request(card if card.startswith("m2") else f"{card}, ryzen 9 7950x", kind=kind)
        held, spec = asked.weights, gpu(card)
        read = sum(layer.attention + layer.norms + layer.dense_ffn for layer in held.layers) + held.head
        ideal = read / spec.memory_bandwidth_bytes_per_s
        assert ideal < part(estimated(asked).decode, *WORKS) < 1.45 * ideal

    def test_the_head_is_read(self) -> None:
        asked = request(CARD, "gemma-3-4b", "q8_0")
        ideal = asked.weights.head / gpu("rtx 4090").memory_bandwidth_bytes_per_s
        assert ideal < part(estimated(asked).decode, "output head") < 2 * ideal

    def test_the_cache_is_read(self) -> None:
        """Llama 3.1 8B: 2 x 32 layers x 8 heads x 128 x 2 bytes a token."""
        deep, short = (
            request(CARD, load=Workload(prompt_tokens=1, output_tokens=2, depth_tokens=n)) for n in (32768, 1)
        )
        ideal = 2 * 32 * 8 * 128 * 2 * 32767 / gpu("rtx 4090").memory_bandwidth_bytes_per_s
        assert ideal < decode_s(deep) - decode_s(short) < 2.5 * ideal

    def test_a_cache_in_bytes_is_half_a_cache_in_halves(self) -> None:
        load = Workload(prompt_tokens=1, output_tokens=2, depth_tokens=65536)
        found = [part(estimated(request(CARD, load=load, kv_type=kind)).decode, "kv cache") for kind in ("f16", "q8_0")]
        assert 0.5 < found[1] / found[0] < 0.75

    def test_a_sliding_window_bounds_the_cache(self) -> None:
        """Gemma 3: five of six layers see 1,024 tokens."""
        load = Workload(prompt_tokens=1, output_tokens=2, depth_tokens=32768)
        here = estimated(request(CARD, "gemma-3-4b", load=load)).decode
        nearer = estimated(request(CARD, "gemma-3-4b", load=replace(load, depth_tokens=16384))).decode
        ratio = part(here, "kv cache") / part(nearer, "kv cache")
        assert 1.4 < ratio < 1.9

    def test_users_share_weights(self) -> None:
        """Four at a time: more than one user's pace together, less than four times it."""
        one = estimated(request(CARD))
        four = estimated(request(CARD, load=Workload(concurrency=4, prompt_tokens=1024, output_tokens=256)))
        assert 1.5 < four.total_tok_s.value / one.total_tok_s.value < 4.0

    def test_two_in_turn_are_no_faster_and_hardly_slower(self) -> None:
        one, two = (decode_s(request("2x rtx 3090, epyc 7543", gpus=count)) for count in (1, 2))
        assert one < two < 1.15 * one

    def test_ecc_on_gddr_costs_a_sixteenth(self) -> None:
        asked = request(CARD, kind="q8_0")
        (card,) = asked.machine.gpus
        with_ecc = replace(asked, machine=replace(asked.machine, gpus=(replace(card, ecc_enabled=True),)))
        ratio = part(estimated(with_ecc).decode, *WORKS) / part(estimated(asked).decode, *WORKS)
        assert 1.03 < ratio <= 16 / 15 + 1e-9


class TestGpuPrefill:
    def test_no_faster_than_the_peak_and_not_far_below(self) -> None:
        """2 FLOP a weight and token, int8 at most twice FP16's rate."""
        asked = request(CARD, load=Workload(prompt_tokens=4096, output_tokens=2))
        ideal = 2 * 3 * 4096 * 14336 * 32 * 4096 / (gpu("rtx 4090").peak.int8 or 0)
        assert 1.2 * ideal < part(estimated(asked).prefill, "dense ffn") < 6 * ideal

    def test_depth_costs_attention(self) -> None:
        load = Workload(prompt_tokens=512, output_tokens=2)
        at_depth = replace(load, depth_tokens=32768)
        ratio = prefill_s(request(CARD, load=at_depth)) / prefill_s(request(CARD, load=load))
        assert 1.5 < ratio < 20

    def test_layers_in_turn_overlap_over_gpus(self) -> None:
        """Eight micro-batches over two GPUs: at best (8 + 1) / 16 of the time."""
        load = Workload(prompt_tokens=4096, output_tokens=2)
        one, two = (
            prefill_s(request("2x rtx 3090, epyc 7543", "qwen3-14b", load=load, gpus=count)) for count in (1, 2)
        )
        assert 9 / 16 <= two / one < 0.95


class TestCpu:
    def test_weights_at_memory_speed(self) -> None:
        asked = on_cpu("ryzen 9 7950x, 2x32GB ddr5-5200")
        held = asked.weights
        read = sum(layer.attention + layer.norms + layer.dense_ffn for layer in held.layers) + held.head
        ideal = read / (2 * 5200e6 * 8)
        assert ideal < part(estimated(asked).decode, *WORKS) < 2 * ideal

    def test_two_channels_of_twelve(self) -> None:
        full, starved = (decode_s(on_cpu(f"epyc 9654, {count}x64GB ddr5-4800")) for count in (12, 2))
        assert 3 < starved / full < 6

    def test_placement_on_two_sockets(self) -> None:
        """One bound socket is the measure: spread pages cost, copies gain less than twofold."""
        found = {policy: decode_s(on_cpu(TWO_SOCKETS, numa=policy)) for policy in NumaPolicy}
        one = found[NumaPolicy.ONE_SOCKET]
        assert 0.5 * one < found[NumaPolicy.DUPLICATE] < 0.95 * one
        assert 1.05 * one < found[NumaPolicy.INTERLEAVE] < 2.5 * one
        assert 2 * one < found[NumaPolicy.UNBOUND_MEMORY] < 8 * one

    def test_huge_pages_help_a_little(self) -> None:
        small, huge = (decode_s(on_cpu(TWO_SOCKETS, huge_pages=pages)) for pages in (False, True))
        assert 1.01 < small / huge < 1.3

    def test_threads(self) -> None:
        """One core cannot draw what the memory gives; four times the cores bring nothing but barriers."""
        few, all_of_them, many = (decode_s(on_cpu(TWO_SOCKETS, threads=n)) for n in (4, 56, 224))
        assert 2 < few / all_of_them < 14
        assert all_of_them < many < 4 * all_of_them

    def test_a_core_draws_only_so_much(self) -> None:
        """FP16 weights cost little arithmetic, and four cores on a mesh still cannot have a socket's bandwidth."""
        few, all_of_them = (decode_s(on_cpu(TWO_SOCKETS, kind="f16", threads=n)) for n in (4, 56))
        assert 3.5 < few / all_of_them < 14

    def test_barriers_are_paid_for(self) -> None:
        found = estimated(on_cpu(TWO_SOCKETS, "llama-3.2-1b", threads=56))
        assert 1e-4 < part(found.decode, "barriers") < 2e-2

    def test_scattered_experts_read_slower(self) -> None:
        """Experts at a share of a stream's bandwidth: per byte, dearer than dense layers, not twice."""
        asked = on_cpu("epyc 9654, 12x64GB ddr5-4800", "qwen3-30b-a3b", "q8_0")
        terms, held = estimated(asked).decode, asked.weights
        routed = sum(layer.routed_experts for layer in held.layers) * 8 / 128
        rest = sum(layer.attention + layer.norms for layer in held.layers)
        ratio = part(terms, "routed experts") / routed / (part(terms, "attention weights") / rest)
        assert 1.05 < ratio < 2


class TestHybrid:
    def test_experts_go_over_the_link_for_long_prompts(self) -> None:
        """Once a micro-batch, all of them: their bytes over the slot's rate, not faster, not three times slower."""
        line = "rtx 4090 pcie 4.0 x16, epyc 9654, 12x64GB ddr5-4800"
        asked = hybrid(line, load=Workload(prompt_tokens=4096, output_tokens=2), ubatch_tokens=4096)
        routed = sum(layer.routed_experts for layer in asked.weights.layers)
        ideal = routed / PcieLink(4, 16).bytes_per_s
        assert ideal < part(estimated(asked).prefill, "weights over PCIe") < 3 * ideal

    def test_larger_micro_batches_copy_less_often(self) -> None:
        load = Workload(prompt_tokens=8192, output_tokens=2)
        small, large = (
            prefill_s(hybrid("rtx 4090, epyc 9654, 12x64GB ddr5-4800", load=load, ubatch_tokens=n)) for n in (512, 4096)
        )
        assert 2 < small / large <= 8

    def test_a_narrow_slot_costs_prefill_and_hardly_decode(self) -> None:
        load = Workload(prompt_tokens=4096, output_tokens=64)
        narrow, wide = (
            hybrid(f"rtx 4090 pcie {slot}, epyc 9654, 12x64GB ddr5-4800", load=load, ubatch_tokens=4096)
            for slot in ("3.0 x4", "4.0 x16")
        )
        assert 3 < prefill_s(narrow) / prefill_s(wide) < 9
        assert 1 <= decode_s(narrow) / decode_s(wide) < 1.1

    def test_short_prompts_are_not_copied(self) -> None:
        found = estimated(hybrid("rtx 4090, epyc 9654", load=Workload(prompt_tokens=16, output_tokens=2)))
        assert not [term for term in found.prefill if term.name == "weights over PCIe"]

    def test_layers_on_the_gpu_help(self) -> None:
        line = "rtx 4090, ryzen 9 7950x, 4x48GB ddr5-3600"
        none, half = (decode_s(request(line, "llama-3.3-70b", offload=Offload(gpu_layers=count))) for count in (0, 40))
        assert 1.6 < none / half < 2.1

    def test_handovers_are_paid_for(self) -> None:
        """Twice a layer of experts in RAM, some ten microseconds each."""
        asked = hybrid("rtx 4090, epyc 9654")
        assert 2 * 58 * 5e-6 < part(estimated(asked).decode, "handovers") < 2 * 58 * 100e-6


class TestQueues:
    def test_a_busy_server_makes_wait(self) -> None:
        """Four slots kept nearly busy: a wait of a part of the time an answer takes."""
        asked = with_layout(request(CARD), max_sequences=4)
        alone = estimated(asked).ttft_s.value
        waits = [estimated(with_load(asked, request_rate=rate)).ttft_s.value - alone for rate in (0.05, 1.0)]
        assert waits[0] < 0.02 < waits[1]

    def test_an_overloaded_one_makes_wait_without_end(self) -> None:
        """Ten times what it can take: over ten minutes, 0.9 x 300 s on average."""
        asked = with_layout(request(CARD), max_sequences=4)
        busy = with_load(asked, request_rate=100.0)
        assert 200 < estimated(busy).ttft_s.value < 300

    def test_users_beyond_the_slots_wait(self) -> None:
        load = Workload(concurrency=16, prompt_tokens=1024, output_tokens=256)
        few, enough = (estimated(request(CARD, load=load, max_sequences=n)).ttft_s.value for n in (4, 16))
        assert few > enough + 3


class TestLinks:
    @pytest.mark.parametrize(("generation", "gigabytes"), [(1, 4.0), (3, 15.75), (4, 31.5), (5, 63.0)])
    def test_sixteen_lanes(self, generation: int, gigabytes: float) -> None:
        assert PcieLink(generation, 16).bytes_per_s == pytest.approx(gigabytes * 1e9, rel=0.01)

    def test_loading_takes_the_slot(self) -> None:
        third, fourth, fifth = (
            estimated(request(f"rtx 4090 pcie {generation}.0 x16, ryzen 9 7950x")).load_s or 0.0
            for generation in (2, 3, 4)
        )
        assert third > fourth > fifth > 0
        assert (third - fourth) / (fourth - fifth) == pytest.approx(2.0, rel=0.1)  # 8 : 16 : 32 GB/s


class TestLedger:
    def test_vllm_keeps_its_share_free(self) -> None:
        asked = request("h100 sxm, epyc 9654", kind="fp8", engine=Engine.VLLM, kv_type="fp8", max_sequences=64)
        (card,) = (one for one in memory(asked).devices if one.device == "gpu0")
        free = sum(term.bytes for term in card.terms if "gpu_memory_utilization" in term.note)
        assert 0.07 < free / (card.capacity_bytes or 1) < 0.09

    def test_a_cache_is_for_every_slot(self) -> None:
        """Llama 3.1 8B: 131,072 bytes a token of 16 bits."""
        load = Workload(concurrency=4, prompt_tokens=4096 - 256, output_tokens=256)
        (card, *_) = memory(request(CARD, load=load)).devices
        assert sum(term.bytes for term in card.terms if term.name == "kv") == pytest.approx(4 * 4096 * 131072)


class TestPlanner:
    def test_finer_weights_are_preferred_when_nearly_as_fast(self) -> None:
        """A step from 8 to 4.9 bits has to bring a tenth; one to 3 bits nearly half."""
        assert 1.05 <= coarseness(4.85) / coarseness(8.5) <= 1.3
        assert 1.4 <= coarseness(3.1) / coarseness(8.5) <= 3

    def test_balanced_plans_ask_for_it(self) -> None:
        options = planning.PlanOptions(on=CARD, engines=(Engine.LLAMA_CPP,), quantisations=("q4_k_m", "iq3_xxs"))
        best = planning.plan("llama-3.1-8b", options).ranking.best
        assert best is not None and best.layout.quantisation == "q4_k_m"

    @pytest.mark.parametrize(("quota", "verdict"), [(1.5, Verdict.FAIL), (3.9, Verdict.FAIL), (4.0, Verdict.WARN)])
    def test_two_cores_of_quota_for_each_card(self, quota: float, verdict: Verdict) -> None:
        cards = tuple(Gpu(index, gpu("rtx 4090")) for index in range(2))
        machine = Machine("quota", Origin.LIVE, gpus=cards)
        machine = replace(machine, os=replace(machine.os, cpu_quota=quota, cpus_allowed=tuple(range(16))))
        (finding,) = cpu_quota.judge(machine)
        assert finding.verdict is verdict
