"""Ollama: llama.cpp with defaults of its own. `--engine ollama`, `ollama@0.5.4`, `OLLAMA_... ollama run qwen3:32b`.

Context, slots and KV type stand in its server's environment; layers that do not fit on GPUs go to the CPU, whole ones,
unasked.

Sources: docs/context-length.mdx and docs/faq.mdx of ollama/ollama (context by VRAM, since 0.15.5; one request at a
time); its pull requests 10452 and 10468, of 0.6.7 (4096 tokens for two at a time, where 2048 were for four; either
where they fit on GPUs, else one); llm/server.go (a coarser cache needs flash attention); docs/modelfile.mdx (num_ctx,
num_gpu, num_batch, num_thread).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from wellfed.engines.ollama_place import OVERHEAD, SPREAD, VERSION
from wellfed.engines.pins import Pins
from wellfed.engines.setters import Change, count_of, field, flag, integer, option
from wellfed.engines.setters_local import gpu_layers, kv
from wellfed.engines.versions import ALL_LOGITS, FRONT, OLLAMA, TOKENS_ALONE, WHOLE_WINDOWS, WIDE_MASK, Version
from wellfed.errors import BadInput
from wellfed.message import message
from wellfed.nouns.layout import Engine, Layout
from wellfed.units import GIB

# VRAM and the context's tokens that it brings (Ollama's documentation, context length); versions since which that,
# 4096, one slot and flash attention are the default (its release notes).
_BY_VRAM = ((48 * GIB, 262_144), (24 * GIB, 32_768), (0, 4096))
_NEARLY = 0.95  # cards that are sold as 24 GB show a little less
_BY_VRAM_SINCE, _FIRST_4096, _ONE_SLOT_SINCE = (0, 15, 5), (0, 6, 7), (0, 10, 0)
# Gemma 3's windows cached the whole context before (pull request 9987 of March 2025; issues 9678 and 9685 of 0.6.0).
_WINDOWS_SINCE = (0, 6, 3)
# GLM-4.7-Flash's latents are cached (pull request 13810, January 2026; the release is assumed), before: issue 13789.
_GLM_LATENTS_SINCE, _GLM = (0, 15, 0), "glm-4.7-flash"
# Its llama.cpp cached expanded keys and values until spring 2025 (issue 8447 of 0.5: 160 MiB a layer of DeepSeek-R1 at
# 2048 tokens); the release that brought latents is assumed.
_LATENTS_SINCE = (0, 7, 0)
# Its llama-server is b9452 in 0.30.0 and b9479 in 0.30.1 (LLAMA_CPP_VERSION): the latter reserves logits of one token a
# sequence, both take masks in F16.
_MASKS_NARROW_SINCE, _ROWS_OF_SEQUENCES_SINCE = (0, 30, 0), (0, 30, 1)
_SLOTS_OF_2048, _SLOTS_OF_4096 = 4, 2
_KV_TYPES = ("f16", "q8_0", "q4_0")


def version(text: str) -> Version:
    """A version of Ollama ("" the newest that is known). Raises BadInput for text that is none."""
    release = re.fullmatch(r"v?(\d+)\.(\d+)(?:\.(\d+))?[\w.+-]*", text)
    if text and release is None:
        problem = message("ollama.version", "{text} is no version of Ollama", text=text)
        raise BadInput(problem, message("ollama.version.hint", "for example ollama@0.15"))
    numbers = (int(release[1]), int(release[2]), int(release[3] or 0)) if release else (99, 0, 0)
    known = ((VERSION, ".".join(map(str, numbers))),) if release else ()
    whole = (WHOLE_WINDOWS,) if numbers < _WINDOWS_SINCE else ()
    logits = (ALL_LOGITS,) if numbers < _ROWS_OF_SEQUENCES_SINCE else ()
    masks = (WIDE_MASK, TOKENS_ALONE) if numbers < _MASKS_NARROW_SINCE else ()
    return Version(
        Engine.LLAMA_CPP, f"{OLLAMA} {text}".strip(), numbers, ((FRONT, OLLAMA), *known, *whole, *logits, *masks)
    )


def caches_expanded(chosen: Version, tag: str) -> bool:
    """Whether a version caches expanded keys and values of a model that has latents of them."""
    glm = tag.lower().partition(":")[0] == _GLM
    return chosen.numbers < (_GLM_LATENTS_SINCE if glm else _LATENTS_SINCE)


def default_context(chosen: Version, vram_bytes: float) -> int:
    """Tokens where nobody names a context: by all GPUs' memory together; of older versions one number."""
    if chosen.numbers < _FIRST_4096:
        return 2048
    if chosen.numbers < _BY_VRAM_SINCE:
        return 4096
    return next(context for least, context in _BY_VRAM if vram_bytes >= _NEARLY * least)


def default_slots(chosen: Version) -> int:
    """Requests at a time, each with a context of its own, where they fit."""
    if chosen.numbers >= _ONE_SLOT_SINCE:
        return 1
    return _SLOTS_OF_4096 if chosen.numbers >= _FIRST_4096 else _SLOTS_OF_2048


def pins(settings: Sequence[tuple[str, str]]) -> Pins:
    """What environment variables of the server and parameters of a model pin. Raises BadInput for what cannot be."""
    changes: list[Change] = []
    context: int | None = None
    slots: int | None = None
    for name, value in settings:
        try:
            if name in _CONTEXTS:
                context = integer(value) or None
            elif name == _SLOTS:
                slots = integer(value) or None
                changes += [field("max_sequences")(value)] if slots else []
            elif name in _CHANGES:
                changes += _CHANGES[name](value)
        except ValueError as error:
            problem = message("ollama.value", "{key} cannot be {value}", key=name, value=value or "empty")
            raise BadInput(problem, message("ollama.value.hint", "as Ollama's own documentation has it")) from error
    names = [name for name, _ in settings]
    ignored = [name for name in names if name not in {*_CONTEXTS, _SLOTS, *_CHANGES, *_QUIET}]
    flash = "OLLAMA_FLASH_ATTENTION" in names
    return Pins(tuple(changes), context, slots, tuple(ignored), places="num_gpu" in names, flash=flash)


def _cache(value: str) -> list[Change]:
    if value.lower() not in _KV_TYPES:
        raise ValueError(value)
    return [kv(True)(value), kv(False)(value)]


def with_cache(layout: Layout) -> Layout:
    """The layout with the cache that is kept: coarser than 16 bits only where attention is one kernel."""
    coarse = layout.kv_type != "f16" and not layout.flash_attention
    return replace(layout, kv_type="f16") if coarse else layout


def _is_on(value: str) -> bool:
    return value.lower() not in ("", "0", "false")


def _flash(value: str) -> Change:
    on = _is_on(value)
    return lambda layout: replace(layout, flash_attention=on)


def _batch(value: str) -> list[Change]:
    both = [field("ubatch_tokens")(value), field("batch_tokens")(value)]
    return [*both, option("num_batch", count_of)(value)]


_CONTEXTS, _SLOTS = ("OLLAMA_CONTEXT_LENGTH", "num_ctx"), "OLLAMA_NUM_PARALLEL"
_CHANGES: Mapping[str, Callable[[str], list[Change]]] = {
    "OLLAMA_KV_CACHE_TYPE": _cache,
    "OLLAMA_FLASH_ATTENTION": lambda value: [_flash(value)],
    "OLLAMA_SCHED_SPREAD": lambda value: [flag(SPREAD)("on" if _is_on(value) else "off")],
    "OLLAMA_GPU_OVERHEAD": lambda value: [option(OVERHEAD, count_of)(value)],
    "num_gpu": lambda value: [gpu_layers(value)],
    "num_batch": _batch,
    "num_thread": lambda value: [field("threads")(value)],
}
PARAMETERS = frozenset({"num_ctx", "num_gpu", "num_batch", "num_thread"})  # a Modelfile's, by which a model is placed
# Variables that change nothing that is modelled.
_QUIET = (
    "OLLAMA_HOST", "OLLAMA_KEEP_ALIVE", "OLLAMA_MODELS", "OLLAMA_DEBUG", "OLLAMA_ORIGINS", "OLLAMA_LLM_LIBRARY",
    "OLLAMA_MAX_QUEUE", "OLLAMA_LOAD_TIMEOUT", "OLLAMA_MAX_LOADED_MODELS", "OLLAMA_NOPRUNE", "OLLAMA_NEW_ENGINE",
    "verbose",
)  # fmt: skip
