"""A table of lines as people write them, in two languages, and what each means; and generated ones."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samples import few_rows
from wellfed.errors import BadInput, UnknownName, WellfedError
from wellfed.hardware.machine import Machine
from wellfed.units import GIB
from wellfed.written.machines import machine, parse_machine


def _table() -> list[tuple[str, str, bool]]:
    rows = []
    for row in (Path(__file__).parent / "lines.txt").read_text(encoding="utf-8").splitlines():
        if not row.startswith("#"):
            line, _, meant = row.partition(" => ")
            rows.append((line, meant.removeprefix("? "), meant.startswith("? ")))
    return rows


TABLE = _table()


def readings(made: Machine) -> list[str]:
    return [each.text for each in made.assumptions if each.reading and "no CPU was named" not in each.reason]


def test_the_table_is_large_and_in_both_languages() -> None:
    assert len(TABLE) >= 300
    assert sum(any("\u4e00" <= character <= "\u9fff" for character in line) for line, _, _ in TABLE) >= 50


@pytest.mark.parametrize(("line", "meant", "ambiguous"), few_rows(TABLE, 7, lambda row: row[0]))
def test_lines_as_written(line: str, meant: str, ambiguous: bool) -> None:
    made = machine(line)
    assert made.name == meant
    assert bool(readings(made)) is ambiguous
    assert machine(made.name).name == made.name


@pytest.mark.parametrize(
    ("line", "count", "cards", "told"),
    [
        ("3x 8x h200", 3, 8, "3 machines with 8 H200"),
        ("两台8卡H20", 2, 8, "2 machines with 8 H20"),
        ("2x a100 40gb", 1, 2, "taken as A100 SXM4 40GB"),
        ("8x h100, network=400Gb", 1, 8, "its network carries nothing"),
        ("8x h100 sxm, nodes=2", 2, 8, "unknown network"),
        ("5060 ti", 1, 1, "taken as GeForce RTX 5060 Ti 8GB"),
        ("1060", 1, 1, "taken as GeForce GTX 1060 3GB"),
        ("3080", 1, 1, "taken as GeForce RTX 3080 10GB"),
        ("rtx 4090 x4", 1, 1, "one GeForce RTX 4090 on 4 lanes"),
        ("mac studio m2 ultra 192gb", 1, 1, "taken as M2 Ultra 60-core 192GB"),
        ("xeon 8480 es, rtx 4090", 1, 1, "engineering sample taken as its public twin, Xeon Platinum 8480+"),
        ("rtx 4090, epyc 7763 16 cores", 1, 1, "EPYC 7763 with all its 64 cores"),
        ("rtx 4090, unknown cpu with 16 cores", 1, 1, "unknown CPU, 16 cores"),
    ],
)
def test_what_can_mean_two_things_is_told_first(line: str, count: int, cards: int, told: str) -> None:
    made = machine(line)
    assert (made.count, len(made.gpus)) == (count, cards)
    assert any(told in reading for reading in readings(made)), readings(made)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("rtx 4095", "unknown part"),
        ("rtx 4095 ryzen 9 7950x", "unknown part"),
        ("geforce", "unknown part"),
        ("foo bar", "unknown part"),
        ("2x xeon 8480+, 12-channel ddr5-4800", "has 8 memory channels"),
        ("16x 910b4", "16 Ascend 910B4"),
        ("dgx spark, ryzen 9 7950x", "comes with"),
        ("780m, core i7-13700k", "comes with"),
        ("ryzen 9 7950x, xeon e5-2999 v9", "two kinds of CPU"),
        ("9x unknown cpu", "9 sockets"),
        ("rtx 4090 x 2 x 3", "counted as 3, 2"),
        ("rtx 4090 -5w", "runs at -5 W"),
        ("rtx 4090 @5w", "runs at 5 W"),
        ("2x h100 3000w", "runs at 3000 W"),
    ],
)
def test_what_cannot_be_is_refused(line: str, why: str) -> None:
    with pytest.raises(WellfedError, match=why):
        machine(line)


@pytest.mark.parametrize(
    ("line", "limits_w"),
    [
        ("rtx 4090 300w", [300]),
        ("2x rtx 4090 @300w, 850w psu", [300, 300]),
        ("rtx 3090 250 watts ryzen 9 7950x 170w 64gb", [250]),
        ("rtx 4090 450w", [None]),
        ("rx 7900 xtx 1000w psu", [None]),
        ("dgx spark 240w", [None]),
        ("b200 700w x8", [700] * 8),
    ],
)
def test_watts_behind_a_card_limit_it(line: str, limits_w: list[float | None]) -> None:
    """Its own watts limit nothing, nor do a whole machine's, a CPU's or a power supply's."""
    assert [gpu.power_limit_w for gpu in machine(line).gpus] == limits_w


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("rtx 4095", "RTX"),
        ("rx 7999 xt", "Radeon"),
        ("ascend 911", "Ascend"),
        ("gtx 1085", "GTX"),
        ("mi999x", "Instinct"),
    ],
)
def test_near_parts_are_of_the_same_kind(name: str, kind: str) -> None:
    with pytest.raises(UnknownName) as error:
        machine(name)
    assert error.value.near
    assert all(kind.lower() in near.lower() for near in error.value.near), error.value.near


@pytest.mark.parametrize(
    ("cpu", "cores", "threads"),
    [
        ("unknown cpu, 12 cores", 12, 12),
        ("amd 8c/16t", 8, 16),
        ("some xeon with 28 cores", 28, 56),
        ("6核12线程处理器", 6, 12),
        ("core i7-99999x", 6, 6),
        ("2x 64 core server cpu", 64, 128),
    ],
)
def test_an_unknown_cpu_is_no_refusal(cpu: str, cores: int, threads: int) -> None:
    made = machine(f"rtx 4090, {cpu}, 64gb")
    part = made.sockets[0].cpu
    assert part is not None and part.stands_for_unknown
    assert (part.cores, part.threads) == (cores, threads)
    assert made.memory_bytes == 64 * GIB


GPUS = {
    "rtx 4090": "rtx-4090", "RTX3090": "rtx-3090", "4060 ti 16gb": "rtx-4060-ti-16gb",
    "A100-SXM4-80GB": "a100-sxm4-80gb",
    "h200 sxm": "h200-sxm5-141gb", "7900 xtx": "rx-7900-xtx", "mi300x": "mi300x", "p40": "p40",
    "昇腾910B3": "ascend-910b3",
    "MTT S4000": "mtt-s4000", "k100 ai": "hygon-k100-ai", "arc b580": "arc-b580", "2080ti 22g": "rtx-2080-ti-22gb",
    "rtx 4090d 48g": "rtx-4090-d-48gb", "tesla v100 pcie 32gb": "v100-pcie-32gb",
}  # fmt: skip
CPUS = {
    "ryzen 9 7950x": "ryzen-9-7950x", "AMD EPYC 9654": "epyc-9654", "至强 8480+": "xeon-platinum-8480",
    "xeon e5-2680 v4": "xeon-e5-2680-v4", "i7-13700K": "core-i7-13700k",
    "threadripper pro 7995wx": "threadripper-pro-7995wx",
    "鲲鹏920 7260": "kunpeng-920-7260",
}  # fmt: skip
COUNTS = {1: ["{}", "1x {}"], 2: ["2x {}", "2 x {}", "两张{}", "{} 双卡", "dual {}"], 4: ["4x{}", "四卡 {}", "quad {}"]}
MEMORY = ["128GB", "128 GB ram", "内存128G", "128g 内存", "4x32GB", "32G*4", "128gb (4x32gb)"]
JOINS = [", ", "，", "; ", " + ", "、"]


@settings(max_examples=30)
@given(
    st.sampled_from(sorted(GPUS)), st.sampled_from(sorted(CPUS)), st.sampled_from(sorted(COUNTS)), st.data(),
    st.sampled_from(MEMORY), st.sampled_from(JOINS), st.permutations(range(3)),
)  # fmt: skip
def test_the_same_parts_in_any_words(
    gpu: str, cpu: str, count: int, data: st.DataObject, memory: str, join: str, order: list[int]
) -> None:
    form = data.draw(st.sampled_from(COUNTS[count]))
    pieces = [form.format(gpu), cpu, memory]
    try:
        made = parse_machine(join.join(pieces[at] for at in order))
    except BadInput as error:
        assert "do not fit" in str(error) or "no set of" in str(error), error
        return
    assert [each.spec.id for each in made.gpus if each.spec] == [GPUS[gpu]] * count
    part = made.sockets[0].cpu
    assert part is not None and part.id == CPUS[cpu]
    assert made.memory_bytes == 128 * GIB


@given(st.sampled_from([line for line, _, _ in TABLE]), st.booleans(), st.integers(1, 3))
def test_case_and_spaces_do_not_matter(line: str, upper: bool, spaces: int) -> None:
    changed = (line.upper() if upper else line.lower()).replace(", ", "," + " " * spaces)
    assert machine(changed).name == machine(line).name


@pytest.mark.parametrize("count", ["1000x", "1000 x", "1000", "-1x", "2.5x"])
def test_a_count_that_is_none_is_refused_whatever_follows(count: str) -> None:
    with pytest.raises(BadInput, match="is no count of parts"):
        machine(f"{count} 4090, 7950x")


@pytest.mark.parametrize("name", ["m4 ultra", "tenstorrent n300", "hailo 8", "8x groq"])
def test_an_accelerator_that_is_not_known_is_no_unknown_cpu(name: str) -> None:
    with pytest.raises(UnknownName):
        machine(name)
