"""Machine lines as people type them in Chinese, with full-width signs or counts in words, brought to one form.

"两张4090、锐龙 9 7950X；64GB 内存" becomes "2x 4090, ryzen 9 7950X, 64GB ram"; "dual 3090" becomes "2x 3090".
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from wellfed.catalog.han import simplified
from wellfed.catalog.tables import table
from wellfed.errors import BadInput
from wellfed.message import sentence
from wellfed.patterns import beyond_ascii, number_first, regex

_DIGITS = dict(zip("一单二两双三四五六七八九十", (1, 1, 2, 2, 2, 3, 4, 5, 6, 7, 8, 9, 10), strict=True))
_HAN_NUMBER = regex(r"([二三四五六七八九]?)十([一二三四五六七八九]?)|[一单二两双三四五六七八九]")
_COUNTED_THINGS = r"(?:块|张|颗|个|卡|片|枚|路|台|根|条|通道|节点|核|线程)"
_SPELT = regex(rf"({_HAN_NUMBER.pattern})(?=\s*{_COUNTED_THINGS})", of=beyond_ascii)
_NUMBER = r"(?P<count>\d{1,3})"
_UNIT = r"(?:块|张|颗|个|卡|片|枚|路|台|根|条)"
_BEFORE = regex(rf"^\s*(?:{_NUMBER}\s*{_UNIT}|(?P<pair>双|单)(?=\s*[\w]))\s*(?=\S)", of=beyond_ascii)
_AFTER = regex(rf"\s*{_NUMBER}\s*{_UNIT}\s*$", of=beyond_ascii)
_EACH = regex(r"每[台机个]|单机|各|共|总共|一共", of=beyond_ascii)
_SPACED_UNIT = regex(rf"(\d)\s+({_UNIT})", of=beyond_ascii)
_SIZE = regex(r"\d{1,4}[gt]b?", re.IGNORECASE, of=("g", "t"))
_OF_MEMORY = regex(r"(?:ddr|内存|ram|显存|固态|硬盘|ssd|nvme).*", re.IGNORECASE)
_IN_BRACKETS = regex(r"\([^()]*\)", of=("(",))
_COUNTED = regex(rf"(?:\d{{1,3}}|双|单){_UNIT}", of=beyond_ascii)
_COUNT_ALONE = regex(rf"(?:\d{{1,3}}|双|单){_UNIT}", of=beyond_ascii)
_NO_GPU = regex(
    r"(?:没有|无|不带)(?:独立)?(?:显卡|独显|gpu)|"
    r"\b(?:no|without)\s+(?:an?\s+|any\s+)?(?:dedicated\s+|discrete\s+)?(?:gpu|graphics(?: card)?)s?\b",
    re.IGNORECASE,
    of=("没有", "无", "不带", "no ", "without"),
)
_MACHINES = regex(rf"\s*{_NUMBER}\s*台\s*", of=beyond_ascii)
_BEFORE_COUNT = regex(rf"^\s*(?:{_EACH.pattern})\s*(?={_NUMBER.replace('?P<count>', '?:')}\s*{_UNIT})", of=beyond_ascii)
_WITHIN = regex(rf"\s{_NUMBER}\s*[路颗]\s", of=beyond_ascii)
_TIMES = regex(
    r"(?P<name>\S.*?)\s*(?:\*\s*|(?<=\))\s*[x×]\s*|\s[x×]\s+)(?P<count>\d{1,2})\s*$", re.IGNORECASE, of=("*", "x", "×")
)
_SPACED_WATTS = regex(r"(?<![\w.])(\d{2,4})\s?w(?:att)?s?\b", re.IGNORECASE, of=("w",))
_SUPPLY = regex(
    r"\b\d{3,5}\s*w(?:atts?)?\s*(?:psu|power supply)\b|\b(?:psu|power supply)\s*[=:]?\s*\d{3,5}\s*w\b",
    re.IGNORECASE,
    of=("psu", "supply"),
)
_TWO_TIMES = regex(r"\s[x*×]\s*\d{1,2}\s*[x*×]\s*\d{1,2}$", re.IGNORECASE)  # two counts, which are refused
_SPACED_WATTS = regex(r"(?<![\w.])(\d{2,4})\s?w(?:att)?s?\b", re.IGNORECASE, of=("w",))
_SUPPLY = regex(
    r"\b\d{3,5}\s*w(?:atts?)?\s*(?:psu|power supply)\b|\b(?:psu|power supply)\s*[=:]?\s*\d{3,5}\s*w\b",
    re.IGNORECASE,
    of=("psu", "supply"),
)
_TWO_TIMES = regex(r"\s[x*×]\s*\d{1,2}\s*[x*×]\s*\d{1,2}$", re.IGNORECASE)  # two counts, refused
_TIMES_BEHIND = regex(
    r"(?P<name>\S.*?)\s(?P<count>\d{1,2})(?:\s?x|[\s-]*(?:gpus?|cards?))\s*$", re.IGNORECASE, of=("x", "gpu", "card")
)
_LABEL = regex(r"^(?:gpu|cpu|graphics(?: card)?|processor)s?\s*[:=]\s*", re.IGNORECASE, of=(":", "="))
_LANES_BEHIND = regex(
    r"\b(pcie(?:\s[1-6](?:\.0)?)?|gen\s?[1-6]|slot)\s(\d{1,2})x(?=\s|$)", re.IGNORECASE, of=("pcie", "gen", "slot")
)
_ARTICLE = regex(
    r"^(?:an?(?!\s+pair)|the|my|i(?: have|'ve got)|we have)\s+(?=\S)", re.IGNORECASE, of=("a", "the", "my", "i", "we")
)
_STOPS = str.maketrans({"、": ",", "。": ",", "×": "x", "✕": "x", "—": "-", "–": "-", "−": "-", "＊": "*"})
_AND = regex(r"[和加与及配]|搭配", of=beyond_ascii)
_PRICE = regex(
    r"(?:price|价格|售价|预算|约|共)*\s*[:=]?\s*[¥￥]?\s*(\d+(?:\.\d+)?)\s*(万元?|元|块钱)",
    re.IGNORECASE,
    of=beyond_ascii,
)
_MODDED = regex(
    r"(?:魔改|改装)(?=[^,]*\d\s*g)|(?:(?<=\dg)|(?<=\dgb))\s*(?:魔改|改装|改版?)", re.IGNORECASE, of=beyond_ascii
)
_RAM_FIRST = regex(r"^\s*(?:ram|memory)\s*[:=]?\s*(?=\d)", re.IGNORECASE, of=("ram", "memory"))
_HAN = regex(r"[\u3400-\u9fff]+", of=beyond_ascii)
_COUNTS = {
    "a pair of": 2, "one": 1, "single": 1, "two": 2, "dual": 2, "double": 2, "twin": 2, "three": 3, "triple": 3,
    "four": 4, "quad": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "ten": 10, "sixteen": 16,
}  # fmt: skip
_COUNT_WORD = regex(
    rf"^\s*(?P<word>{'|'.join(_COUNTS)})[\s-]+(?!socket\b)(?!(?:ch|chan|channels?|cores?|ranks?)\b)(?:x\s+)?(?=\S)",
    re.IGNORECASE,
    of=tuple(_COUNTS),
)
_SOCKETS_WORD = regex(
    r"^\s*(?P<word>single|one|dual|two|2|quad|four|4|8)[\s-]+sockets?\s+(?=\S)", re.IGNORECASE, of=("socket",)
)
_BARE_COUNT = regex(
    r"^\s*(?P<count>\d{1,2})\s+(?=(?:nvidia|geforce|rtx|gtx|rx|radeon|tesla|quadro|amd|intel|xeon|epyc|ascend|huawei|"
    r"[ahvlb]\d{2,3}\b|mi\d|p40|p100|[2345]0[56789]0\b))",
    re.IGNORECASE,
    of=number_first,
)


def plain_line(text: str) -> str:
    """The line with ASCII signs and English words. Raises BadInput for Chinese words that it cannot read."""
    line = simplified(unicodedata.normalize("NFKC", text)).translate(_STOPS)
    line = re.sub(r"[;\n|]|\s\+\s", ",", line)
    line = _NO_GPU.sub(",no gpu,", line)
    line = _SPACED_WATTS.sub(r"\1w", line)
    line = _SUPPLY.sub(r",\g<0>,", line)
    line = _IN_BRACKETS.sub(lambda match: match[0].replace(",", " "), line)
    line = _PRICE.sub(_price, _MODDED.sub(" ", line))
    line = _SPELT.sub(lambda match: f" {_number(match[1])}", line)
    line = _SPACED_UNIT.sub(r"\1\2", line)
    if _HAN.search(line):
        line = _AND.sub(",", _names_with_and(line))
    pieces = [_piece(part) for piece in line.split(",") for part in _parts_by_count(piece.strip())]
    return ", ".join(piece for piece in pieces if piece.strip())


def _price(match: re.Match[str]) -> str:
    amount = float(match[1]) * (1e4 if match[2].startswith("万") else 1)
    return f" price={amount:.10g} "


def _number(text: str) -> int:
    """十二 is 12, 二十四 is 24, 双 is 2."""
    tens, ten, ones = text.partition("十")
    if not ten:
        return _DIGITS[text]
    return (_DIGITS[tens] if tens else 1) * 10 + (_DIGITS[ones] if ones else 0)


def _names_with_and(line: str) -> str:
    """The line with those names in English that hold a Chinese word for "and" (none is cut in two)."""
    for han, word in _words():
        line = line.replace(han, f" {word} ") if _AND.search(han) else line
    return line


def _without_group(piece: str, group: str) -> str:
    """The piece without the catalogue's words of a group."""
    if _HAN.search(piece):
        for han in sorted(table("spelling.toml")[group], key=len, reverse=True):
            piece = piece.replace(han, " ")
    return piece


@lru_cache(maxsize=1)
def _words() -> tuple[tuple[str, str], ...]:
    """The catalogue's words, the longest first."""
    words = {han: word for group in table("spelling.toml").values() for han, word in group.items()}
    return tuple(sorted(words.items(), key=lambda pair: -len(pair[0])))


def _parts_by_count(piece: str) -> list[str]:
    """Pieces where spaces alone stand between parts with their counts: "A800 8卡 双路8358" are two.

    A count on its own belongs to what stands before it, and ends it; a count with a name begins the next part.
    """
    words = piece.split()
    if not any(_COUNTED.match(word) for word in words):
        return [piece]
    parts: list[list[str]] = [[]]
    for at, word in enumerate(words):
        part = parts[-1]
        alone = _COUNT_ALONE.fullmatch(word) is not None
        named = any(not _COUNT_ALONE.fullmatch(before) and not _EACH.fullmatch(before) for before in part)
        counted = any(_COUNTED.match(before) for before in part) and not word.endswith("台")
        of_all_before = alone and word.endswith("台") and len(parts) > 1  # so many of all that came before
        if alone and counted and at == len(words) - 1 and len(part) > 1:
            last_name = len(part) - (2 if _SIZE.fullmatch(part[-1]) and len(part) > 2 else 1)
            parts[-1:] = [part[:last_name], [*part[last_name:], word]]
        elif of_all_before or (named and _COUNTED.match(word) and (counted or not alone)):
            parts.append([word])
        elif len(parts) > 1 and len(part) == 1 and _SIZE.fullmatch(part[0]) and not _OF_MEMORY.match(word):
            parts.append([word])  # "双路 128g P40 两张": the machine's memory between two parts
        else:
            part.append(word)
            if alone and named:
                parts.append([])
    return [" ".join(part) for part in parts if part]


def _piece(piece: str) -> str:
    if match := _MACHINES.fullmatch(_without_group(piece, "silent")):  # 3台服务器, 每台...
        return f"nodes={match['count']}"
    piece = _counted_in_han(_BEFORE_COUNT.sub("", _LANES_BEHIND.sub(r"\1 x\2", piece)))
    if _HAN.search(piece):
        for han, word in _words():
            piece = piece.replace(han, f" {word} ")
    piece = _RAM_FIRST.sub("", piece.strip())
    if unread := _HAN.search(piece):
        raise BadInput(
            sentence("spelling.cannot-read", "cannot read {left!r} in {piece!r}", left=unread[0], piece=piece),
            sentence("spelling.example-2x-rtx", 'for example: "2x rtx 4090, ryzen 9 7950x, 2x32GB ddr5"'),
        )
    return counted_in_words(piece.strip())


def _counted_in_han(piece: str) -> str:
    """ "2张4090", "4090 2张", "8卡H20 2台" with their counts before an x."""
    counts: list[str] = []
    while match := _AFTER.search(piece):
        counts.append(match["count"])
        piece = piece[: match.start()].strip()
    before: list[str] = []
    if match := _WITHIN.search(piece):
        before.append(match["count"])
        piece = f"{piece[: match.start()]} {piece[match.end() :]}".strip()
    while match := _BEFORE.match(piece):
        count_text = match["count"] or match["pair"] or "1"
        before.append(count_text if count_text.isdecimal() else str(_DIGITS[count_text]))
        piece = piece[match.end() :].strip()
    once = not counts and not before and not _TWO_TIMES.search(piece)
    if once and (match := _TIMES.fullmatch(piece) or _TIMES_BEHIND.fullmatch(piece)):
        return f"{match['count']}x {match['name']}"
    return "".join(f"{count}x " for count in (*reversed(counts), *before)) + piece


def counted_in_words(piece: str) -> str:
    """ "dual 3090", "2 3090" and "a 3090" as "2x 3090" and "3090"."""
    piece = _ARTICLE.sub("", _LABEL.sub("", piece))
    if match := _SOCKETS_WORD.match(piece):
        word = match["word"].lower()
        return f"{word if word.isdecimal() else _COUNTS[word]}x {piece[match.end() :]}"
    if match := _COUNT_WORD.match(piece):
        return f"{_COUNTS[match['word'].lower()]}x {piece[match.end() :]}"
    if match := _BARE_COUNT.match(piece):
        return f"{match['count']}x {piece[match.end() :]}"
    return piece
