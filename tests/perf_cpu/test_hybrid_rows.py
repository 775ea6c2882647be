"""What rows of measurement tables are taken to mean. Rows are made up; their wording is what people write."""

from __future__ import annotations

from datetime import date

import pytest

from wellfed.accuracy.case import Case, Row, Skipped
from wellfed.accuracy.hybrid_machine import machine_of, parse_ram, socket_count
from wellfed.accuracy.hybrid_notes import bound_nodes, build_day, built, lengths, numa_policy
from wellfed.accuracy.rows_hybrid import interpret
from wellfed.nouns.layout import ALL_GPU, CPU_ONLY, EXPERTS_ON_CPU, Engine, NumaPolicy, Offload
from wellfed.nouns.plan import Request


def row(**cells: str) -> Row:
    usual = {
        "source": "made up (somebody, 2026-01-02)", "engine": "llama.cpp", "model": "llama 8B Q4_K - Medium",
        "params": "8.03 B", "quant": "Q4_K - Medium", "oom": "0", "cpu": "Ryzen 9 7950X", "gpu": "none",
        "gpu_count": "0", "ngl_or_offload": "CPU only", "prompt_len": "0", "gen_len": "128", "decode_tok_s": "11.0",
        "concurrency_or_batch": "1",
    }  # fmt: skip
    return Row(0, usual | cells)


def case(**cells: str) -> Case:
    found = interpret(row(**cells))
    assert found is not None
    (one,) = found
    assert isinstance(one, Case), one
    return one


def asked(**cells: str) -> Request:
    request = case(**cells).request
    assert request is not None
    return request


def skipped(**cells: str) -> Skipped:
    found = interpret(row(**cells))
    assert found is not None
    (one,) = found
    assert isinstance(one, Skipped), one
    return one


def test_a_cpu_row() -> None:
    one = case(notes="llama-bench; test tg128; size=4.58 GiB; threads=8; fa=1")
    assert (one.cls, one.metric, one.measured) == ("CPU decode", "decode_tok_s", 11.0)
    request = one.request
    assert request is not None
    assert request.layout.offload == CPU_ONLY and request.layout.threads == 8
    assert request.machine.sockets[0].channels == 2
    assert request.weights.total == pytest.approx(4.58 * 2**30, rel=0.01)
    assert request.workload.mean_decode_context == 64


def test_other_engines_and_gpu_tables_are_somebody_elses() -> None:
    assert interpret(row(engine="vllm")) is None
    assert interpret(row(engine="llama.cpp", gpu="RTX 4090", ngl_or_offload="all on GPU")) is None


@pytest.mark.parametrize(
    ("offload", "notes", "expected"),
    [
        ("routed experts on CPU, rest on GPU", "", EXPERTS_ON_CPU),
        ("ngl=99", "ot=exps=CPU", EXPERTS_ON_CPU),
        ("ngl=99", "n_gpu_layers = 99", EXPERTS_ON_CPU),  # 16 GB of weights do not fit 12: the experts must stay
        ("2 expert layers on GPU; rest on CPU experts on CPU", "", Offload(cpu_expert_layers=46)),
        ("ngl=12", "", Offload(gpu_layers=12)),
        ("all layers on GPU (layer split)", "", ALL_GPU),
    ],
)
def test_offload(offload: str, notes: str, expected: Offload) -> None:
    found = asked(
        engine="ik_llama.cpp", model="qwen3moe 30B.A3B Q4_K - Medium", params="30.53 B", gpu="RTX 3060 12GB",
        gpu_count="1", ngl_or_offload=offload, notes=notes,
    )  # fmt: skip
    assert found.layout.offload == expected


def test_what_a_row_does_not_tell_is_said() -> None:
    assert skipped(cpu="").reason == "the CPU is not told"
    assert "model" in skipped(model="123 - CPU performance", notes="thread: 123 - CPU performance").reason
    assert "quantisation" in skipped(quant="", model="Llama-3.1-8B").reason
    assert "prompt" in skipped(decode_tok_s="", prefill_tok_s="20", prompt_len="short", gen_len="").reason
    assert "disk" in skipped(model="deepseek2 671B Q8_0", params="671 B", quant="Q8_0", ram="256GB DDR5").reason
    assert not any(one.unresolved for one in (skipped(cpu=""), skipped(quant="", model="Llama-3.1-8B")))


def test_an_unknown_name_is_unresolved() -> None:
    assert skipped(cpu="Frobnicator 9000").unresolved
    assert skipped(model="Nonesuch-Model-123x", params="").unresolved


@pytest.mark.parametrize(
    ("prompt", "output", "decode", "expected"),
    [
        ("512 @ depth 4096", "128 @ depth 4096+pp", True, (512, 128, 4096)),  # sweep: after its own prompt
        ("512 @ depth 4096", "128 @ depth 4096+pp", False, (512, 128, 4096)),
        ("512", "64 @ depth 512", True, (0, 64, 512)),
        ("512", "64 @ depth 512", False, (512, 64, 0)),
        ("0 @ depth 128", "64", True, (0, 64, 128)),
        ("512/0", "0/128", True, (0, 128, 0)),
        ("512/0", "0/128", False, (512, 128, 0)),
        ("depth 16384", "", True, (0, None, 16384)),
        ("969", "300", True, (969, 300, 0)),
        ("short", "", False, (None, None, 0)),
    ],
)
def test_lengths(prompt: str, output: str, decode: bool, expected: tuple[int | None, int | None, int]) -> None:
    found = lengths(row(prompt_len=prompt, gen_len=output), decode)
    assert (found.prompt, found.output, found.depth) == expected


@pytest.mark.parametrize(
    ("text", "channels", "per_socket", "speed", "size", "measured"),
    [
        ("1TB DDR5-4800 8ch/socket", 8, True, 4800, 10**12, None),
        ("12x64GB DDR5-4800", None, False, 4800, 768 * 10**9, None),
        ("256GB 8ch DDR5-4800 (~225 GB/s mlc)", 8, False, 4800, 256 * 10**9, 225e9),
        ("12ch, ~555 GB/s local", 12, False, None, None, 555e9),
        ("~225-256 GB/s", None, False, None, None, 240.5e9),
        ("quad channel", 4, False, None, None, None),
        ("RDIMM DDR4 2666; 12 Channel", 12, False, 2666, None, None),
    ],
)
def test_memory_as_people_write_it(
    text: str, channels: int | None, per_socket: bool, speed: float | None, size: int | None, measured: float | None
) -> None:
    ram = parse_ram(text)
    assert (ram.channels, ram.channels_per_socket, ram.mt_s, ram.bytes) == (channels, per_socket, speed, size)
    assert ram.measured_bytes_per_s == measured


def test_half_the_modules_fill_half_the_channels() -> None:
    machine = machine_of(row(cpu="2x EPYC 7C13", ram="8x64GB DDR4-2933 (half the channels)"), False, True)
    assert [one.channels for one in machine.sockets] == [4, 4]


def test_a_workstation_without_a_word_about_memory_has_four_modules() -> None:
    machine = machine_of(row(cpu="Threadripper PRO 7975WX", ram=""), False, True)
    assert machine.sockets[0].channels == 4
    assert machine.assumptions


@pytest.mark.parametrize(
    ("cpu", "offload", "expected"),
    [
        ("2x Xeon 8480+", "experts on CPU, numactl --physcpubind=0-55 --membind=0", NumaPolicy.ONE_SOCKET),
        ("2x Xeon 8480+", "experts on CPU, --numa distribute", NumaPolicy.INTERLEAVE),
        ("2x Xeon 8480+", "experts on CPU, --numa isolate -t 56", NumaPolicy.UNBOUND_MEMORY),
        ("2x Xeon 6454S (32c each)", "experts on CPU; dual-socket weights duplicated", NumaPolicy.DUPLICATE),
        ("1x Xeon 6980P (of 2), numactl -N0 -m0", "CPU only", NumaPolicy.ONE_SOCKET),
        ("2x Xeon 6454S (32c each)", "CPU, 2x32 cores", NumaPolicy.INTERLEAVE),
    ],
)
def test_numa(cpu: str, offload: str, expected: NumaPolicy) -> None:
    told = row(cpu=cpu, ngl_or_offload=offload, source="made up (somebody, 2025-03-01)")
    assert numa_policy(told, socket_count(cpu), Engine.KTRANSFORMERS) is expected


@pytest.mark.parametrize(
    ("engine", "source", "notes", "expected"),
    [
        (Engine.KTRANSFORMERS, "made up (somebody, 2026-01-02)", "", NumaPolicy.DUPLICATE),
        (Engine.LLAMA_CPP, "made up (somebody, 2026-01-02)", "", NumaPolicy.INTERLEAVE),
        (Engine.LLAMA_CPP, "made up (somebody, 2026-01-02)", "pp512; numactl -N -m node 1", NumaPolicy.ONE_SOCKET),
        (Engine.LLAMA_CPP, "made up (somebody, 2026-01-02)", "tg; numactl --interleave=all", NumaPolicy.INTERLEAVE),
    ],
)
def test_numa_as_notes_and_builds_say(engine: Engine, source: str, notes: str, expected: NumaPolicy) -> None:
    told = row(cpu="2x Xeon 6454S (32c each)", ngl_or_offload="CPU only", source=source, notes=notes)
    assert numa_policy(told, 2, engine) is expected


@pytest.mark.parametrize(
    ("notes", "bound"),
    [("numactl -N -m node 2", 1), ("numactl -N -m nodes 2,3", 2), ("membind=0-2", 3), ("interleave=all", 0), ("", 0)],
)
def test_bound_nodes(notes: str, bound: int) -> None:
    assert bound_nodes(row(notes=f"pp512; threads=16; {notes}")) == bound


def test_a_binding_to_some_nodes_leaves_their_cores_and_channels() -> None:
    cells = {"cpu": "2x Xeon Platinum 8480+, 4 NUMA nodes", "ram": "1 TB DDR5-4800"}
    whole = machine_of(row(**cells), use_gpus=False, use_cpu=True)
    bound = machine_of(row(**cells, notes="tg; numactl -N -m node 2"), use_gpus=False, use_cpu=True)
    assert [socket.channels for socket in whole.sockets] == [8, 8]
    assert [(socket.channels, socket.cores) for socket in bound.sockets] == [(4, 28), (4, 28)]


def test_threads_bound_to_a_node_tell_how_large_an_unnamed_part_is_at_least() -> None:
    """Two sockets of two nodes: 32 threads on one of them are half of a socket of 64 cores or more."""
    cells = {"cpu": "dual Intel Xeon with AMX (SPR or later), 4 NUMA nodes", "notes": "tg; threads=32; numactl -N -m 2"}
    bound, loose = (machine_of(row(**{**cells, **more}), use_gpus=False, use_cpu=True).sockets[0]
                    for more in ({}, {"notes": "tg; threads=32"}))  # fmt: skip
    assert bound.cpu is not None and loose.cpu is not None
    assert (bound.cpu.cores, bound.channels) == (64, 4)
    assert loose.cpu.cores < 64 and bound.cpu.memory_mt_s > loose.cpu.memory_mt_s


@pytest.mark.parametrize(
    ("engine", "version", "day"),
    [
        ("llama.cpp", "2024-11", "2024-11-15"),
        ("llama.cpp", "2025-12-15", "2025-12-15"),
        ("llama.cpp", "b5616", "2025-06-09"),
        ("llama.cpp", "ba6f62eb (4008)", "2024-11-01"),
        ("ik_llama.cpp", "c17d8425 (3902)", "2025-10-02"),  # a count of its own: the report's day
        ("llama.cpp", "", "2025-10-02"),
    ],
)
def test_the_day_of_a_build(engine: str, version: str, day: str) -> None:
    assert built(row(engine=engine, engine_version=version, source="somewhere (2025-10-02)")) == date.fromisoformat(day)


def test_builds_between_known_ones_are_of_days_between() -> None:
    days = [build_day(number) for number in range(1000, 12000, 250)]
    assert days == sorted(days)
    assert len(set(days)) > 35
    assert build_day(8255) < build_day(8700) < build_day(9187)


def test_memory_bound_to_a_node_leaves_all_cores() -> None:
    bound = {"cpu": "2x Xeon Gold 6430, 4 NUMA nodes", "notes": "tg128; threads=32; numactl -m 0"}
    memory = machine_of(row(**bound), use_gpus=False, use_cpu=True)
    both = machine_of(row(**{**bound, "notes": "tg128; threads=32; numactl -N 0 -m 0"}), use_gpus=False, use_cpu=True)
    assert memory.sockets[0].channels == both.sockets[0].channels == 4
    assert (memory.sockets[0].cores, both.sockets[0].cores) == (32, 16)


@pytest.mark.parametrize(
    ("cpu", "ram", "expected"),
    [
        ("Ryzen 9 7950X", "", (1, 6000.0)),  # a kit, as who tells it has
        ("Ryzen 9 7950X", "64 GB DDR5-5200", (1, 5200.0)),
        ("Ryzen 9 7950X", "4x32GB", (1, 3600.0)),  # two modules a channel
        ("Ryzen 9 5950X", "", (1, 3200.0)),
        ("EPYC 9355", "", (1, 6000.0)),
        ("Xeon Platinum 8358 (128 logical)", "", (2, 3200.0)),  # 64 threads a socket
        ("Xeon Platinum 8358 (64 logical)", "", (1, 3200.0)),
    ],
)
def test_sockets_and_memory_that_a_row_does_not_tell(cpu: str, ram: str, expected: tuple[int, float]) -> None:
    sockets = machine_of(row(cpu=cpu, ram=ram), use_gpus=False, use_cpu=True).sockets
    assert (len(sockets), sockets[0].mt_s) == expected
