"""Names as people say them: a size without its unit (gpt oss 120), a family without its generation (qwen coder 30b),
and the model that a distilled one was made from (Qwen3-14B-Claude-Opus-Distill).

Each is taken only where one single model of the catalogue is left.
"""

from __future__ import annotations

from wellfed.catalog.model_tables import families
from wellfed.catalog.models import Entry, entry
from wellfed.catalog.name_match import Spelling, explains_sizes, matched, spellings, without_sizes
from wellfed.catalog.name_words import NEUTRAL, Name, is_active, is_month, is_size, parse, size_word
from wellfed.patterns import regex

_LEAST_SIZE = 10  # a smaller number is a generation: qwen 3, gemma 4


def with_units(words: frozenset[str]) -> Entry | None:
    """The model of a name whose size lacks its B: 'gpt oss 120'. Numbers below ten and months are none."""
    numbers = [word for word in words if word.isdecimal() and int(word) >= _LEAST_SIZE and not is_month(word)]
    if len(numbers) != 1 or any(is_size(word) for word in words):
        return None
    return matched(words - {numbers[0]} | {size_word(float(numbers[0]))})


_ONES = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_FIGURES = {word: str(number) for number, word in enumerate(_ONES, 1)} | {
    word: str(10 * number) for number, word in enumerate(_TENS, 2)
}


def in_figures(name: Name) -> Entry | None:
    """The model of a name whose numbers are written as words: 'qwen three 8b', 'llama 3.3 seventy b'."""
    said = tuple(_FIGURES.get(word, word) for word in name.words)
    if said == name.words:
        return None
    words = parse(" ".join(said)).distinguishing
    return matched(words) or with_units(words)


def of_any_generation(words: frozenset[str]) -> Entry | None:
    """The one model of a family with that variant and size, whatever its generation: 'qwen coder 30b'."""
    if not any(is_size(word) and not is_active(word) for word in words) or any(map(_is_number, words)):
        return None
    bare = without_sizes(words)
    fitting = {
        line.id
        for family in bare & families().keys()
        for identity in families()[family]
        for line in spellings(identity)
        if _lacks_generation(line, bare) and explains_sizes(line.id, words - line.words)
    }
    return entry(fitting.pop()) if len(fitting) == 1 else None


def _lacks_generation(line: Spelling, bare: frozenset[str]) -> bool:
    firm = without_sizes(line.words)
    return bare <= firm and all(map(_is_number, firm - bare))


def _is_number(word: str) -> bool:
    return bool(_NUMBER.fullmatch(word))


_NUMBER = regex(r"\d+(?:\.\d+)*")

# what names of distilled models hold behind the model itself: whose answers it learnt from, and how these were made
_TEACHERS = frozenset({"claude", "opus", "sonnet", "haiku", "fable", "gemini", "gpt", "codex", "grok", "kimi", "glm",
                       "minimax", "deepseek", "composer"})  # fmt: skip
_DISTILLED = frozenset({"distill", "distilled", "distil", "distillation"})
_MANNER = frozenset({"high", "medium", "low", "max", "xhigh", "reasoning", "thinking", "pro", "flash", "preview",
                     "sft", "traces"})  # fmt: skip
_OF_TEACHERS = frozenset({"flash", "pro"})  # of Gemini's and others' names; at the end they would name another model
_EXAMPLES = regex(r"\d+x?|\d+k|k\d(?:\.\d)?|v?\d+(?:\.\d+)*")


def taught_by_another(name: Name) -> Entry | None:
    """The model whose layers a distilled one has: 'GLM-4.7-Flash-Claude-Opus-4.5-High-Reasoning-Distill'.

    The teacher must be named behind it and before the word for distilling: DeepSeek-R1-Distill-Qwen is the other way.
    """
    words = tuple(word for word in name.words if word not in NEUTRAL)
    if not _DISTILLED & set(words):
        return None
    for end in range(len(words) - 2, 0, -1):
        behind = words[end:]
        if not all(map(_of_teaching, behind)):
            return None
        chosen = matched(frozenset(words[:end])) if _is_taught(behind) else None
        if chosen is not None:
            return chosen
    return None


def _of_teaching(word: str) -> bool:
    return word in _TEACHERS | _DISTILLED | _MANNER or bool(_EXAMPLES.fullmatch(word))


def _is_taught(behind: tuple[str, ...]) -> bool:
    last = max((at for at, word in enumerate(behind) if word in _DISTILLED), default=0)
    return any(word in _TEACHERS for word in behind[:last]) and not _OF_TEACHERS & set(behind[last:])
