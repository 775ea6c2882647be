"""What must hold of CPU speeds, whatever the calibration says."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.perf_cpu.cpu_parts import CALIBRATION, LAYOUT, cpu_step, machine, request, seconds

from wellfed.nouns.estimate import Work, total_seconds
from wellfed.nouns.layout import Engine, NumaPolicy
from wellfed.nouns.plan import Request
from wellfed.perf.cpu import CpuRates, cpu_bandwidth, cpu_terms, elements_of, rates_for, work_seconds
from wellfed.perf.estimate import estimate
from wellfed.perf.hybrid import split_works
from wellfed.perf.numa import cpu_share
from wellfed.perf.ops import Step

CPUS = st.sampled_from(["ryzen 9 7950x", "epyc 9354", "xeon platinum 8480+", "threadripper pro 7965wx", "apple m2 max"])
MODELS = st.sampled_from(["llama-3.1-8b", "deepseek-v2-lite", "qwen3-30b-a3b"])
QUANTS = st.sampled_from(["q4_k_m", "q8_0", "iq2_xxs", "f16", "iq4_ks"])
CONTEXTS = st.integers(1, 60_000)
few = settings(max_examples=40, deadline=None)


@few
@given(CPUS, MODELS, QUANTS, st.integers(1, 8), CONTEXTS)
def test_more_channels_are_never_slower(cpu: str, model: str, quant: str, channels: int, context: int) -> None:
    step = Step.decode(1, context)
    fewer, more = (request(machine(cpu, channels=n), model, quant) for n in (channels, channels + 1))
    assert seconds(more, step) <= seconds(fewer, step) * (1 + 1e-12)


@few
@given(CPUS, MODELS, QUANTS, st.integers(1600, 6400), st.integers(0, 3200))
def test_faster_memory_is_never_slower(cpu: str, model: str, quant: str, speed: int, gain: int) -> None:
    step = Step.decode(1, 1000)
    slow, fast = (request(machine(cpu, mt_s=mt_s), model, quant) for mt_s in (speed, speed + gain))
    assert seconds(fast, step) <= seconds(slow, step) * (1 + 1e-12)


@few
@given(CPUS, MODELS, QUANTS, CONTEXTS, st.integers(0, 20_000))
def test_longer_context_is_never_faster(cpu: str, model: str, quant: str, context: int, more: int) -> None:
    asked = request(machine(cpu), model, quant)
    assert seconds(asked, Step.decode(1, context)) <= seconds(asked, Step.decode(1, context + more)) * (1 + 1e-12)


@few
@given(CPUS, MODELS, QUANTS, st.integers(1, 31))
def test_more_threads_never_slow_the_ops(cpu: str, model: str, quant: str, threads: int) -> None:
    """Up to the cores; barriers, which grow with threads, are a term of their own."""
    on = machine(cpu)
    cores = on.sockets[0].cores or 1
    if cpu == "apple m2 max":
        cores = 8  # its performance cores: work is divided evenly, so that a slow core makes the others wait
    asked = request(on, model, quant)
    works = split_works(asked, Step.decode(1, 500)).cpu

    def ops(count: int) -> float:
        terms = cpu_terms(works, on, replace(LAYOUT, threads=min(count, cores)), CALIBRATION)
        return total_seconds(term for term in terms if term.name != "barriers")

    assert ops(threads + 1) <= ops(threads) * (1 + 1e-12)


@few
@given(st.sampled_from(["epyc 9354", "xeon platinum 8480+", "xeon gold 6330", "epyc 7713"]), MODELS, QUANTS)
def test_a_copy_of_the_weights_per_socket_is_never_slower_than_one_socket(cpu: str, model: str, quant: str) -> None:
    step = Step.decode(1, 1000)
    one = seconds(request(machine(cpu), model, quant), step)
    both = replace(LAYOUT, numa=NumaPolicy.DUPLICATE)
    assert seconds(request(machine(cpu, sockets=2), model, quant, both), step) <= one * (1 + 1e-12)


@few
@given(CPUS, MODELS, QUANTS, st.integers(1, 2048), st.integers(0, 30_000))
def test_terms_are_positive_and_add_up_over_works(cpu: str, model: str, quant: str, tokens: int, depth: int) -> None:
    asked = request(machine(cpu), model, quant)
    step = Step.prefill(tokens, depth + tokens)
    terms = cpu_step(asked, step)
    assert all(term.seconds >= 0 and term.device == "cpu" for term in terms)
    works = split_works(asked, step).cpu
    apart = sum(total_seconds(cpu_terms([work], asked.machine, asked.layout, CALIBRATION)) for work in works)
    assert total_seconds(terms) == pytest.approx(apart)


def test_binding_to_one_of_two_sockets_equals_a_machine_of_one() -> None:
    step = Step.decode(1, 1000)
    one, two = request(machine("epyc 9354")), request(machine("epyc 9354", sockets=2))
    assert seconds(two, step) == pytest.approx(seconds(one, step))


@pytest.mark.parametrize("policy", [NumaPolicy.INTERLEAVE, NumaPolicy.UNBOUND_MEMORY])
def test_a_badly_used_second_socket_makes_reading_slower(policy: NumaPolicy) -> None:
    on = machine("xeon platinum 8480+", sockets=2)
    bound, _ = cpu_bandwidth(on, LAYOUT, CALIBRATION)
    spread, _ = cpu_bandwidth(on, replace(LAYOUT, numa=policy), CALIBRATION)
    assert spread < bound


def test_the_policy_means_nothing_with_one_socket() -> None:
    on = machine()
    found = {cpu_bandwidth(on, replace(LAYOUT, numa=policy), CALIBRATION)[0] for policy in NumaPolicy}
    assert len(found) == 1


def test_threads_beyond_the_cores_cost_barriers_and_gain_nothing() -> None:
    on = machine()
    asked = request(on)
    works = split_works(asked, Step.decode(1, 100)).cpu
    at_cores = total_seconds(cpu_terms(works, on, replace(LAYOUT, threads=16), CALIBRATION))
    beyond = total_seconds(cpu_terms(works, on, replace(LAYOUT, threads=32), CALIBRATION))
    assert beyond > at_cores


def test_an_engine_with_tiled_kernels_prefills_low_bit_types_faster() -> None:
    step = Step.prefill(512, 512)
    plain = request(machine(), quant="iq3_s")
    tiled = replace(plain, layout=replace(plain.layout, engine=Engine.IK_LLAMA_CPP))
    assert seconds(tiled, step) < seconds(plain, step) / 2


def test_llama_cpp_prefills_the_types_it_repacks_as_fast_as_tiled_kernels() -> None:
    step = Step.prefill(512, 512)
    now = request(machine())
    before = replace(now, layout=replace(now.layout, options=(("built", "2024-12-24"),)))
    assert seconds(now, step) < 0.7 * seconds(before, step)
    assert seconds(now, Step.decode(1, 100)) == pytest.approx(seconds(before, Step.decode(1, 100)), rel=0.01)


def test_kernels_without_tiles_take_as_long_a_row_in_a_batch_as_alone() -> None:
    """Most of llama.cpp's dot products: 512 rows cost 512 times the arithmetic of one."""
    asked = request(machine(), quant="iq3_s")
    weights_only = [work for work in split_works(asked, Step.prefill(512, 512)).cpu if work.name == "dense ffn"]
    alone = [work for work in split_works(asked, Step.decode(1, 1)).cpu if work.name == "dense ffn"]
    share = cpu_share(asked.machine, asked.layout)
    cycles = [_cycles(one, rates_for(one, share, 1e15, asked.layout, CALIBRATION)) for one in (*weights_only, *alone)]
    assert cycles[0] == pytest.approx(512 * cycles[1], rel=0.01)


def test_types_without_tiles_take_what_their_dot_products_take() -> None:
    """Q4_1 has neither interleaved rows nor tiles, as Q5_1: its loop is shorter, but a prompt is no sum of tiles."""
    step = Step.prefill(512, 512)
    tiled, four, five = (seconds(request(machine(), quant=kind), step) for kind in ("q4_0", "q4_1", "q5_1"))
    assert tiled < four < 0.8 * five


@pytest.mark.parametrize(
    ("cpu", "pipes"),
    [
        ("ryzen 9 7950x", 4),
        ("core ultra 7 258v", 4),  # Lion Cove: four ports, of which two multiply
        ("core i9-13900k", 3),
        ("epyc 7702", 3),
        ("threadripper 1950x", 2),
        ("intel n100", 1.5),
    ],
)
def test_a_dot_product_takes_its_instructions_over_the_cores_vector_pipes(cpu: str, pipes: float) -> None:
    """Without VNNI loops of llama.cpp are AVX2: what counts is how many instructions start, not what multiplies."""
    asked = request(machine(cpu), quant="q4_1")
    share = cpu_share(asked.machine, asked.layout)
    work = Work("dense ffn", read_bytes=1.0, elements=1e9, flops=2e9, weight_type="Q4_1")
    rate = CALIBRATION.value("cpu", "llama.cpp", "x86", "vector_ops_per_cycle")
    cycles = _cycles(work, replace(rates_for(work, share, 1e15, asked.layout, CALIBRATION), cycles_per_s=share.width))
    assert cycles == pytest.approx(1e9 * 15 / 32 / (rate * pipes / 4))


def _cycles(work: Work, rates: CpuRates) -> float:
    found: float = work_seconds(0.0, elements_of(work, LAYOUT), work.flops / 2, 0.0, 0.0, rates)[1]
    return found


def test_heads_that_share_a_cached_value_convert_it_once() -> None:
    """As many products, a quarter of the keys and values: fewer cycles, but no fewer than the products'."""
    asked = request(machine(), layout=replace(LAYOUT, engine=Engine.IK_LLAMA_CPP))
    share = cpu_share(asked.machine, asked.layout)
    alone = Work("kv cache", flops=8e9, cache_bytes=8e9)
    shared = replace(alone, cache_bytes=2e9)
    cycles = [_cycles(one, rates_for(one, share, 1e15, asked.layout, CALIBRATION)) for one in (alone, shared)]
    assert cycles[0] / 4 < cycles[1] < 0.8 * cycles[0]


def test_wide_instructions_multiply_queries_with_the_cache_faster_since_there_are_kernels_for_it() -> None:
    step = Step.prefill(512, 16000)
    now = request(machine("epyc 9354"), layout=replace(LAYOUT, engine=Engine.IK_LLAMA_CPP))
    early, narrow = (
        replace(now, layout=replace(now.layout, options=options))
        for options in ((("built", "2025-01-15"),), (("isa", "avx2"),))
    )
    assert _attention(now, step) < 0.6 * min(_attention(early, step), _attention(narrow, step))


def _attention(asked: Request, step: Step) -> float:
    found: float = next(term.seconds for term in cpu_step(asked, step) if term.name == "kv cache")
    return found


def test_a_single_query_pays_for_every_head_and_key_in_llama_cpp_alone() -> None:
    deep, short = Step.decode(1, 8000), Step.decode(1, 10)
    plain = request(machine(), layout=replace(LAYOUT, threads=2))
    tiled = replace(plain, layout=replace(plain.layout, engine=Engine.IK_LLAMA_CPP))
    grows = [seconds(one, deep) - seconds(one, short) for one in (plain, tiled)]
    assert grows[0] > 1.5 * grows[1]


@pytest.mark.parametrize(("others", "times"), [(None, 1.0), (0.0, 1.0), (8.0, 1.0), (16.0, 1.5), (24.0, 2.0)])
def test_all_that_run_take_turns_at_the_cores(others: float | None, times: float) -> None:
    """8 threads of ours on 16 cores: others wait for none of them until more than 16 want to run."""
    alone = request(machine(), layout=replace(LAYOUT, threads=8))
    busy = replace(alone, machine=replace(alone.machine, os=replace(alone.machine.os, others_running=others)))
    free, shared = estimate(alone, CALIBRATION), estimate(busy, CALIBRATION)
    assert shared.tpot_s.value == pytest.approx(times * free.tpot_s.value, rel=0.02)
    assert shared.ttft_s.value == pytest.approx(times * free.ttft_s.value, rel=0.02)
    assert (shared.tpot_s.high / shared.tpot_s.low > free.tpot_s.high / free.tpot_s.low) is (times > 1)
    assert any("other programs" in said.text for said in shared.assumptions) is (times > 1)
