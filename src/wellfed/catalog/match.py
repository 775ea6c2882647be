"""Find the part a name means: every word of the name must be explained, the most specific part wins.

A part is a candidate when all the words it needs are in the name. Words of the name that the part does not know
disqualify it ("4080 super" is not a 4080), and so does another memory size or form than the one named. What is left
differs only in what the name leaves open: of twins with more and less memory the smaller, else the first in the
catalogue is taken, and that is said.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from wellfed.catalog import names
from wellfed.catalog.names import Query
from wellfed.catalog.tables import Row
from wellfed.frozen import dataclass
from wellfed.message import listed, sentence
from wellfed.patterns import regex
from wellfed.provenance import Assumption

_BRANDS = frozenset({"geforce", "radeon", "instinct", "tesla"})
_FORM_WORDS = {"sxm": "sxm", "hgx": "sxm", "pcie": "pcie", "nvl": "nvl", "oam": "oam"}
_SAME_FORM = {("sxm", "superchip"), ("oam", "superchip"), ("sxm", "oam")}
_PREFIXES = frozenset({"rtx", "gtx", "rx", "core", "i3", "i5", "i7", "i9", "e5", "w3", "w5", "w7", "w9"})
_NOISE = frozenset(
    re.findall(
        r"\w+",
        """gpu gpus cpu cpus vram ram memory graphics card cards edition eco oc fe founders visible virtualized
        virtualised processor processors generation with and the of custom pc system desktop workstation server tower
        cores core gddr5 gddr5x gddr6 gddr6x gddr7 hbm hbm2 hbm2e hbm3 hbm3e hbm4 lpddr4x lpddr5 lpddr5x
        tensor accelerator module dev device snc smt off on numactl arm vm cluster asus msi gigabyte zotac palit evga
        pny gainward inno3d sapphire xfx asrock powercolor colorful galax kfa2 maxsun manli leadtek sparkle gunnir acer
        biostar yeston vastarmor""",
    )
)
_SIZES = regex(r" (?:\d+GB|\d+-core)\b", of=("gb", "-core"))
_CLASS_DIGITS = {"amd": frozenset("3579"), "intel": frozenset("3579")}


@dataclass(frozen=True, slots=True)
class Form:
    """One way to name a part: the words it takes; `assumed` when it names the part by custom only."""

    needed: frozenset[str]
    assumed: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """A catalogue row prepared for look-up."""

    row: Row
    order: int
    words: frozenset[str]  # of its own name
    forms: tuple[Form, ...]
    allowed: frozenset[str]
    memory_gb: tuple[float, ...]
    form: str | None
    cores: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Hit:
    """A part that fits the query, by one of its forms."""

    part: Part
    form: Form


def prepare(row: Row, order: int) -> Part:
    """The look-up entry of a row: its name, its aliases and the names it is assumed for."""
    values = row.values
    name_words = names.words_of(names.normalise(row.name))
    family_words = frozenset(values.get("words", ())) | {values["vendor"]}
    texts = [(row.name, False), *((text, False) for text in values.get("aliases", ()))]
    texts += [(text, True) for text in values.get("assumed_for", ())]
    forms = tuple(Form(_needed(text, family_words), assumed) for text, assumed in texts)
    alias_memory = [
        size for text in values.get("aliases", ()) for size in names.words_of(names.normalise(text)).memory_gb
    ]
    sizes = [*name_words.memory_gb, *alias_memory, values.get("memory_gib")]
    allowed = family_words | name_words.words | _CLASS_DIGITS.get(values["vendor"], frozenset())
    return Part(
        row,
        order,
        name_words.words,
        forms,
        allowed | {values["architecture"]},
        tuple(float(size) for size in sizes if size),
        values.get("form"),
        name_words.cores or ((values["cores"],) if "cores" in values else ()),
    )


def _needed(text: str, family_words: frozenset[str]) -> frozenset[str]:
    """The words without which a name does not mean this part: those with its number, or else all."""
    tokens = names.words_of(names.normalise(text)).words
    vendorless = tokens - {"nvidia", "amd", "intel", "apple"}
    core = vendorless - family_words - _PREFIXES - frozenset(_FORM_WORDS) - {"edition", "blackwell"}
    if not any(character.isdecimal() for token in core for character in token):
        return vendorless
    return core


def find(query: Query, parts: Sequence[Part], least: bool = True) -> tuple[Part, tuple[Assumption, ...]] | None:
    """The part the query means and what had to be assumed; None where nothing fits.

    `least`: of twins the one that promises least; else the catalogue's first, which has most.
    """
    hits = [hit for part in parts if (hit := _fit(query, part)) is not None]
    if not hits:
        return None
    hits.sort(key=lambda hit: _rank(query, hit), reverse=True)
    best = _smallest_twin(query, hits) if least else hits[0]
    return best.part, tuple(_assumptions(query, best, hits))


def _smallest_twin(query: Query, hits: Sequence[Hit]) -> Hit:
    """The best hit; of twins that only memory and cores tell apart, the one that promises least."""
    best = hits[0]
    equal = [hit for hit in hits if _rank(query, hit)[:-1] == _rank(query, best)[:-1]]
    twins = [hit for hit in equal if _without_size(hit) == _without_size(best)]
    return min(twins, key=lambda hit: (min(hit.part.memory_gb, default=0.0), min(hit.part.cores, default=0)))


def _without_size(hit: Hit) -> str:
    return _SIZES.sub("", hit.part.row.name)


def variants(query: Query, parts: Sequence[Part]) -> list[Part]:
    """The parts that differ only in memory or form from the best one, whatever memory the query states."""
    hits = [hit for part in parts if (hit := _fit(query, part, any_size=True)) is not None]
    best = max((_rank(query, hit)[:3] for hit in hits), default=None)
    return [hit.part for hit in hits if _rank(query, hit)[:3] == best]


def _fit(query: Query, part: Part, any_size: bool = False) -> Hit | None:
    if not _form_fits(query.hard.words, part) or not (any_size or _memory_fits(query.hard.memory_gb, part)):
        return None
    sizes = {f"{size:g}" for size in part.memory_gb}
    sized = any_size or query.hard.memory_gb or sizes & query.hard.words
    forms = part.forms if sized or not part.row.values.get("rare") else part.forms[1:]  # a rare one by its own size
    for form in forms:
        if not form.needed <= query.words or not form.needed:
            continue
        expected = form.needed | part.allowed | _NOISE | sizes | frozenset(_FORM_WORDS)
        if query.hard.words <= expected:
            return Hit(part, form)
    return None


def _memory_fits(stated: Sequence[float], part: Part) -> bool:
    return all(any(_close(size, label) for label in part.memory_gb) for size in stated if part.memory_gb)


def _close(stated: float, label: float) -> bool:
    return abs(stated - label) <= max(0.3, 0.015 * label)


def _form_fits(words: frozenset[str], part: Part) -> bool:
    stated = {_FORM_WORDS[word] for word in words & frozenset(_FORM_WORDS)}
    return all(form == part.form or (form, part.form) in _SAME_FORM for form in stated if part.form)


def _rank(query: Query, hit: Hit) -> tuple[float, ...]:
    """Larger is better: more of the name explained, then what brackets and core counts say, then catalogue order."""
    part, needed = hit.part, hit.form.needed
    return (
        len(needed & query.hard.words),
        len(needed),
        not hit.form.assumed,
        _cores_match(query.hard.cores, part),
        bool(query.soft.words & frozenset(_FORM_WORDS)) and _form_fits(query.soft.words, part),
        bool(query.soft.memory_gb) and _memory_fits(query.soft.memory_gb, part),
        _cores_match(query.soft.cores, part),
        -part.order,
    )


def _cores_match(stated: Sequence[int], part: Part) -> bool:
    return any(count in part.cores for count in stated)


def _assumptions(query: Query, best: Hit, hits: Sequence[Hit]) -> list[Assumption]:
    name = best.part.row.name
    assumptions = []
    if best.form.assumed:
        assumptions.append(
            Assumption(
                sentence("match.taken", "{query!r} taken as {name}", query=query.text.strip(), name=name),
                sentence("match.name-fits-part", "the name fits no part exactly"),
                reading=True,
            )
        )
    if query.hard.cores and "form" in best.part.row.values and not _cores_match(query.hard.cores, best.part):
        text = sentence("match.gpu-cores", "{cores} GPU cores", cores=best.part.cores[0] if best.part.cores else "?")
        assumptions.append(
            Assumption(
                text,
                sentence("match.cores-fit-variant", "{cores} cores fit no variant", cores=query.hard.cores[0]),
                reading=True,
            )
        )
    equal = _rank(query, best)[:-1]
    others = [hit.part.row.name for hit in hits if hit is not best and _rank(query, hit)[:-1] == equal]
    if others:
        reason = sentence("match.could-also", "could also be {others}", others=listed(others[:4]))
        assumptions.append(
            Assumption(
                sentence("match.taken", "{query!r} taken as {name}", query=query.text.strip(), name=name),
                reason,
                reading=True,
            )
        )
    return assumptions


def near(query: Query, parts: Sequence[Part]) -> tuple[str, ...]:
    """Parts whose words are all in the name (of another size, say), else of its family, else with a like name.

    Where the name has a word that tells forms apart (Ultra, Ti, SXM), those that have it, too, come first: an "m4
    ultra" leads to the other Ultras before it leads to the M4.
    """
    from difflib import get_close_matches

    same = [p for p in parts if any(form.needed and form.needed <= query.words for form in p.forms)]
    if formed := _of_one_form(query, same, parts):
        return formed
    if same:
        return tuple(p.row.name for p in same[:_OFFERED])
    if family := relatives(query, parts):
        return family
    by_name = {" ".join(w for w in p.row.name.lower().split() if w not in _BRANDS): p.row.name for p in parts}
    return tuple(by_name[like] for like in get_close_matches(names.normalise(query.text), by_name, 3, _LIKE))


_OFFERED = 4
_LIKE = 0.75  # a slip of the pen, not another part
# What tells parts of one number or generation apart.
_FORM_NAMES = frozenset({
    "ultra", "max", "pro", "ti", "super", "xt", "xtx", "gre", "laptop", "mobile", "maxq", "sxm", "sxm2", "sxm3", "sxm4",
    "sxm5", "pcie", "nvl", "oam", "ada", "blackwell",
})  # fmt: skip


def _of_one_form(query: Query, same: Sequence[Part], parts: Sequence[Part]) -> tuple[str, ...]:
    """Parts that have most of the name's form words, those of its number before others of the same maker, then one
    without; nothing where it has none, or no part has one of them. Parts that only sizes tell apart count once.
    """
    wanted = query.words & _FORM_NAMES
    makers = {p.row.values["vendor"] for p in same}
    related = (p for _, apart, p in _related(query, parts) if apart < _FAR)
    pool = {p.row.name: p for p in (*same, *related) if not makers or p.row.values["vendor"] in makers}.values()
    shared = {p.row.name: len(wanted & p.words) for p in pool}
    if not any(shared.values()):
        return ()
    whole = [p.row.name for p in same if shared[p.row.name] == len(wanted)]
    if whole:
        return tuple(whole[:_OFFERED])  # only sizes are another's
    ranked = sorted(pool, key=lambda p: _form_rank(p, wanted))  # stable: of its number, then the nearest
    formed = dict.fromkeys(_bare(p) for p in ranked if shared[p.row.name])
    others = dict.fromkeys(_bare(p) for p in ranked if not shared[p.row.name])
    first = list(formed)[: _OFFERED - bool(others)]
    return (*first, *list(others)[: _OFFERED - len(first)])


def _form_rank(part: Part, wanted: frozenset[str]) -> tuple[int, int]:
    """Most of the wanted form words first, of those the fewest others."""
    shared = len(wanted & part.words)
    return -shared, len((part.words & _FORM_NAMES) - wanted) if shared else 0


def _bare(part: Part) -> str:
    return _SIZES.sub("", part.row.name)


def relatives(query: Query, parts: Sequence[Part]) -> tuple[str, ...]:
    """Up to four parts of the query's family (its RTX, Xeon Gold, MI ...), the nearest model numbers first."""
    return tuple(dict.fromkeys(part.row.name for _, _, part in _related(query, parts)))[:_OFFERED]


def kinship(query: Query, parts: Sequence[Part]) -> int:
    """How much of the query's family the nearest of `parts` has; 0 where none is of it."""
    related = _related(query, parts)
    return related[0][0] if related else 0


def _related(query: Query, parts: Sequence[Part]) -> list[tuple[int, float, Part]]:
    """Of the parts with most of the query's letters: how much that is, how far the number is off; nearest first. What
    stands in a part's name counts more than what its family is also called.
    """
    letters = _letters(query.words)
    scored = []
    for part in parts:
        named = _letters(part.words | frozenset().union(*(form.needed for form in part.forms)))
        kin = _OWN_NAME * len(letters & named) + len((letters - named) & part.allowed)
        if kin:
            scored.append((kin, _apart(query.words, part.words), part))
    most = max((score[0] for score in scored), default=0)
    return sorted((score for score in scored if score[0] == most), key=lambda score: (score[1], score[2].order))


_OWN_NAME = 2


def _letters(words: frozenset[str]) -> frozenset[str]:
    """The words of letters, and what letters the others begin with: "mi300x" is of the family "mi", "b400" of "b"."""
    starts = (_FAMILY.match(word) for word in words)
    return frozenset(match[0] for match in starts if match) - _NOISE - {"super", "ti", "xt", "xtx"}


_FAMILY = regex(r"[a-z]{2,}|[a-z](?=\d{3})")
_TIERED = 4  # digits: the first two tell the generation, the last two the place in it


def _apart(wanted: frozenset[str], other: frozenset[str]) -> float:
    """How far model numbers are apart: of four digits by place in a generation first, then by generation. Names of a
    letter and a digit (M4) by the digit.
    """
    number, near_number = _number(wanted), _number(other) or 0
    if number is None:
        generation, near_generation = _generation(wanted), _generation(other)
        return 0.0 if generation is None else _FAR if near_generation is None else abs(generation - near_generation)
    if len(str(number)) == len(str(near_number)) == _TIERED:
        return abs(number % 100 - near_number % 100) / 100 + abs(number // 100 - near_number // 100) / 200
    return abs(near_number - number) / max(number, 1)


_FAR = 10.0  # generations: what has none is behind all that have one


def _number(words: frozenset[str]) -> int | None:
    """The model number: the longest run of digits."""
    runs = [run for word in words for run in re.findall(r"\d{2,}", word)]
    return int(max(runs, key=len)) if runs else None


def _generation(words: frozenset[str]) -> int | None:
    """The digit of a name that is a letter and a digit."""
    digits = [int(word[1]) for word in words if re.fullmatch(r"[a-z]\d", word)]
    return max(digits, default=None)
