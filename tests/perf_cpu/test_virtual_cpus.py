"""A virtual machine's CPUs may be threads of cores; whoever serves samples and answers on the same cores."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from tests.perf_cpu.cpu_parts import CALIBRATION, LAYOUT, machine, request

from wellfed.hardware.machine import Machine
from wellfed.perf.estimate import estimate
from wellfed.perf.numa import crowding

COUNT = 8


def guest(threads: int = COUNT, virtualised: bool = True, name: str = "EPYC 7763") -> Machine:
    """A virtual machine that shows eight cores, each of one thread unless told."""
    bare = machine(name)
    socket = replace(bare.sockets[0], cores=COUNT, threads=threads)
    return replace(bare, sockets=(socket,), os=replace(bare.os, virtualised=virtualised))


def decode(on: Machine, threads: int = COUNT, **options: str) -> tuple[float, float]:
    """Tokens per second, and how wide their interval is (high over low)."""
    asked = request(on, layout=replace(LAYOUT, threads=threads, options=tuple(options.items())))
    rate = estimate(asked, CALIBRATION).decode_tok_s
    return rate.value, rate.high / rate.low


@pytest.mark.parametrize(
    ("on", "threads", "crowd"),
    [
        (guest(), COUNT, 1.0),
        (guest(), COUNT // 2, 0.0),
        (guest(), COUNT // 4 * 3, 0.5),
        (guest(threads=2 * COUNT), COUNT, 0.0),  # siblings are shown: cores are cores
        (guest(virtualised=False), COUNT, 0.0),
        (guest(name="Xeon 6780E"), COUNT, 0.0),  # its cores have one thread
    ],
)
def test_how_far_cpus_may_share_cores(on: Machine, threads: int, crowd: float) -> None:
    assert crowding(on, threads, COUNT) == pytest.approx(crowd)


def test_hidden_siblings_lie_between_cores_and_half_of_them_and_widen_the_interval() -> None:
    cores, narrow = decode(guest(threads=2 * COUNT))
    hidden, wide = decode(guest())
    assert cores / 2 < hidden < cores
    assert wide > narrow and wide / narrow <= 2.0


def test_the_answer_says_that_cpus_may_be_threads() -> None:
    def said(on: Machine) -> bool:
        found = estimate(request(on), CALIBRATION).assumptions
        return any("virtual machine" in assumption.text for assumption in found)

    assert said(guest()) and not said(guest(threads=2 * COUNT))


def test_an_unknown_cpu_whose_clock_was_measured_is_less_in_doubt() -> None:
    on = guest()
    unknown = replace(on, sockets=(replace(on.sockets[0], cpu=replace(on.sockets[0].cpu, stands_for_unknown=True)),))
    widths = [decode(each)[1] for each in (on, replace(unknown, measured_clock_hz=3.5e9), unknown)]
    assert widths == sorted(widths) and len(set(widths)) == 3


def test_serving_costs_the_cores_what_a_benchmark_does_not_do() -> None:
    on = machine()
    asked = request(on, layout=replace(LAYOUT, threads=4))
    terms = {term.name: term for term in estimate(asked, CALIBRATION).decode}
    benchmark = request(on, layout=replace(LAYOUT, threads=4, options=(("bench", "1"),)))
    assert terms["host"].seconds > 0 and terms["host"].device == "host"
    assert "host" not in {term.name for term in estimate(benchmark, CALIBRATION).decode}


def test_streaming_takes_its_turn_where_threads_fill_the_cores() -> None:
    on = machine()
    cores = on.sockets[0].cores or 0

    def host_s(threads: int) -> float:
        asked = request(on, layout=replace(LAYOUT, threads=threads))
        return math.fsum(term.seconds for term in estimate(asked, CALIBRATION).decode if term.name == "host")

    assert host_s(cores) > host_s(cores - 1)
