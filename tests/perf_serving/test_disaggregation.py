"""Two pools: what the prefill pool can take, what waits before it, what the start brings."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.perf_serving.serving_requests import CALIBRATION, request

from wellfed.nouns.plan import Request
from wellfed.perf.serving.disaggregation import Split, split
from wellfed.perf.serving.estimate import knobs_for, pools
from wellfed.perf.serving.room import room


def asked(clients: int = 64, prompt: int = 1024, firsts: int = 1, workers: int = 1) -> Request:
    base = request("llama-3.1-70b", "fp8", gpus=4, clients=clients, prompt=prompt, output=512)
    layout = replace(base.layout, gpus=4 * (firsts + workers), prefill_gpus=4 * firsts, data_parallel=workers)
    return replace(base, layout=layout)


def found(one: Request, matched: float = 0.0) -> Split:
    two = pools(one, room(replace(one, layout=replace(one.layout, prefill_gpus=0))))
    return split(
        two.prefill, two.decode, knobs_for(one, CALIBRATION), two.prefill_workers, two.decode_workers,
        one.workload.concurrency, matched,
    )  # fmt: skip


def test_short_prompts_share_a_pass() -> None:
    short, long = found(asked(prompt=1024)), found(asked(prompt=8192))
    assert short.prefill_rate == pytest.approx(8 * long.prefill_rate, rel=0.15)  # a chunk holds eight of them
    assert short.prefill_rate > 1.05 / short.prefill  # one after the other, they would be fewer


def test_the_queue_is_short_before_a_pool_that_is_hardly_asked() -> None:
    idle = found(asked(clients=2))
    assert idle.queue < 0.3 * idle.prefill


def test_beyond_capacity_clients_wait_as_little_says() -> None:
    full = found(asked(clients=2000, prompt=8192))
    assert full.rate == pytest.approx(full.prefill_rate, rel=0.01)
    cycle = 2000 / full.rate
    assert full.ttft > 0.8 * (cycle - 512 * full.tpot)


def test_the_start_is_shared_by_all_decode_workers() -> None:
    def start_s(workers: int) -> float:
        one = asked(clients=64, workers=workers, firsts=2)
        rounds, once = (replace(one, workload=replace(one.workload, requests=64 * n)) for n in (1000, 2))
        return found(once).ttft - found(rounds).ttft

    assert start_s(4) == pytest.approx(start_s(1), rel=0.1)


def test_a_pool_made_for_its_load_keeps_prompts_waiting_a_part_of_the_cycle() -> None:
    one = asked(clients=64, firsts=4)
    assert found(one, matched=1.0).queue > found(one).queue + 0.03 * 512 * found(one).tpot
