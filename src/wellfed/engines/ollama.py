"""Ollama: llama.cpp with defaults of its own. `--engine ollama`, `ollama@0.5.4`, `OLLAMA_... ollama run qwen3:32b`.

Context, slots and KV type stand in its server's environment; layers that do not fit on GPUs go to the CPU, whole ones,
unasked. Sources: docs/context-length.mdx and docs/faq.mdx of ollama/ollama (context by VRAM, since 0.15.5; one request
at a time); its pull requests 10452 and 10468, of 0.6.7 (4096 tokens for two at a time, where 2048 were for four; either
where they fit on GPUs, else one); docs/modelfile.mdx (num_ctx, num_gpu, num_batch, num_thread).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from wellfed.engines.pins import Pins
from wellfed.engines.setters import Change, field, integer
from wellfed.engines.setters_local import gpu_layers, kv
from wellfed.engines.versions import FRONT, OLLAMA, WHOLE_WINDOWS, Version
from wellfed.errors import BadInput
from wellfed.message import message
from wellfed.nouns.layout import Engine
from wellfed.units import GIB

# VRAM and the context's tokens that it brings (Ollama's documentation, context length); versions since which that,
# 4096, one slot and flash attention are the default (its release notes).
_BY_VRAM = ((48 * GIB, 262_144), (24 * GIB, 32_768), (0, 4096))
_NEARLY = 0.95  # cards that are sold as 24 GB show a little less
_BY_VRAM_SINCE, _FIRST_4096, _ONE_SLOT_SINCE, _FLASH_SINCE = (0, 15, 5), (0, 6, 7), (0, 10, 0), (0, 12, 0)
# Gemma 3's windows cached the whole context before (pull request 9987 of March 2025; issues 9678 and 9685 of 0.6.0).
_WINDOWS_SINCE = (0, 6, 3)
# GLM-4.7-Flash's latents are cached (pull request 13810, January 2026; the release is assumed), before: issue 13789.
_GLM_LATENTS_SINCE, _GLM = (0, 15, 0), "glm-4.7-flash"
_SLOTS_OF_2048, _SLOTS_OF_4096 = 4, 2
_KV_TYPES = ("f16", "q8_0", "q4_0")


def version(text: str) -> Version:
    """A version of Ollama ("" the newest that is known). Raises BadInput for text that is none."""
    release = re.fullmatch(r"v?(\d+)\.(\d+)(?:\.(\d+))?[\w.+-]*", text)
    if text and release is None:
        problem = message("ollama.version", "{text} is no version of Ollama", text=text)
        raise BadInput(problem, message("ollama.version.hint", "for example ollama@0.15"))
    numbers = (int(release[1]), int(release[2]), int(release[3] or 0)) if release else (99, 0, 0)
    flash = (("flash", "1" if numbers >= _FLASH_SINCE else "0"),)
    whole = (WHOLE_WINDOWS,) if numbers < _WINDOWS_SINCE else ()
    return Version(Engine.LLAMA_CPP, f"{OLLAMA} {text}".strip(), numbers, ((FRONT, OLLAMA), *flash, *whole))


def caches_expanded(chosen: Version, tag: str) -> bool:
    """Whether a version caches expanded keys and values of a model that has latents of them."""
    return chosen.numbers < _GLM_LATENTS_SINCE and tag.lower().partition(":")[0] == _GLM


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
    ignored: list[str] = []
    places = False
    for name, value in settings:
        try:
            match name:
                case "OLLAMA_CONTEXT_LENGTH" | "num_ctx":
                    context = integer(value) or None
                case "OLLAMA_NUM_PARALLEL":
                    slots = integer(value) or None
                    changes += [field("max_sequences")(value)] if slots else []
                case "OLLAMA_KV_CACHE_TYPE":
                    changes += _cache(value)
                case "OLLAMA_FLASH_ATTENTION":
                    changes.append(_flash(value))
                case "num_gpu":
                    changes.append(gpu_layers(value))
                    places = True
                case "num_batch":
                    changes.append(field("ubatch_tokens")(value))
                case "num_thread":
                    changes.append(field("threads")(value))
                case (
                    "OLLAMA_HOST"
                    | "OLLAMA_KEEP_ALIVE"
                    | "OLLAMA_MODELS"
                    | "OLLAMA_DEBUG"
                    | "OLLAMA_ORIGINS"
                    | "verbose"
                ):
                    pass
                case _:
                    ignored.append(name)
        except ValueError as error:
            problem = message("ollama.value", "{key} cannot be {value}", key=name, value=value or "empty")
            raise BadInput(problem, message("ollama.value.hint", "as Ollama's own documentation has it")) from error
    flash = any(name == "OLLAMA_FLASH_ATTENTION" for name, _ in settings)
    return Pins(tuple(changes), context, slots, tuple(ignored), places=places, flash=flash)


def _cache(value: str) -> list[Change]:
    if value.lower() not in _KV_TYPES:
        raise ValueError(value)
    return [kv(True)(value), kv(False)(value)]


def _flash(value: str) -> Change:
    on = value.lower() not in ("", "0", "false")
    return lambda layout: replace(layout, flash_attention=on)
