"""Programs around an engine: their lines in the engine's own words, which are read as any others."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from wellfed.engines import koboldcpp, lmstudio, textgen

_PROGRAMS: tuple[Callable[[Sequence[str]], list[str] | None], ...] = (
    koboldcpp.as_llamacpp,
    textgen.as_engine,
    lmstudio.as_llamacpp,
)


def in_engines_words(words: list[str]) -> list[str]:
    """The words of the engine that a program starts; the same words for any other line."""
    for program in _PROGRAMS:
        line = program(words)
        if line is not None:
            return line
    return words
