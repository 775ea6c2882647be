"""Part names as people write them, cut into tokens.

"NVIDIA H100-SXM-80GB" gives the words nvidia, h100, sxm and the memory size 80. Words in brackets are soft: they may
help to choose ("RTX 5000 (Ada?)") but need no explanation ("RTX 4080 (from other posts of the author)").
"""

from __future__ import annotations

import re
import unicodedata

from wellfed.frozen import dataclass

_TRADEMARKS = re.compile(r"\((?:r|tm|c)\)|[®™©]")
_BRACKETS = re.compile(r"[(\[{]([^)\]}]*)[)\]}]?")
_COUNT = re.compile(r"^\s*(\d{1,3})\s*(?:x|×|\*)\s*(?=\S)", re.IGNORECASE)
_COUNT_AFTER = re.compile(r"\(x\s?(\d{1,4})\)\s*$", re.IGNORECASE)
_MEMORY = re.compile(
    r"(?<![\w.])(\d{1,4}(?:\.\d+)?(?=\s*-?\s*gi?b\b)|\d{1,3}(?=\s?g\b))\s*-?\s*(?:gib|gb|g)\b(?!/s|bps|hz)"
)
_CORES = re.compile(r"\b(\d+)[ -]?(?:gpu[ -]?)?cores?\b(?:[ -]?gpus?\b)?")
_ASIDES = re.compile(
    r"\bw/.*$|\bwith radeon.*$|\b\d+th\b|"
    r"@?\s*\b\d+(?:\.\d+)?\s*ghz\b|\b\d+w\b|\bnps\d\b|\bspx\b|\b\d+\s*threads?\b|\b(?!910c)\d{1,3}c(?:/\d+t)?\b|\b\d+-bit\b"
)
_SPLITS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\b(rtx|gtx|rx|titan|radeon|arc|tesla|quadro|epyc|ryzen|xeon)(?=[a-z]?\d)"), r"\1 "),
    (re.compile(r"\btr(?=\s?(?:pro\b|\d{4}w?x\b))"), "threadripper"),
    (re.compile(r"\b(\d{4})s\b"), r"\1 super"),
    (re.compile(r"\b(\d{3,4})(ti|super|d|xt|xtx|gre)(?=super|\b)"), r"\1 \2 "),
    (re.compile(r"\b(\d{4})(v[2-4])\b"), r"\1 \2"),
    (re.compile(r"\b(m\d)(pro|max|ultra)"), r"\1 \2 "),
    (re.compile(r"\b([abhv]\d{2,3})(sxm\d?|pcie|nvl)\b"), r"\1 \2"),
    (re.compile(r"\b(gb\d00)(nvl\d*)\b"), r"\1 \2"),
    (re.compile(r"\bsxm\d\b"), "sxm"),
    (re.compile(r"\b(mac|macbook) pro\b"), r"\1"),
    (re.compile(r"\b(?:with )?max[ -]q(?: design)?\b"), "maxq"),
    (re.compile(r"\bascend(?=\d)"), "ascend "),
    (re.compile(r"\bgen(?:eration)?\b"), " "),
)
_WORD = re.compile(r"[a-z0-9]+(?:\.[0-9]+)?")


@dataclass(frozen=True, slots=True)
class Words:
    """A name's words, the memory sizes (nominal gigabytes) and GPU core counts it states."""

    words: frozenset[str]
    memory_gb: tuple[float, ...] = ()
    cores: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Query:
    """A name to look up: `hard` words must all be explained by a part, `soft` ones may help."""

    text: str
    hard: Words
    soft: Words

    @property
    def words(self) -> frozenset[str]:
        return self.hard.words | self.soft.words


def normalise(text: str) -> str:
    """Lower case, plain spaces and digits, no trademark signs, no plus signs after a model number."""
    plain = unicodedata.normalize("NFKC", text).lower()
    plain = _TRADEMARKS.sub(" ", plain).replace("_", " ").replace("+", " ")
    return re.sub(r"\s+", " ", plain).strip()


def split_count(text: str) -> tuple[int, str]:
    """A leading "2x " (or a last "(x2)") and the rest; 1 where there is none."""
    if after := _COUNT_AFTER.search(text):
        return int(after[1]), text[: after.start()].strip()
    match = _COUNT.match(text)
    return (int(match[1]), text[match.end() :].strip()) if match else (1, text.strip())


def words_of(text: str) -> Words:
    """The tokens of normalised text without brackets."""
    memory = tuple(float(size) for size in _MEMORY.findall(text))
    text = _MEMORY.sub(" ", text)
    cores = tuple(int(count) for count in _CORES.findall(text))
    text = _ASIDES.sub(" ", _CORES.sub(" ", text))
    for pattern, replacement in _SPLITS:
        text = pattern.sub(replacement, text)
    return Words(frozenset(_WORD.findall(text)), memory, cores)


def parse(text: str) -> Query:
    """The query in a name; a leading count and everything in brackets count as soft."""
    plain = normalise(text)
    _, bare = split_count(plain)
    outside = _BRACKETS.sub(" ", bare)
    inside = " ".join(match[1] for match in _BRACKETS.finditer(bare))
    return Query(text, words_of(outside), words_of(inside))
