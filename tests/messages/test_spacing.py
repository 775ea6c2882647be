"""Chinese and Latin are kept apart by one space wherever a parameter meets its sentence, and nothing else is touched."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wellfed.message import listed, message
from wellfed.messages.spacing import filled
from wellfed.messages.words import words


@pytest.mark.parametrize(
    ("template", "value", "text"),
    [
        ("受限于{x}；", "KV 缓存", "受限于 KV 缓存；"),
        ("受限于{x}；", "内存带宽", "受限于内存带宽；"),
        ("受限于 {x}；", "内存带宽", "受限于内存带宽；"),
        ("（最早在{x} ）", "16:11", "（最早在 16:11）"),
        ("{x} 和输出头", "64 层", "64 层和输出头"),
        ("{x}层", "64", "64 层"),
        ("不认识：{x}", "'显卡 内存'", "不认识：'显卡 内存'"),
        ("  {x}  台", "机器", "  机器  台"),
        ("{x} 的模型", "/模型/a b", "/模型/a b 的模型"),
        ("{x:.0%} 的时间", 0.97, "97% 的时间"),
        ("{x!r} 未知", "a", "'a' 未知"),
    ],
)
def test_a_joint_has_the_space_it_wants(template: str, value: object, text: str) -> None:
    assert filled(template, {"x": value}) == text


@given(st.text("ab c1.{}", max_size=12), st.text("xy z2", max_size=6))
def test_without_chinese_it_is_plain_formatting(literal: str, value: str) -> None:
    template = literal.replace("{", "{{").replace("}", "}}") + "{v}" + " end"
    assert filled(template, {"v": value}) == template.format_map({"v": value})


@given(st.lists(st.sampled_from(["内存", "GPU", "4", "，", "层"]), min_size=1, max_size=6))
def test_what_is_right_already_stays(pieces: list[str]) -> None:
    once = filled("".join(f"{{p{n}}}" for n in range(len(pieces))), {f"p{n}": each for n, each in enumerate(pieces)})
    assert once.replace(" ", "") == "".join(pieces)
    assert filled("{x}", {"x": once}) == once


def test_an_enumeration_is_written_as_each_language_does() -> None:
    names = listed(("a", "b", message("limit.disk", "disk")))
    assert str(names) == "a, b, disk"
    assert words(names, "zh").startswith("a、b、")
