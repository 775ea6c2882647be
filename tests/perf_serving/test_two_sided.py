"""Laws that fail when a term is dropped and when it is doubled: what each number of a layout adds, no less and no more."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.perf_serving.serving_requests import CALIBRATION, request

from wellfed.catalog.hardware import cpu
from wellfed.hardware.machine import OsSettings, Socket
from wellfed.nouns.layout import Engine, Speculation
from wellfed.nouns.plan import Request
from wellfed.perf.serving import estimate_serving
from wellfed.perf.serving.estimate import replica
from wellfed.perf.serving.formats import TILED, formats, gpu_of
from wellfed.perf.serving.knobs import Knobs
from wellfed.perf.serving.load import closed_wait, fed, serve
from wellfed.perf.serving.replica import mean_inverse
from wellfed.perf.serving.room import room
from wellfed.perf.serving.shape import Shape
from wellfed.perf.serving.step import forward, sides


def parts(asked: Request) -> tuple[Shape, Knobs]:
    return replica(asked, CALIBRATION, room(asked))


def behind(asked: Request, name: str, **settings: Any) -> Request:
    part = cpu(name)
    socket = Socket(0, part, cores=part.cores)
    return replace(asked, machine=replace(asked.machine, sockets=(socket,), os=OsSettings(**settings)))


class TestLinks:
    def test_every_all_reduce_costs_its_latency_and_its_bytes(self) -> None:
        shape, knobs = parts(request("llama-3.1-70b", "fp8", gpus=8))
        assert shape.reduces == 2 * 80
        latency = shape.reduces * (knobs.reduce_s + 2 * knobs.reduce_hop_s)
        wire = shape.reduce_bytes * 5 / (shape.link_bandwidth * knobs.link_fraction)
        assert shape.reduce_bytes == pytest.approx(shape.reduces * 2 * 8192 * 2 * 7 / 8)
        assert forward(shape, knobs, 5.0, 0.0).link == pytest.approx(latency + wire)

    def test_every_dispatch_and_combine_costs_its_latency_and_its_bytes(self) -> None:
        spread = request("deepseek-r1", "fp8", gpus=8, attention_data_parallel=8, expert_parallel=8)
        shape, knobs = parts(spread)
        assert shape.exchanges == 2 * 58
        quicker = replace(knobs, exchange_s=0.0)
        saved = forward(shape, knobs, 8.0, 0.0).link - forward(shape, quicker, 8.0, 0.0).link
        assert saved == pytest.approx(shape.exchanges * knobs.exchange_s)
        free = replace(shape, exchange_bytes=0.0)
        wire = forward(shape, knobs, 8.0, 0.0).link - forward(free, knobs, 8.0, 0.0).link
        assert wire == pytest.approx(shape.exchange_bytes * 8 / (shape.link_bandwidth * knobs.link_fraction))
        assert shape.exchange_bytes > 0


class TestExperts:
    def test_a_crowd_reads_every_expert_once_and_no_more(self) -> None:
        shape, knobs = parts(request("deepseek-r1", "fp8", gpus=8, expert_parallel=8))
        whole = shape.routed_bytes / (shape.bandwidth * knobs.routed_read * knobs.expert_read)
        assert sides(shape, knobs, 50_000.0, 0.0).experts[0] == pytest.approx(whole, rel=1e-3)

    def test_one_token_reads_what_it_chooses(self) -> None:
        shape, knobs = parts(request("deepseek-r1", "fp8", gpus=8))
        whole = shape.routed_bytes / (shape.bandwidth * knobs.routed_read * knobs.expert_read)
        assert sides(shape, knobs, 1.0, 0.0).experts[0] == pytest.approx(whole * 8 / 256, rel=1e-3)
        some = sides(shape, knobs, 64.0, 0.0).experts[0]
        alike = 1 - (1 - 8 / 256) ** (1 + 63 * knobs.expert_spread)
        assert some == pytest.approx(whole * alike, rel=1e-3)
        assert some < 0.99 * whole * (1 - (1 - 8 / 256) ** 64)


class TestHost:
    def test_a_core_of_half_the_speed_takes_twice_as_long(self) -> None:
        shape, knobs = parts(request("qwen3-8b", "bf16", gpus=1, async_scheduling=False))
        slow = replace(shape, pace=shape.pace / 2)
        assert shape.overlapped == 0
        before, after = forward(shape, knobs, 4.0, 0.0), forward(slow, knobs, 4.0, 0.0)
        assert after.host == pytest.approx(2 * before.host)
        assert before.host == pytest.approx((knobs.step_s + 4 * knobs.sequence_s) / shape.pace)

    def test_overlap_hides_most_of_it_but_not_what_exceeds_the_gpu(self) -> None:
        shape, knobs = parts(request("qwen3-8b", "bf16", gpus=1))
        beside = forward(shape, knobs, 4.0, 0.0).host
        between = forward(replace(shape, overlapped=0.0), knobs, 4.0, 0.0).host
        assert beside < 0.6 * between
        starved = forward(replace(shape, pace=shape.pace / 100), knobs, 4.0, 0.0)
        assert starved.host > 40 * between

    def test_the_machines_cpu_clock_governor_and_quota_reach_the_estimate(self) -> None:
        asked = request("qwen3-8b", "bf16", gpus=1, clients=8, async_scheduling=False)
        fast = estimate_serving(behind(asked, "EPYC 9575F"), CALIBRATION)
        slow = estimate_serving(behind(asked, "EPYC 7551"), CALIBRATION)
        assert 1.03 < slow.tpot_s.value / fast.tpot_s.value < 1.6
        assert slow.ttft_s.value > 1.1 * fast.ttft_s.value
        saving = estimate_serving(behind(asked, "EPYC 9575F", governor="powersave"), CALIBRATION)
        rationed = estimate_serving(behind(asked, "EPYC 9575F", cpu_quota=1.0), CALIBRATION)
        assert fast.tpot_s.value < saving.tpot_s.value < rationed.tpot_s.value

    def test_eager_mode_launches_every_kernel(self) -> None:
        asked = behind(request("qwen3-8b", "bf16", gpus=1, clients=1), "EPYC 7551")
        eager = replace(asked, layout=replace(asked.layout, cuda_graphs=False))
        shape, _ = parts(eager)
        assert shape.launches == shape.kernels
        assert parts(asked)[0].launches == 0
        assert estimate_serving(eager, CALIBRATION).tpot_s.value > 2 * estimate_serving(asked, CALIBRATION).tpot_s.value

    def test_requests_are_handled_by_the_host(self) -> None:
        asked = request("qwen3-8b", "bf16", gpus=1, clients=1)
        shape, knobs = parts(asked)
        slow = serve(replace(shape, pace=shape.pace / 2), knobs).handling
        assert slow == pytest.approx(2 * serve(shape, knobs).handling)

    def test_one_process_bounds_requests_per_second(self) -> None:
        asked = request("qwen3-8b", "bf16", gpus=1, clients=512, prompt=16, output=1, max_sequences=1024)
        shape, knobs = parts(asked)
        assert serve(shape, knobs).rate <= shape.pace / knobs.frontend_s


class TestLoad:
    def test_a_single_user_waits_for_nobody(self) -> None:
        for engine in (Engine.VLLM, Engine.SGLANG, Engine.TENSORRT_LLM):
            asked = request("llama-3.1-8b", "bf16", gpus=1, engine=engine, clients=1)
            shape, knobs = parts(asked)
            found = serve(shape, knobs)
            assert found.batch == 1 and found.share == 0 and found.wait == pytest.approx(0, abs=1e-9)
            names = {term.name for term in estimate_serving(asked, CALIBRATION).decode}
            assert "prompts of others" not in names
            assert found.tpot == pytest.approx(forward(shape, knobs, 1.0, 0.0).seconds)

    def test_those_beyond_the_slots_wait_for_them(self) -> None:
        shape, knobs = parts(request("llama-3.1-8b", "bf16", gpus=1, clients=300, max_sequences=100))
        found = serve(shape, knobs)
        assert found.queue == pytest.approx(200 / found.rate, rel=0.02)

    def test_what_comes_at_once_waits_half_as_long_as_what_comes_again(self) -> None:
        shape, knobs = parts(request("llama-3.1-8b", "bf16", gpus=1, clients=1000, max_sequences=100))
        again, once = serve(shape, knobs), serve(replace(shape, requests=1000.0, spread=1.0), knobs)
        assert 0.3 * again.queue < once.queue < 0.6 * again.queue

    def test_a_passs_chunk_bounds_what_runs(self) -> None:
        asked = request("llama-3.1-8b", "bf16", gpus=1, clients=500, prompt=4000, output=100, batch_tokens=2048)
        shape, knobs = parts(asked)
        assert fed(shape) == pytest.approx(2048 / (4000 / 100 + 1))
        assert serve(shape, knobs).running <= fed(shape)
        alone, _ = parts(replace(asked, layout=replace(asked.layout, engine=Engine.SGLANG)))
        assert fed(alone) > alone.slots

    def test_where_prompts_fill_every_pass_a_token_takes_a_full_one(self) -> None:
        """As many sequences are let in as keep the chunk full while others of them wait for their prompts."""
        asked = request("llama-3.1-8b", "bf16", gpus=1, clients=100, prompt=32_000, output=100, batch_tokens=2048)
        shape, knobs = parts(asked)
        served = serve(shape, knobs)
        assert 0.85 < served.share <= 1.0
        assert served.running <= fed(shape)
        assert served.tpot == pytest.approx(forward(shape, knobs, served.batch, 2048.0).seconds, rel=0.15)

    def test_short_answers_weigh_most_in_a_mean_of_times_per_token(self) -> None:
        assert mean_inverse(500, 0) == 1 / 500
        drawn = sum(1 / length for length in range(1, 1001)) / 1000
        assert mean_inverse(500, 1) == pytest.approx(drawn, rel=0.01)

    def test_the_queue_of_a_closed_circle(self) -> None:
        assert closed_wait(1.0, 10.0, 1.0) == pytest.approx(0, abs=0.1)
        assert closed_wait(1.0, 0.0, 20.0) == pytest.approx(19)
        assert 0 < closed_wait(1.0, 30.0, 20.0) < closed_wait(1.0, 10.0, 20.0) < 19

    def test_looking_for_requests_less_often_makes_them_wait(self) -> None:
        asked = request("llama-3.1-8b", "bf16", gpus=1, engine=Engine.SGLANG, clients=16)
        rarely = replace(asked, layout=replace(asked.layout, options=(("recv_interval", "30"),)))
        often, seldom = (estimate_serving(one, CALIBRATION) for one in (asked, rarely))
        assert seldom.ttft_s.value > often.ttft_s.value + 10 * often.tpot_s.value
        assert seldom.tpot_s.value <= often.tpot_s.value

    def test_prompts_that_are_collected_wait_as_many_passes(self) -> None:
        asked = request("llama-3.1-70b", "fp8", gpus=4, engine=Engine.TENSORRT_LLM, clients=16)
        collected = replace(asked, layout=replace(asked.layout, options=(("batch_wait_iters", "20"),)))
        soon, late = (estimate_serving(load, CALIBRATION) for load in (asked, collected))
        passes = (late.ttft_s.value - soon.ttft_s.value) / soon.tpot_s.value
        assert 12 < passes < 24
        assert late.tpot_s.value <= soon.tpot_s.value

    @pytest.mark.parametrize(("clients", "longer"), [(1, False), (2, True), (32, True)])
    def test_answers_of_one_length_keep_requests_together(self, clients: int, longer: bool) -> None:
        asked = request("llama-3.1-8b", "bf16", gpus=1, clients=clients)
        equal = replace(asked, workload=replace(asked.workload, equal_lengths=True))
        apart, together = (estimate_serving(load, CALIBRATION).ttft_s.value for load in (asked, equal))
        assert (together > 1.05 * apart) is longer
        random = replace(equal, workload=replace(equal.workload, request_rate=0.2))
        loose = replace(random, workload=replace(random.workload, equal_lengths=False))
        assert estimate_serving(random, CALIBRATION).ttft_s == estimate_serving(loose, CALIBRATION).ttft_s


class TestFormats:
    @pytest.mark.parametrize(("name", "wanted"), [("llama-3.1-70b", "fp8"), ("qwen3-32b", TILED)])
    def test_fp8_files_have_one_scale_or_tiles_by_family(self, name: str, wanted: str) -> None:
        asked = request(name, "fp8", gpus=8)
        assert formats(asked.weights, gpu_of(asked.machine))["dense_rate"] == wanted

    def test_tiles_are_multiplied_slower(self) -> None:
        asked = request("llama-3.1-70b", "fp8", gpus=8, prompt=8192)
        tiles = {part: kind.replace("FP8-TENSOR", "FP8") for part, kind in asked.weights.types.items()}
        tiled = replace(asked, weights=replace(asked.weights, types=tiles))
        whole, scaled = (estimate_serving(load, CALIBRATION).ttft_s.value for load in (asked, tiled))
        assert 1.2 < scaled / whole < 2.5


class TestSpeculation:
    def test_drafts_cost_what_they_are_told_to(self) -> None:
        plain = request("llama-3.1-70b", "fp8", gpus=8, clients=1)
        guess = Speculation(3, acceptance_length=2.5, draft_share=0.05)
        drafted = replace(plain, layout=replace(plain.layout, speculation=guess))
        (shape, knobs), (with_drafts, _) = parts(plain), parts(drafted)
        one, more = forward(shape, knobs, 1.0, 0.0), forward(with_drafts, knobs, 1.0, 0.0)
        body = more.attention + more.dense + more.shared + more.experts + more.head + more.kernels
        assert more.drafts == pytest.approx(0.15 * body, rel=1e-6)
        assert one.drafts == 0
        assert with_drafts.gain == 2.5 and with_drafts.drafts == 4

    @pytest.mark.parametrize(("tokens", "length"), [(2, 0.5), (2, 3.5), (-1, 1.0)])
    def test_impossible_acceptance_is_refused(self, tokens: int, length: float) -> None:
        from wellfed.errors import BadInput

        with pytest.raises(BadInput, match="accepted of"):
            Speculation(tokens, length)
