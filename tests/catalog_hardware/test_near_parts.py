"""What is offered for a part that nobody knows: the same kind and family, the nearest number first, or nothing."""

from __future__ import annotations

import pytest

from wellfed.catalog.hardware import find_gpu, near_parts
from wellfed.errors import UnknownName
from wellfed.verbs.inputs import machine


@pytest.mark.parametrize(
    ("name", "begins"),
    [
        ("rtx 7090", "GeForce RTX 5090"),
        ("mi500x", "Instinct MI"),
        ("gb500", "GB"),
        ("h300", "H"),
        ("a200", "A100"),
        ("arc b990", "Arc B"),
        ("bw1900", "Hygon"),
        ("hygon bw1900", "Hygon"),
        ("quadro k4200", "Quadro K"),
        ("cmp 500hx", "CMP"),
        ("ryzen 9 9999", "Ryzen 9"),
        ("core i9 19900k", "Core i9"),
        ("xeon gold 9999", "Xeon Gold"),
        ("mac pro vega iii duo", "Radeon Pro Vega II Duo"),
    ],
)
def test_a_part_leads_to_its_own_family(name: str, begins: str) -> None:
    near = near_parts(name)
    assert near
    assert all(part.startswith(begins) for part in near)


@pytest.mark.parametrize(
    ("name", "form", "other"),
    [
        ("m4 ultra", "Ultra", "M4"),
        ("m6 max", "Max", None),
        ("rtx 3060 super", "SUPER", "GeForce RTX 3060"),
        ("rtx 4050 ti", "Ti", "GeForce RTX 4050 Laptop"),
        ("rx 9080 xt", "XT", "Radeon RX 9070 GRE"),
        ("h200 pcie", "PCIe", "H200 SXM5"),
        ("rx 6900 gre", "GRE", None),
    ],
)
def test_parts_of_the_named_form_come_first(name: str, form: str, other: str | None) -> None:
    near = near_parts(name)
    assert form in near[0] and form in near[1]
    assert other is None or other in near[2:]
    assert all(find_gpu(part) for part in near), "what is offered can be typed"
    assert len(near) == len(set(near))


@pytest.mark.parametrize("name", ["a100 sxm 48gb", "m5 max 1gb", "v100 sxm2 64gb"])
def test_a_size_that_there_is_not_leads_to_the_sizes_of_that_form(name: str) -> None:
    near = near_parts(name)
    form = name.split()[1]
    assert near and all(form in part.lower() and part.endswith("GB") for part in near)


@pytest.mark.parametrize("name", ["tpu v5e", "pg506", "t5", "l60"])
def test_a_part_of_no_family_leads_nowhere_else(name: str) -> None:
    assert near_parts(name) == ()


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("quadro k2200", "Quadro K2200"),
        ("arc pro b65", "Arc Pro B65"),
        ("mi455x", "Instinct MI455X"),
        ("mi350p", "Instinct MI350P"),
        ("海光 BW1000", "Hygon BW1000"),
        ("rtx pro 5000 blackwell laptop", "RTX PRO 5000 Blackwell Laptop"),
        ("昇腾950PR", "Ascend 950PR"),
        ("ascend 950dt", "Ascend 950DT"),
        ("pingtouge ppu 810e", "T-Head PPU"),
        ("rtx spark", "N1X"),
        ("mac pro vega ii duo", "Radeon Pro Vega II Duo"),
        ("titan x (pascal)", "TITAN X Pascal"),
        ("gtx titan x", "GeForce GTX TITAN X"),
    ],
)
def test_parts_that_were_unknown(name: str, part: str) -> None:
    found = find_gpu(name)
    assert found is not None
    assert found.spec.name == part


@pytest.mark.parametrize(
    ("line", "cpu"),
    [
        ("ryzen ai max 385 64gb", "Ryzen AI Max 385"),  # 8 cores, not the 12 of the 390 with the same graphics
        ("ryzen ai max 390 64gb", "Ryzen AI Max 390"),
        ("ryzen z2 extreme", "Ryzen AI Z2 Extreme"),
    ],
)
def test_an_apu_has_its_own_cores(line: str, cpu: str) -> None:
    assert machine(line).sockets[0].cpu.name == cpu


def test_an_accelerator_of_a_maker_of_cpus_is_no_cpu() -> None:
    with pytest.raises(UnknownName) as refusal:
        machine("8x hygon bw1900")
    assert refusal.value.near and all("Hygon" in name for name in refusal.value.near)


def test_sockets_may_be_said_behind_a_cpu() -> None:
    assert len(machine("epyc 9755 2s").sockets) == 2
