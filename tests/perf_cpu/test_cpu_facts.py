"""Known sizes of things: what published measurements and data sheets say, within what the model claims."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.perf_cpu.cpu_parts import CALIBRATION, LAYOUT, cpu_step, machine, request

from wellfed.hardware.machine import Machine, Origin, Socket
from wellfed.models.gguf_types import gguf_type_names
from wellfed.perf.cpu import cpu_bandwidth
from wellfed.perf.hybrid import kv_element_bytes
from wellfed.perf.kernels import _FAMILY, family
from wellfed.perf.numa import cpu_share, instruction_set
from wellfed.perf.ops import Step


def test_a_7950x_sustains_57_to_64_of_its_83_gigabytes() -> None:
    found, assumptions = cpu_bandwidth(machine(), LAYOUT, CALIBRATION)
    assert 52e9 < found < 66e9
    assert assumptions == ()


def test_one_core_complex_cannot_use_two_fast_channels() -> None:
    """A 7800X3D reads 61 of 96 GB/s: its fabric link, not its memory."""
    found, _ = cpu_bandwidth(machine("ryzen 7 7800x3d", mt_s=6000), LAYOUT, CALIBRATION)
    faster, _ = cpu_bandwidth(machine("ryzen 7 7800x3d", mt_s=8000), LAYOUT, CALIBRATION)
    assert found < 62e9
    assert faster < found * 1.15


def test_measured_bandwidth_beats_the_data_sheet() -> None:
    told = replace(machine("threadripper pro 7965wx"), measured_memory_bandwidth_bytes_per_s=225e9)
    slower = replace(told, measured_memory_bandwidth_bytes_per_s=100e9)
    assert cpu_bandwidth(slower, LAYOUT, CALIBRATION)[0] < 0.6 * cpu_bandwidth(told, LAYOUT, CALIBRATION)[0]
    assert cpu_bandwidth(told, LAYOUT, CALIBRATION)[0] <= 225e9


def test_without_huge_pages_no_more_is_read_than_was_measured_without_them() -> None:
    told = replace(machine(), measured_memory_bandwidth_bytes_per_s=55e9, measured_small_pages_bytes_per_s=32e9)
    small, _ = cpu_bandwidth(told, LAYOUT, CALIBRATION)
    huge, _ = cpu_bandwidth(told, replace(LAYOUT, huge_pages=True), CALIBRATION)
    assert 30e9 < small <= 32e9 < huge


def test_a_measured_clock_beats_the_data_sheet_and_any_assumption() -> None:
    told = replace(machine(), measured_clock_hz=4.2e9)
    unknown = Machine("?", Origin.LIVE, (Socket(0, cores=4),), measured_clock_hz=3.5e9)
    assert cpu_share(told, LAYOUT).clock_hz == 4.2e9
    assert cpu_share(unknown, LAYOUT).clock_hz == 3.5e9
    assert not any("GHz" in one.text for one in cpu_share(unknown, LAYOUT).assumptions)


def test_llama_cpp_reads_a_cache_at_about_an_eighth_of_the_speed_of_weights() -> None:
    """Seen with two Zen 4 cores and 128-wide FP16 heads, six queries to a key: 0.12."""
    on = replace(machine(), measured_memory_bandwidth_bytes_per_s=50e9, measured_clock_hz=3.5e9)
    asked = request(on, "qwen2.5-1.5b", "q8_0", replace(LAYOUT, threads=2))
    deep, short = (next(t for t in cpu_step(asked, Step.decode(1, n)) if t.name == "kv cache") for n in (4096, 1))
    cache = 28 * 2 * 2 * 128 * 2 * 4095
    assert 0.08 < cache / (deep.seconds - short.seconds) / 50e9 < 0.16


def test_few_cores_of_a_server_cannot_draw_its_bandwidth() -> None:
    on = machine("xeon 6980p")
    eight, _ = cpu_bandwidth(on, replace(LAYOUT, threads=8), CALIBRATION)
    all_cores, _ = cpu_bandwidth(on, LAYOUT, CALIBRATION)
    assert eight < 0.15 * all_cores


def test_unknown_hardware_is_assumed_and_said_so() -> None:
    found, assumptions = cpu_bandwidth(Machine("?", Origin.LIVE, (Socket(0),)), LAYOUT, CALIBRATION)
    assert found > 0
    told = " ".join(one.text for one in assumptions)
    assert "cores" in told and "channels" in told


def test_prefill_may_use_other_threads_than_decode() -> None:
    asked = request(machine())
    assert cpu_share(asked.machine, asked.layout, 4).busy == 4
    assert cpu_share(asked.machine, asked.layout).busy == 16


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ryzen 9 7950x", "avx512_vnni"),
        ("threadripper pro 5975wx", "avx2"),
        ("xeon platinum 8480+", "amx"),
        ("apple m2 max", "neon"),
        ("raspberry pi 5", "neon"),
        ("raspberry pi 400", "neon_base"),
        ("hifive premier p550", "riscv"),
        ("core 2 quad q8400", "sse"),
    ],
)
def test_instructions(name: str, expected: str) -> None:
    assert instruction_set(machine(name).sockets[0]) == expected


def test_a_live_machines_flags_count() -> None:
    live = Socket(0, isa=frozenset({"avx2", "avx512f", "avx512_vnni"}))
    assert instruction_set(live) == "avx512_vnni"


def test_every_weight_type_has_a_family() -> None:
    from wellfed.models.gguf_types import plain

    integers = {"I8", "I16", "I32", "I64", "F64", "Q8_K64"}
    unknown = {name for name in gguf_type_names() if plain(name) not in _FAMILY} - integers
    unknown = {name for name in unknown if not name.startswith("Q4_0_")}
    assert unknown == set()
    assert family("Q4_K_R4") == "k"


@pytest.mark.parametrize(("kind", "size"), [("f16", 2), ("bf16", 2), ("q8_0", 34 / 32), ("q4_0", 18 / 32), ("fp8", 1)])
def test_cache_element_sizes(kind: str, size: float) -> None:
    assert kv_element_bytes(kind) == pytest.approx(size)
