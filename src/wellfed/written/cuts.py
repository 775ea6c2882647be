"""A piece of a machine's line in which only spaces stand between parts, cut where the next part begins.

"rtx 3060 12gb ryzen 5 5600 32gb" is a card, a CPU and the machine's memory: a size that the card is made with belongs
to its name, every other one is RAM.
"""

from __future__ import annotations

from wellfed.catalog import names
from wellfed.catalog.hardware import find_cpu, find_gpu
from wellfed.patterns import regex
from wellfed.written.spelling import counted_in_words

_LONGEST_NAME = 8  # words; "rtx pro 6000 blackwell max-q workstation edition" has seven
_COUNT = regex(r"(?:[2-9]|1\d)x?|dual|two|three|four|six|eight|quad|triple|[2-9]\s*pcs")
_MEMORY = regex(
    r"(?:\d{1,2}[x*])?\d{1,4}(?:gi?b?|ti?b?)|(?:lp)?ddr\d.*|[rl]?dimm.*|ram|memory", of=("g", "t", "r", "d")
)
_CHANNELS = regex(r"channels?|ch|chan")
_KIND = regex(r"(?:lp)?ddr\d[lx]?", of=("ddr",))  # a speed follows as a word of its own
_DISK = regex(r"nvme|ssds?|hdds?|m\.?2|disks?", of=("nvme", "ssd", "hdd", "m", "disk"))


def cut_by_parts(piece: str) -> list[str]:
    """The piece as one or several, each with at most one part that the catalogue knows."""
    words = piece.split()
    if len(words) < 3 or _is_part(words):
        return [piece]
    parts = _parts(words)
    if len(parts) < (1 if "ddr" in piece.lower() else 2):
        return [piece]
    starts = sorted({0, *(start for start, _ in parts[1:]), *_memory_behind(words, parts)})
    ends = [*starts[1:], len(words)]
    return [counted_in_words(" ".join(words[start:end])) for start, end in zip(starts, ends, strict=True)]


def _parts(words: list[str]) -> list[tuple[int, int]]:
    """Where parts stand, [first word, word after the last): the longest names, from left to right."""
    parts: list[tuple[int, int]] = []
    at = 0
    while at < len(words):
        end = next((end for end in range(min(len(words), at + _LONGEST_NAME), at, -1) if _is_part(words[at:end])), None)
        if end is None or _is_memory(words, at):
            at += 1
            continue
        counted = at > (parts[-1][1] if parts else 0) and _COUNT.fullmatch(words[at - 1].lower())
        parts.append((at - 1 if counted else at, end))
        at = end
    return parts


def _is_part(words: list[str]) -> bool:
    """Whether words, a count aside, are the whole name of a part."""
    name = names.split_count(names.normalise(" ".join(words)))[1]
    return find_gpu(name) is not None or find_cpu(name) is not None


def _memory_behind(words: list[str], parts: list[tuple[int, int]]) -> list[int]:
    """Where memory and disks begin behind each part, before the next one."""
    ends = [*(start for start, _ in parts[1:]), len(words)]
    starts: list[int] = []
    for (_, after), end in zip(parts, ends, strict=True):
        starts += next(([at] for at in range(after, end) if _is_memory(words, at)), [])
        starts += [at for at in range(after, end - 1) if _DISK.fullmatch(words[at + 1].lower())]
    return starts


def _is_memory(words: list[str], at: int) -> bool:
    """Whether a word begins or goes on with memory: "64gb", "ddr5-5600", "3200" behind "ddr4", "dual channel"."""
    word, before = words[at].lower(), words[at - 1].lower() if at else ""
    channels_follow = at + 1 < len(words) and _CHANNELS.fullmatch(words[at + 1].lower())
    return bool(_MEMORY.fullmatch(word) or channels_follow or (word[:1].isdecimal() and _KIND.fullmatch(before)))
