"""Machine lines as people type them: in Chinese, with full-width signs, counts before or after."""

from __future__ import annotations

import pytest

from wellfed.catalog.model_tables import model_ids
from wellfed.errors import BadInput
from wellfed.units import GIB
from wellfed.verbs import inputs


@pytest.mark.parametrize(
    ("line", "gpus", "name"),
    [
        ("两张4090", 2, "RTX 4090"),
        ("2块4090，7950X", 2, "RTX 4090"),
        ("双 4090", 2, "RTX 4090"),
        ("4090两张, 7950x", 2, "RTX 4090"),
        ("8卡H100", 8, "H100 SXM5"),
        ("8张A100 80G", 8, "A100 SXM4 80GB"),
        ("四张3090 和 epyc 7702", 4, "RTX 3090"),
        ("２×ＲＴＸ　4090、锐龙 9 7950X；64GB 内存", 2, "RTX 4090"),
        ("英伟达 RTX 4090 显卡", 1, "RTX 4090"),
        ("4090*2, 7950x, ddr5 6000 64g", 2, "RTX 4090"),
        ("3090（24GB）x2", 2, "RTX 3090"),
        ("rtx 4090 24G x 2", 2, "RTX 4090"),
        ("H800 x8", 8, "H800 SXM5"),  # modules have no lanes to choose
        ("mi300x x8", 8, "MI300X"),
        ("4090 x8", 1, "RTX 4090"),  # a card on eight lanes; it is said
    ],
)
def test_gpus_are_counted(line: str, gpus: int, name: str) -> None:
    found = inputs.machine(line)
    assert len(found.gpus) == gpus
    assert all(gpu.spec and name in gpu.spec.name for gpu in found.gpus)


@pytest.mark.parametrize(
    ("line", "sockets", "gib"),
    [
        ("epyc 9654 384GB", 1, 384),
        ("7950x 128gb", 1, 128),
        ("2x rtx 4090、ryzen 9 7950x、96GB", 1, 96),
        ("rtx 4090, 7950x, 内存 64GB", 1, 64),
        ("双路 epyc 9654，768GB内存", 2, 768),
        ("至强8480+ 2颗, 512g", 2, 512),
        ("raspberry pi 5 8gb", 1, 8),
        ("2 x RTX4090+7950X+64G", 1, 64),
    ],
)
def test_memory_and_sockets_are_the_ones_named(line: str, sockets: int, gib: int) -> None:
    found = inputs.machine(line)
    assert len(found.sockets) == sockets
    assert found.memory_bytes == gib * GIB


@pytest.mark.parametrize("line", ["某某芯片 8卡", "寒武纪, rtx 4090", "rtx 4090 魔改"])
def test_words_it_cannot_read_are_not_dropped(line: str) -> None:
    with pytest.raises(BadInput):
        inputs.machine(line)


def test_memory_named_twice_is_refused() -> None:
    with pytest.raises(BadInput, match="twice"):
        inputs.machine("epyc 9654 384GB, 12x64GB")


def test_every_model_of_the_catalogue_is_found_by_its_id() -> None:
    assert [identity for identity in model_ids() if inputs.model(identity).model.id != identity] == []
