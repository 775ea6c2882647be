"""Part names as people write them, cut into tokens.

"NVIDIA H100-SXM-80GB" gives the words nvidia, h100, sxm and the memory size 80. Words in brackets are soft: they may
help to choose ("RTX 5000 (Ada?)") but need no explanation ("RTX 4080 (from other posts of the author)").
"""

from __future__ import annotations

import re
import unicodedata

from wellfed.frozen import dataclass
from wellfed.patterns import number_first, regex

_GLUED_SIZE = regex(r"(?<=\dti|per|\dxt|xtx)(\d{1,2}gi?b?)\b", of=("ti", "super", "xt"))  # "4060ti16gb"
_TRADEMARKS = regex(r"\((?:r|tm|c)\)|[®™©]", of=("(", "®", "™", "©"))
_BRACKETS = regex(r"[(\[{]([^)\]}]*)[)\]}]?", of=tuple("([{"))
_COUNT = regex(r"^\s*(\d{1,3})\s*(?:x|×|\*)\s*(?=\S)", re.IGNORECASE, of=number_first)
_COUNT_AFTER = regex(r"\(x\s?(\d{1,4})\)\s*$", re.IGNORECASE, of=("(x",))
_MEMORY = regex(
    r"(?<![\w.])(\d{1,4}(?:\.\d+)?(?=\s*-?\s*gi?b\b)|\d{1,3}(?=\s?g\b))\s*-?\s*(?:gib|gb|g)\b(?!/s|bps|hz)", of=("g",)
)
_CORES = regex(r"\b(\d+)[ -]?(?:gpu[ -]?)?cores?\b(?:[ -]?gpus?\b)?", of=("core",))
_ASIDES = regex(
    r"\bw/.*$|\bwith radeon.*$|\b\d+th\b|"
    r"@?\s*\b\d+(?:\.\d+)?\s*ghz\b|\b\d+w\b|\bnps\d\b|\bspx\b|\b\d+\s*threads?\b|\b(?!910c)\d{1,3}c(?:/\d+t)?\b|\b\d+-bit\b"
)
_BOARDS = regex(  # lines of board makers: another cooler and a little more clock
    r"\b(?:"
    r"suprim(?: (?:x|soc|liquid))?|gaming(?: (?:x(?: trio)?|trio|z|pro|oc))?|ventus(?: [23]x)?|inspire [23]x|"
    r"tuf|rog (?:strix|astral|matrix)|strix(?! (?:halo|point))|astral|prime|proart|dual(?= oc\b)|"
    r"(?<=asus )dual|eagle|windforce(?: [23]x?)?|aorus(?: (?:master|xtreme|elite))?|aero|"
    r"amp(?: (?:holo|extreme|airo))?|trinity|twin edge|solid|ichill(?: x[34])?|twin x2|jetstream|gamerock|"
    r"gamingpro|igame|vulcan|battle ax|hof|ex gamer|ftw ?3?|xc ?3?|kingpin|pulse|nitro|toxic|"
    r"red d(?:evil|ragon)|hellhound|fighter|liquid devil|speedster|swft ?\d*|qick ?\d*|merc ?\d*|mercury|"
    r"mech(?: [23]x)?|armor|challenger|phantom gaming|steel legend|taichi|reference(?: card)?|blower|turbo|lhr|"
    r"oem|(?:single|dual|triple) fan"
    r")\b",
    of=(
        "suprim", "gaming", "ventus", "inspire", "tuf", "rog ", "strix", "astral", "prime", "proart", "dual", "eagle",
        "windforce", "aorus", "aero", "amp", "trinity", "twin", "solid", "ichill", "jetstream", "gamerock", "igame",
        "vulcan", "battle", "hof", "gamer", "ftw", "xc", "kingpin", "pulse", "nitro", "toxic", "red d", "hellhound",
        "fighter", "liquid", "speedster", "swft", "qick", "merc", "mech", "armor", "challenger", "phantom", "steel",
        "taichi", "reference", "blower", "turbo", "lhr", "oem", "fan",
    ),
)  # fmt: skip
_SPLITS: tuple[tuple[re.Pattern[str], str], ...] = (
    (regex(r"\b(rtx|gtx|rx|titan|radeon|arc|tesla|quadro|epyc|ryzen|xeon)(?=[a-z]?\d)"), r"\1 "),
    (regex(r"\btr(?=\s?(?:pro\b|\d{4}w?x\b))", of=("tr",)), "threadripper"),
    (regex(r"\b(\d{4})s\b", of=("s",)), r"\1 super"),
    (regex(r"\b(\d{3,4})(ti|super|d|xt|xtx|gre)(?=super|\b)", of=("ti", "super", "d", "xt", "gre")), r"\1 \2 "),
    (regex(r"\b([2-5]0[5-9]0)(ti)?m\b", of=("m",)), r"\1 \2 laptop"),
    (regex(r"\b(\d{4})(v[2-4])\b", of=("v",)), r"\1 \2"),
    (regex(r"\b(m\d)(pro|max|ultra)", of=("pro", "max", "ultra")), r"\1 \2 "),
    (regex(r"\b([abhv]\d{2,3})(sxm\d?|pcie|nvl)\b", of=("sxm", "pcie", "nvl")), r"\1 \2"),
    (regex(r"\b(gb\d00)(nvl\d*)\b", of=("gb",)), r"\1 \2"),
    (regex(r"\bsxm\d\b", of=("sxm",)), "sxm"),
    (regex(r"\b(macbook|mac)\b(?: pro\b)?(?: air\b)?(?: 1[3-6](?:\.\d)?(?:[ -]?inch)?\b)?", of=("mac",)), r"\1"),
    (regex(r"\br([3579])(?= ?\d{4})", of=("r",)), r"ryzen \1 "),
    (regex(r"\b(?:with )?max[ -]q(?: design)?\b", of=("max",)), "maxq"),
    (regex(r"\bascend(?=\d)", of=("ascend",)), "ascend "),
    (regex(r"\bgen(?:eration)?\b", of=("gen",)), " "),
)
_WORD = regex(r"[a-z0-9]+(?:\.[0-9]+)?")


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
    return re.sub(r"\s+", " ", _GLUED_SIZE.sub(r" \1", plain)).strip()


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
    outside = _BOARDS.sub(" ", _BRACKETS.sub(" ", bare))
    inside = " ".join(match[1] for match in _BRACKETS.finditer(bare))
    return Query(text, words_of(outside), words_of(inside))
