"""Instances of clouds by their names, and memory that only a virtual machine has."""

from __future__ import annotations

import pytest

from samples import shares
from wellfed.catalog.tables import table
from wellfed.errors import BadInput
from wellfed.verbs.inputs import machine

_GIB = 2**30


@pytest.mark.parametrize(
    ("line", "gpu", "count", "memory_gib"),
    [
        ("g5.12xlarge", "A10G", 4, 192),
        ("p4d.24xlarge", "A100 SXM4 40GB", 8, 1152),
        ("a2-highgpu-8g", "A100 SXM4 40GB", 8, 680),
        ("Standard_NC24ads_A100_v4", "A100 PCIe 80GB", 1, 220),
        ("standard_nd96isr_h100_v5", "H100 SXM5 80GB", 8, 1900),
        ("g2-standard-48", "L4", 4, 192),
        ("ecs.gn7i-c8g1.2xlarge", "A10", 1, 30),
        ("ecs.gn7i-c32g1.32xlarge", "A10", 4, 752),
        ("BM.GPU.MI300X.8", "Instinct MI300X", 8, 2048),
        ("gx3d-160x1792x8h100", "H100 SXM5 80GB", 8, 1792),
    ],
)
def test_an_instance_is_its_parts(line: str, gpu: str, count: int, memory_gib: int) -> None:
    made = machine(line)
    assert [each.name for each in made.gpus] == [gpu] * count
    assert made.memory_bytes == memory_gib * _GIB


@pytest.mark.parametrize("names", shares(sorted(table("instances.toml")), 10))
def test_every_instance_is_a_machine(names: list[str]) -> None:
    for name in names:
        assert machine(name).gpus, name


def test_a_guest_has_any_amount_of_memory() -> None:
    made = machine("2x a100 80gb pcie, epyc 24 cores, 440gb ram")
    assert made.memory_bytes == 440 * _GIB
    assert any("guest" in assumption.text for assumption in made.assumptions)


def test_a_desktop_s_odd_total_is_a_slip() -> None:
    with pytest.raises(BadInput):
        machine("rtx 4090, ryzen 9 7950x, 37gb ram")


@pytest.mark.parametrize("line", ["dimensity 9300, 16gb", "kirin 9000, 8gb"])
def test_a_phone_s_chip_is_no_desktop_cpu_of_that_number(line: str) -> None:
    made = machine(line)
    assert made.sockets[0].cpu is not None and made.sockets[0].cpu.stands_for_unknown
