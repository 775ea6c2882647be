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
