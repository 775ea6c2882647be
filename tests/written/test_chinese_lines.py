"""Lines in Chinese are read, or refused in the words that were typed."""

from __future__ import annotations

import re

import pytest

from wellfed.errors import BadInput
from wellfed.written.machines import machine


@pytest.mark.parametrize(
    ("line", "gpu", "gpus", "cpu"),
    [
        ("昇腾 910B", "Ascend 910B", 1, "Kunpeng"),
        ("8张昇腾910B", "Ascend 910B", 8, "Kunpeng"),
        ("双路至强 8480+", None, 0, "8480+"),
        ("epyc 9355，十二通道 DDR5-6000", None, 0, "9355"),
        ("一张 RTX 3060 12G，32G内存", "3060", 1, None),
        ("四卡 A100 80G", "A100", 4, None),
        ("摩尔线程 S4000", "S4000", 1, None),
        ("沐曦 C500", "C500", 1, None),
        ("鲲鹏 920 双路，256G", None, 0, "Kunpeng 920"),
        ("线程撕裂者 7980X，4张 4090", "4090", 4, "7980X"),
        ("二手 P40 四张，至强 E5-2680v4 双路", "P40", 4, "E5-2680"),
        ("迷你主机 AI Max+ 395 128G", "8060S", 1, "395"),
        ("超威 锐龙 9 7950X，RTX 3090，64GB", "3090", 1, "7950X"),
        ("矿卡 P104 8G 两张，i5-8400，16G", "P104-100 8GB", 2, "i5-8400"),
        ("一張 RTX 4090 顯卡，64G 記憶體", "4090", 1, None),
        ("兩張 4090 顯示卡，執行緒撕裂者 7970X，記憶體 256G", "4090", 2, "7970X"),
        ("七彩虹 4090，微星主板，64G内存", "4090", 1, None),
        ("英特尔 锐炫 B580，i5-13400，32G", "B580", 1, "i5-13400"),
        ("镭龙 7900XTX，64G", "7900 XTX", 1, None),
        ("无独显 7950X 64G", None, 0, "7950X"),
        ("４张　ＲＴＸ　３０９０，霄龙　７７４２，２５６ＧＢ", "3090", 4, "7742"),
        ("i9-14900KF，4090，64GB，2TB 固态，预算 3万元", "4090", 1, "14900K"),
    ],
)
def test_a_line_is_read(line: str, gpu: str | None, gpus: int, cpu: str | None) -> None:
    made = machine(line)
    assert len(made.gpus) == gpus
    assert gpu is None or gpu in (made.gpus[0].spec.name if made.gpus[0].spec else "")
    assert cpu is None or cpu in (made.sockets[0].cpu.name if made.sockets[0].cpu else "")


@pytest.mark.parametrize(
    "line", ["十二通道 DDR5-6000", "天数智芯", "一张 4090，锐龙 7 瞎写", "两张不存在的卡，7950X", "哈哈"]
)
def test_a_refusal_quotes_what_was_typed(line: str) -> None:
    with pytest.raises(BadInput) as caught:
        machine(line)
    for quoted in re.findall(r"'([^']+)'", caught.value.message):
        assert quoted in line, caught.value.message


@pytest.mark.parametrize(
    ("line", "machines", "cards"),
    [
        ("3台服务器，每台8张H20，双路8480+，2TB内存", 3, 8),
        ("三台，每台8卡H20，双路8480+，2TB", 3, 8),
        ("8卡H20 双路8480+ 2TB内存 3台", 3, 8),
        ("兩台伺服器，每台 4 張 A100 80G，雙路 8358", 2, 4),
    ],
)
def test_machines_are_counted_by_the_piece(line: str, machines: int, cards: int) -> None:
    made = machine(line)
    assert (made.count, len(made.gpus)) == (machines, cards)


@pytest.mark.parametrize(
    ("line", "kinds"),
    [
        ("4090，64G，2T 硬盘", [None]),
        ("4090, 64G，4TB 机械硬盘 + 1TB NVMe 固态硬盘", ["nvme", "hdd"]),
        ("4090, 64gb, 2x4TB NVMe SSD", ["nvme"]),
        ("4090, 64gb, 500gb sata ssd", ["ssd"]),
        ("4090, 64gb", []),
    ],
)
def test_disks_are_read_and_models_lie_on_the_fastest(line: str, kinds: list[str | None]) -> None:
    disks = machine(line).disks
    assert [disk.kind for disk in disks] == kinds
    assert [disk.holds_models for disk in disks] == [at == 0 for at in range(len(kinds))]
