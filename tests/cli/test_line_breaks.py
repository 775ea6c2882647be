"""Chinese is broken between characters, with marks where they belong; Latin words stay whole; nothing is lost."""

from __future__ import annotations

import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from wellfed.cli.line_breaks import pieces

SIGNS = st.text("内存带宽，。（）：、 abc-12", max_size=40)


@given(SIGNS)
def test_pieces_make_the_text(text: str) -> None:
    assert "".join(pieces(text)) == text


@given(SIGNS)
def test_no_piece_begins_with_a_closing_mark_or_ends_with_an_opening_one(text: str) -> None:
    found = list(pieces(text))
    assert not any(piece[0] in "，。）：、" for piece in found[1:])
    assert not any(piece[-1] in "（" for piece in found[:-1])


@given(st.text("abc -12", max_size=40))
def test_latin_breaks_behind_blanks_alone(text: str) -> None:
    assert all(piece.endswith(" ") for piece in list(pieces(text))[:-1])


def test_a_narrow_cell_holds_a_whole_chinese_sentence() -> None:
    """In a process of its own: what is installed stays."""
    code = (
        "from rich.console import Console; from rich.table import Table; from wellfed.cli.line_breaks import install\n"
        "install(); table = Table(box=None, padding=0); table.add_column(width=14, overflow='fold')\n"
        "table.add_row('没有方案放得下：最接近的（llama.cpp，ud-iq1_s）在 ram 上还差 37.9 GiB')\n"
        "Console(width=40, no_color=True).print(table)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    lines = [line.strip() for line in done.stdout.splitlines()]
    assert "…" not in done.stdout
    assert "".join(lines).replace(" ", "") == "没有方案放得下：最接近的（llama.cpp，ud-iq1_s）在ram上还差37.9GiB"
    assert not any(line.startswith(("，", "）", "：")) for line in lines if line)
