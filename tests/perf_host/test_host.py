"""The host's speed: ratings, clocks and what is in the way of both."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wellfed.catalog.hardware import cpu, gpu
from wellfed.hardware.machine import Gpu, Machine, Origin, OsSettings, Socket
from wellfed.hardware.parts import CpuSpec
from wellfed.perf.host import Loss, host_speed, part_ratio


def machine(name: str = "Ryzen 9 7950X", sockets: int = 1, **settings: object) -> Machine:
    part = cpu(name)
    packages = tuple(Socket(index, part, cores=part.cores, threads=part.threads) for index in range(sockets))
    return Machine("box", Origin.PARTS, sockets=packages, os=OsSettings(**settings))  # type: ignore[arg-type]


def test_the_reference_core_is_one() -> None:
    assert host_speed(machine()).ratio == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize(
    ("slower", "faster", "least"),
    [
        ("EPYC 7551", "EPYC 9575F", 2.0),
        ("Xeon E5-2695 v4", "Ryzen 9 5950X", 1.5),
        ("Xeon Gold 6240", "Core i9-12900K", 1.6),
        ("Threadripper 1950X", "Ryzen 7 5700X", 1.4),
        ("Raspberry Pi 5", "Core Ultra 7 265K", 3.0),
    ],
)
def test_published_ratings_keep_their_order(slower: str, faster: str, least: float) -> None:
    assert host_speed(machine(faster)).ratio >= least * host_speed(machine(slower)).ratio


def test_a_rating_goes_before_clock_and_generation() -> None:
    part = replace(cpu("Ryzen 9 7950X"), single_thread_rating=2150.0)
    assert part_ratio(part) == pytest.approx(0.5)
    assert part_ratio(replace(part, single_thread_rating=None, architecture="never heard of")) is None


def test_the_slower_socket_counts() -> None:
    mixed = replace(machine(), sockets=(*machine().sockets, *machine("EPYC 7551").sockets))
    assert host_speed(mixed).ratio == host_speed(machine("EPYC 7551")).ratio


@pytest.mark.parametrize(
    ("settings", "loss"),
    [
        ({"governors": {"powersave": 32}}, Loss.GOVERNOR),
        ({"governor": "ondemand"}, Loss.GOVERNOR),
        ({"boost": False}, Loss.BOOST_OFF),
    ],
)
def test_the_clock_is_held_down(settings: dict[str, object], loss: Loss) -> None:
    slowed, free = host_speed(machine(**settings)), host_speed(machine())  # type: ignore[arg-type]
    assert slowed.ratio < free.ratio == slowed.unhindered
    assert [name for name, _ in slowed.losses] == [loss]
    assert slowed.cores == free.cores


def test_boost_off_is_base_clock() -> None:
    part = cpu("Ryzen 9 7950X")
    assert part.base_clock_hz and part.boost_clock_hz
    found = host_speed(machine(boost=False))
    assert found.ratio == pytest.approx(found.unhindered * part.base_clock_hz / part.boost_clock_hz)


def test_a_maximum_clock_below_the_parts_counts_and_an_absurd_one_does_not() -> None:
    def at(share: float) -> Machine:
        box = machine()
        (socket,) = box.sockets
        assert socket.cpu and socket.cpu.boost_clock_hz
        return replace(box, sockets=(replace(socket, clock_max_hz=share * socket.cpu.boost_clock_hz),))

    assert host_speed(at(0.6)).ratio == pytest.approx(0.6 * host_speed(machine()).ratio)
    assert host_speed(at(0.97)).ratio == host_speed(machine()).ratio
    assert host_speed(at(0.001)).ratio == host_speed(machine()).ratio


@pytest.mark.parametrize(
    ("settings", "cores", "loss"),
    [
        ({"cpu_quota": 3.0}, 3.0, Loss.QUOTA),
        ({"cpus_online": tuple(range(32)), "cpus_allowed": tuple(range(8))}, 4.0, Loss.CPUSET),
        ({"cpus_online": tuple(range(32)), "cpus_isolated": tuple(range(24))}, 4.0, Loss.ISOLATED),
        ({"cpu_quota": 64.0}, 16.0, None),
    ],
)
def test_cores_are_taken_away(settings: dict[str, object], cores: float, loss: Loss | None) -> None:
    found = host_speed(machine(**settings))  # type: ignore[arg-type]
    assert found.cores == pytest.approx(cores)
    assert [name for name, _ in found.losses] == ([] if loss is None else [loss])
    assert found.ratio == host_speed(machine()).ratio


@given(st.floats(0.1, 64), st.floats(0.5, 32))
def test_work_takes_longer_on_fewer_cores_and_never_shorter(threads: float, quota: float) -> None:
    tight, free = host_speed(machine(cpu_quota=quota)), host_speed(machine())
    assert tight.stretch(threads) >= free.stretch(threads) >= 1
    assert tight.seconds(1e-3, threads) >= free.seconds(1e-3, threads)
    if threads <= min(quota, 16):
        assert tight.stretch(threads) == 1


@given(st.floats(1.0, 1.5))
def test_a_faster_core_takes_less_time(factor: float) -> None:
    def at(part: CpuSpec) -> Machine:
        return replace(machine(), sockets=(Socket(0, part, cores=part.cores),))

    part = cpu("EPYC 9575F")
    rated = replace(part, single_thread_rating=3500.0)
    faster = replace(part, single_thread_rating=3500.0 * factor)
    assert host_speed(at(faster)).seconds(1.0) <= host_speed(at(rated)).seconds(1.0)


def test_unknown_hosts_are_assumed_as_their_gpus_are_sold_and_say_so() -> None:
    module = Machine("m", Origin.PARTS, gpus=(Gpu(0, gpu("H100 SXM")),))
    card = Machine("m", Origin.PARTS, gpus=(Gpu(0, gpu("RTX 4090")),))
    assert 0.5 < host_speed(module).ratio < host_speed(card).ratio < 1
    for box in (module, card):
        found = host_speed(box)
        assert found.assumptions and found.cores is None and found.stretch(1000) == 1
        assert found.sigma >= 2 * host_speed(machine()).sigma
