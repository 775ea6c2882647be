"""What to offer when a name is unknown: models of the same family, near in generation and size."""

from __future__ import annotations

import math
import re
from datetime import date
from difflib import SequenceMatcher, get_close_matches

from wellfed.catalog.model_tables import families
from wellfed.catalog.models import Task, entry
from wellfed.catalog.name_match import Spelling, spellings, without_sizes
from wellfed.catalog.name_words import billions, is_active
from wellfed.catalog.tables import table
from wellfed.errors import UnknownName
from wellfed.message import Listing, Message, as_text, message
from wellfed.patterns import regex

_OFFERED = 3


class UnknownModel(UnknownName):
    """A name that no model explains; `near` are ids of the same family. The hint tells how to name a model."""

    def __init__(self, name: str, near: tuple[str, ...]) -> None:
        super().__init__("model", name, near)
        advice = (
            message(
                "resolve.unknown.hint.near",
                "did you mean {near}? Otherwise name it by its hub id (owner/name), its folder with config.json, "
                "or a GGUF file",
                near=Listing(near),
            )
            if near
            else message(
                "resolve.unknown.hint",
                "name it by its hub id (owner/name), its folder with config.json, or a GGUF file",
            )
        )
        self.hint = as_text(advice)


class OfWhich(UnknownModel):
    """A name that says which form of a model is meant, undiminished or distilled, and not of which model."""

    def __init__(self, name: str, near: tuple[str, ...], advice: Message) -> None:
        super().__init__(name, near)
        self.hint = as_text(advice)


class Closed(UnknownModel):
    """A name of a model that its maker alone serves; `near` are open models of the same maker."""

    def __init__(self, name: str, near: tuple[str, ...]) -> None:
        super().__init__(name, near)
        text = (
            "no published weights of it are known; `wellfed fit` says which open models this machine serves well. "
            "Otherwise name it by its hub id (owner/name), its folder with config.json, or a GGUF file"
        )
        advice = message("resolve.closed.hint", text)
        if near:
            text = (
                "no published weights of it are known; open models of its maker: {near}. Otherwise name it by its hub "
                "id (owner/name), its folder with config.json, or a GGUF file"
            )
            advice = message("resolve.closed.hint.near", text, near=Listing(near))
        self.hint = as_text(advice)


_MAKERS = "(?:openai|anthropic|google|xai|qwen|alibaba|bytedance|baidu|amazon)"


def closed(shown: str) -> Closed | None:
    """The error for a model without published weights; None for any other name."""
    words = re.sub(r"[\s_/-]+", " ", shown.lower()).strip()
    for makers in table("closed.toml").values():
        begins = any(
            re.match(rf"(?:{_MAKERS} )?{re.escape(name)}(?![\w.]*b\b)(?:\b|$)", words) for name in makers["names"]
        )
        if begins or words in makers.get("whole", ()):
            return Closed(shown, tuple(makers["open"]))
    return None


def unknown_model(shown: str, words: frozenset[str], likest: str | None = None) -> UnknownModel:
    """The error for a name, with its neighbours, `likest` before all others."""
    if (not_published := closed(shown)) is not None:
        return not_published
    forms = without_sizes(words)
    if forms == {"full"}:
        text = "undiminished is said of many models; most mean DeepSeek-R1 with 671B: {near}"
        return OfWhich(shown, _FULL, message("resolve.full.hint", text, near=Listing(_FULL)))
    if forms == {"distill"}:
        near = _distilled(next((billions(word) for word in words if billions(word)), None))
        text = "distilled from which model? Most mean those made from DeepSeek-R1: {near}"
        return OfWhich(shown, near, message("resolve.distill.hint", text, near=Listing(near)))
    first = (likest,) if likest and entry(likest).task is not Task.NOT_A_LANGUAGE_MODEL else ()
    return UnknownModel(shown, tuple(dict.fromkeys((*first, *neighbours(words))))[:_OFFERED])


_FULL = ("deepseek-r1", "deepseek-r1-0528")


def _distilled(size: float | None) -> tuple[str, ...]:
    """DeepSeek-R1's distilled models, the nearest in size first."""
    distilled = [identity for identity in families()["deepseek"] if identity.startswith("deepseek-r1-distill-")]
    if size is None:
        return tuple(sorted(distilled, key=lambda identity: -(entry(identity).parameters or 0.0))[:_OFFERED])
    return tuple(sorted(distilled, key=lambda identity: _distance(identity, size))[:_OFFERED])


def neighbours(words: frozenset[str], count: int = _OFFERED) -> tuple[str, ...]:
    """Ids of the family that `words` name, nearest in variant, generation and size first; empty without a family."""
    size = next((billions(word) for word in words if billions(word) and not is_active(word)), None)
    named = _called(words)
    bare = (without_sizes(words) - named.keys()) | frozenset(named.values())
    ranked = {
        identity: max(_rank(line, bare, size) for line in spellings(identity))
        for family in named.values()
        for identity in families()[family]
        if entry(identity).task is not Task.NOT_A_LANGUAGE_MODEL
    }
    if not bare - families().keys():  # a family alone, or with a size: of that size the newest
        return tuple(sorted(ranked, key=lambda name: (_is_near(name, size), *_newest(name)), reverse=True)[:count])
    return tuple(sorted(ranked, key=lambda identity: ranked[identity], reverse=True)[:count])


def _is_near(identity: str, size: float | None) -> bool:
    return size is not None and _distance(identity, size) < _SAME_SIZE


def _newest(identity: str) -> tuple[bool, date]:
    """Its month of release, models that write text first."""
    facts = entry(identity)
    return facts.task in _WRITING, (facts.released or date.min).replace(day=1)


_WRITING = (Task.TEXT, Task.VISION_LANGUAGE, Task.OMNI)


def _called(words: frozenset[str]) -> dict[str, str]:
    """The families among the words; where none is, those that a word may be a misspelling of, by that word."""
    listed = frozenset(families())
    if words & listed:
        return {word: word for word in words & listed}
    letters = [word for word in words if word.isalpha() and len(word) >= _LEAST_LETTERS]
    meant = {word: _misspelt(word, listed) for word in letters}
    return {word: family for word, family in meant.items() if family}


def _misspelt(word: str, listed: frozenset[str]) -> str | None:
    """The family with the same letters in another order, else the likest; None where none is like it."""
    swapped = next((family for family in listed if sorted(family) == sorted(word) and family[0] == word[0]), None)
    return swapped or next(iter(get_close_matches(word, listed, 1, _LIKENESS)), None)


_LEAST_LETTERS, _LIKENESS = 4, 0.8


def _rank(line: Spelling, words: frozenset[str], size: float | None) -> tuple[float, float]:
    """How many words are shared (an extra one counts half against it), the size among them; then likeness of the rest.

    Another generation's word (r1 for r2, 4 for 4.1) counts nearly as much as the word itself, the nearer the more.
    """
    bare = without_sizes(line.words)
    wanted_generations = [number for word in words - bare if (number := _generation(word))]
    kin = {word: max((_near(number, word) for number in wanted_generations), default=0.0) for word in bare - words}
    distance = _distance(line.id, size)
    sized = _SIZED if size is not None and distance < _SAME_SIZE else 0.0
    shared = len(bare & words) + sum(credit or -0.5 for credit in kin.values()) + sized
    likeness = SequenceMatcher(None, " ".join(sorted(bare)), " ".join(sorted(words))).ratio()
    return shared, likeness - distance


_SIZED, _SAME_SIZE = 0.75, 0.05  # what a size of the asked one's counts as; decades, 12 %


def _generation(word: str) -> tuple[str, float] | None:
    """The letters and the number of a word such as 4.1 or r2."""
    match = _GENERATION.fullmatch(word)
    return (match[1], float(match[2])) if match else None


_GENERATION = regex(r"([a-z]{0,2})(\d{1,2}(?:\.\d)?)")
_KIN, _FAR = 0.9, 0.2  # credit of the same generation, and what each whole one between takes off


def _near(number: tuple[str, float], word: str) -> float:
    near_generation = _generation(word)
    return (
        max(0.0, _KIN - _FAR * abs(near_generation[1] - number[1]))
        if near_generation and near_generation[0] == number[0]
        else 0.0
    )


def _distance(identity: str, size: float | None) -> float:
    """How far apart the sizes are, in decades; half of one where a size is not known."""
    facts = entry(identity)
    count = facts.parameters or facts.total_parameters
    return 0.5 if size is None or not count else abs(math.log10(count / 1e9 / size))
