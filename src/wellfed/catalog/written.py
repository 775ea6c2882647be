"""Machine lines as people type them in Chinese or with full-width signs, brought to the form that is read.

"两张4090、锐龙 9 7950X；64GB 内存" becomes "2x 4090, ryzen 9 7950X, 64GB ram".
"""

from __future__ import annotations

import re
import unicodedata

from wellfed.errors import BadInput

_DIGITS = {
    "一": 1,
    "单": 1,
    "二": 2,
    "两": 2,
    "双": 2,
    "三": 3,
    "四": 4,
    "五": 5,
    "六": 6,
    "七": 7,
    "八": 8,
    "九": 9,
    "十": 10,
}
_NUMBER = rf"(?P<count>\d{{1,2}}|[{''.join(_DIGITS)}])"
_UNIT = r"(?:块|张|颗|个|卡|片|枚|路|台|根|条)"
_BEFORE = re.compile(rf"^\s*(?:{_NUMBER}\s*{_UNIT}|(?P<pair>双|单)(?=\s*[\w]))\s*(?=\S)")
_AFTER = re.compile(rf"\s*{_NUMBER}\s*{_UNIT}\s*$")
_TIMES = re.compile(r"(?P<name>\S.*?)\s*(?:\*\s*|(?<=\))\s*[x×]\s*|\s[x×]\s+)(?P<count>\d{1,2})\s*$", re.IGNORECASE)
_STOPS = str.maketrans({"、": ",", "。": ",", "×": "x", "✕": "x", "—": "-", "–": "-", "−": "-"})
_AND = re.compile(r"[和加与及配]|搭配")
_WORDS = (
    ("线程撕裂者", " threadripper "), ("锐龙", " ryzen "), ("霄龙", " epyc "), ("至强", " xeon "), ("酷睿", " core "),
    ("英伟达", " nvidia "), ("铂金", " platinum "), ("金牌", " gold "), ("银牌", " silver "), ("苹果", " apple "),
    ("显卡", " gpu "), ("处理器", " cpu "), ("显存", " vram "), ("内存", " ram "), ("主机", " "), ("服务器", " "),
)  # fmt: skip
_RAM_FIRST = re.compile(r"^\s*(?:ram|memory)\s*[:=]?\s*(?=\d)", re.IGNORECASE)
_HAN = re.compile(r"[\u3400-\u9fff]+")


def plain_line(text: str) -> str:
    """The line with ASCII signs and English words. Raises BadInput for Chinese words that it cannot read."""
    line = unicodedata.normalize("NFKC", text).translate(_STOPS)
    line = re.sub(r"[;\n]", ",", line)
    for han, word in (*_WORDS, ("搭配", ",")):
        line = line.replace(han, word)
    return ", ".join(_piece(piece.strip()) for piece in _AND.sub(",", line).split(","))


def _piece(piece: str) -> str:
    piece = _RAM_FIRST.sub("", piece)
    for pattern in (_BEFORE, _AFTER):
        if match := pattern.search(piece):
            said = match["count"] or match.groupdict().get("pair") or "1"
            rest = (piece[: match.start()] + piece[match.end() :]).strip()
            piece = f"{said if said.isdigit() else _DIGITS[said]}x {rest}"
            break
    else:
        if match := _TIMES.fullmatch(piece):
            piece = f"{match['count']}x {match['name']}"
    if left := _HAN.search(piece):
        raise BadInput(
            f"cannot read {left[0]!r} in {piece!r}", 'for example: "2x rtx 4090, ryzen 9 7950x, 2x32GB ddr5"'
        )
    return piece
