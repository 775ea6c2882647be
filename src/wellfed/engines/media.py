"""Pictures and sound that a question does not bring: which engines leave their towers away when told, by what words.

vLLM has `--language-model-only` (pull request 34120 of February 2026, taken for 0.17); before, limits of zero said it
(pull request 22299, August 2025: 0.10.1). Its engines before load towers and profile them, SGLang's do always: its own
`--language-model-only` is for one architecture (`LANGUAGE_MODEL_ONLY_ARCHITECTURES` of srt/server_args.py, 0.5.23).
"""

from __future__ import annotations

import json

from wellfed.frozen import replace
from wellfed.nouns.layout import Engine, Layout
from wellfed.perf.memory.shards import LANGUAGE_ONLY

LIMITS = "media_limits"  # the option: how many of each medium a prompt may bring, as JSON
UNPROFILED = "unprofiled_media"  # the option: towers are loaded, their pass is not profiled
_FLAG_SINCE, _LIMITS_SINCE = (0, 17, 0), (0, 10, 1)
_MAKE_ROOM = frozenset({Engine.VLLM, Engine.SGLANG})


def without_towers(layout: Layout) -> Layout:
    """The layout with its towers left away, where its engine can in its version; what a flag said stands."""
    if layout.engine is not Engine.VLLM or not layout.gpus or _numbers(layout) < _LIMITS_SINCE:
        return layout
    if any(name == LANGUAGE_ONLY for name, _ in layout.options):
        return layout
    return replace(layout, options=(*layout.options, (LANGUAGE_ONLY, "1")))


def makes_room(layout: Layout) -> bool:
    """Whether the engine makes room for the tower's pass, though a question brings no pictures."""
    off = {(LANGUAGE_ONLY, "1"), (UNPROFILED, "1")}
    return layout.engine in _MAKE_ROOM and layout.gpus > 0 and off.isdisjoint(layout.options)


def media_words(layout: Layout) -> list[str]:
    """vLLM's words for what may come where a question brings no pictures."""
    options = dict(layout.options)
    if options.get(LANGUAGE_ONLY) == "1":
        none = json.dumps({"image": 0, "video": 0})
        return ["--language-model-only"] if _numbers(layout) >= _FLAG_SINCE else ["--limit-mm-per-prompt", none]
    return ["--limit-mm-per-prompt", options[LIMITS]] if LIMITS in options else []


def _numbers(layout: Layout) -> tuple[int, ...]:
    """The layout's version; without one it is the newest."""
    if not layout.version:
        return _FLAG_SINCE
    from wellfed.engines.versions import version

    return version(layout.engine, layout.version).numbers
