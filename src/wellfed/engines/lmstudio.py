"""LM Studio: `lms load MODEL --gpu max --context-length 8192`, said again in llama.cpp's flags.

Source: lmstudio.ai/docs/cli/load (2026-11): `--gpu` is a share of the layers, `max` or `off`. 4096 tokens where none
are named, and 512 tokens of a batch, are the program's defaults as its window shows them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

from wellfed.engines.typed_options import NONE, options_of

_PROGRAMS = frozenset({"lms", "lms.exe"})
_CONTEXT, _BATCH = "4096", "512"
_SWITCHES = {"y": NONE, "yes": NONE, "exact": NONE, "estimate-only": NONE}


def as_llamacpp(words: Sequence[str]) -> list[str] | None:
    """The line as one of llama-server's; None for lines of other programs."""
    place = next((at for at, word in enumerate(words) if PurePath(word.replace("\\", "/")).name in _PROGRAMS), None)
    if place is None or "load" not in words[place + 1 :]:
        return None
    read, positional = options_of(words[place + 1 :], _SWITCHES)
    options = {name: values[0] if values else "" for name, values in read.items()}
    models = [word for word in positional if word != "load"]
    line = ["llama-server", *(("-m", models[0]) if models else ())]
    line += ["-c", options.get("context-length", options.get("c", _CONTEXT)), "-b", _BATCH, "-ub", _BATCH]
    line += ["--all-logits"]  # it embeds the library, not the server: assumed
    line += ["-np", options.get("parallel", "1")]
    share = options.get("gpu", "")
    if share == "off":
        line += ["-ngl", "0"]
    elif share == "max":
        line += ["-ngl", "all"]
    elif share:
        line += ["--gpu", share]  # a share of the layers: told as not modelled
    return line
