"""What is offered for a part that nobody knows: the same kind and family, the nearest number first, or nothing."""

from __future__ import annotations

import pytest

from wellfed.catalog.hardware import find_gpu, near_parts


@pytest.mark.parametrize(
    ("name", "begins"),
    [
        ("rtx 7090", "GeForce RTX 5090"),
        ("mi500x", "Instinct MI"),
        ("gb500", "GB"),
        ("h300", "H"),
        ("a200", "A100"),
        ("arc b990", "Arc B5"),
        ("bw1000", "Hygon"),
        ("hygon bw1000", "Hygon"),
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


@pytest.mark.parametrize("name", ["tpu v5e", "pg506", "t5", "l60"])
def test_a_part_of_no_family_leads_nowhere_else(name: str) -> None:
    assert near_parts(name) == ()


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("quadro k2200", "Quadro K2200"),
        ("arc pro b65", "Arc Pro B65"),
        ("mi455x", "Instinct MI455X"),
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
