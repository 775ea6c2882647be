"""KoboldCpp: llama.cpp with flags and defaults of its own, said again in llama.cpp's.

Sources: koboldcpp.py of 1.102 and its successor of 1.113.1 (flags, defaults), gpttype_adapter.cpp (128 tokens beside
the context, one batch size for both of llama.cpp's, one cache for all, windows cached whole unless `--useswa`), both of
LostRuins/koboldcpp. Layers that nobody counts are fitted as llama.cpp's `--fit` does; in 1.102 and older a rule of
thumb divided the file's size, which is not followed here.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import PurePath

from wellfed.engines.typed_options import MANY, MAYBE, NONE, is_number, options_of
from wellfed.engines.versions import Version, build_of_month
from wellfed.errors import BadInput
from wellfed.message import message
from wellfed.nouns.layout import Engine
from wellfed.patterns import regex

NAME = "koboldcpp"
_PROGRAM = regex(r"koboldcpp(?!.*\.(gguf|kcpps)$)([-_:][\w.:-]+)?(\.exe|\.py|\.sh)?", re.IGNORECASE, of=("koboldcpp",))
_CONTEXT, _BESIDE, _BATCH = 8192, 128, 512
_CACHES = {"0": "f16", "1": "q8_0", "2": "q4_0", "3": "bf16"}
_FLASH_SINCE = (1, 106)  # off unless asked for in 1.102, on unless refused in 1.113; where between is assumed
# Versions by month, from issues 595, 1000, 1223, 1528, 1805 and 2218 of LostRuins/koboldcpp.
_MONTHS = (
    ((1, 54), date(2024, 1, 1)), ((1, 70), date(2024, 7, 1)), ((1, 78), date(2024, 11, 1)),
    ((1, 90), date(2025, 5, 1)), ((1, 100), date(2025, 10, 1)), ((1, 113), date(2026, 5, 1)),
)  # fmt: skip

_NAMES = {
    "ctx-size": "contextsize", "c": "contextsize", "gpu-layers": "gpulayers", "n-gpu-layers": "gpulayers",
    "ngl": "gpulayers", "tensorsplit": "tensor_split", "tensor-split": "tensor_split", "ts": "tensor_split",
    "blasbatchsize": "batchsize", "batch-size": "batchsize", "b": "batchsize", "usecublas": "usecuda",
    "usehipblas": "usecuda", "m": "model", "t": "threads", "split-mode": "splitmode", "sm": "splitmode",
    "flash-attn": "flashattention", "fa": "flashattention", "no-flash-attn": "noflashattention",
    "nofa": "noflashattention", "nkvo": "lowvram", "no-kv-offload": "lowvram", "n-cpu-moe": "moecpu",
    "ncmoe": "moecpu", "override-tensor": "overridetensors", "ot": "overridetensors", "model-draft": "draftmodel",
    "md": "draftmodel", "draft-max": "draftamount", "draft-n": "draftamount", "no-mmproj-offload": "mmprojcpu",
    "fit": "autofit", "image-max-tokens": "visionmaxtokens",
}  # fmt: skip
_SWITCHES = (
    "launch", "usecpu", "autofit", "noshift", "no-context-shift", "nofastforward", "useswa", "usemmap", "nommap",
    "usemlock", "mlock", "noavx2", "failsafe", "multiplayer", "websearch", "remotetunnel", "highpriority",
    "foreground", "quiet", "nocertify", "mmprojcpu", "ignoremissing", "jinja", "jinja_tools", "jinja-tools",
    "flashattention", "noflashattention", "lowvram", "smartcontext", "nomodel", "nobostoken", "enableguidance",
    "showgui", "skiplauncher", "singleinstance", "nopipelineparallel", "nommq", "cli", "noblas", "usemtp",
)  # fmt: skip
_COUNTS: Mapping[str, str] = {
    **dict.fromkeys(_SWITCHES, NONE),
    **dict.fromkeys(("usecuda", "usevulkan", "tensor_split", "ropeconfig", "lora", "ssl", "draftgpusplit", "model",
                     "useclblast"), MANY),
    **dict.fromkeys(("gpulayers", "multiuser", "debugmode", "benchmark", "moecpu", "smartcache", "quantkv"), MAYBE),
}  # fmt: skip
_COUNTS_BY_ALL_NAMES = {**_COUNTS, **{other: _COUNTS[name] for other, name in _NAMES.items() if name in _COUNTS}}
_KEPT = ("threads", "draftmodel", "draftamount", "mmproj", "overridetensors", "splitmode", "visionmaxtokens")
_LLAMA = {
    "threads": "threads", "draftmodel": "model-draft", "draftamount": "draft-max", "mmproj": "mmproj",
    "overridetensors": "override-tensor", "splitmode": "split-mode", "visionmaxtokens": "image-max-tokens",
}  # fmt: skip


def version(text: str) -> Version:
    """A version of KoboldCpp ("" the newest that is known). Raises BadInput for text that is none."""
    release = re.fullmatch(r"v?(\d+)\.(\d+)(?:\.\d+)?[\w.+-]*", text)
    if text and release is None:
        problem = message("koboldcpp.version", "{text} is no version of KoboldCpp", text=text)
        raise BadInput(problem, message("koboldcpp.version.hint", "for example koboldcpp@1.90"))
    numbers = (int(release[1]), int(release[2])) if release else _MONTHS[-1][0]
    month = max((pair for pair in _MONTHS if pair[0] <= numbers), default=_MONTHS[0])[1]
    flash = (("flash", "0"),) if numbers < _FLASH_SINCE else ()
    return Version(Engine.LLAMA_CPP, f"{NAME} {text}".strip(), (build_of_month(month),), flash)


def as_llamacpp(words: Sequence[str]) -> list[str] | None:
    """The line as one of llama-server's; None for lines of other programs."""
    places = [index for index, word in enumerate(words) if _PROGRAM.fullmatch(_file_name(word))]
    if not places:
        return None
    place = places[-1]
    before, rest = [word for word in words[:place] if "=" in word], list(words[place + 1 :])
    for word in before:
        if word.removeprefix("-e").lstrip().startswith("KCPP_ARGS="):
            rest += shlex.split(word.partition("=")[2])
    read, positional = options_of(rest, _COUNTS_BY_ALL_NAMES)
    options = {_NAMES.get(name, name): values for name, values in read.items()}
    files = options.pop("model", []) or [word for word in positional if not is_number(word)]
    line = [*before, *_devices(options), "llama-server", *(("-m", files[0]) if files else ())]
    return [*line, *_cache(options), *_places(options), *_others(options)]


def _file_name(word: str) -> str:
    return PurePath(word.replace("\\", "/")).name


def _one(options: Mapping[str, list[str]], name: str, default: str) -> str:
    values = options.get(name)
    return values[0] if values else default


def _devices(options: Mapping[str, list[str]]) -> list[str]:
    """The GPU that is named by its number."""
    numbers = [value for name in ("usecuda", "usevulkan") for value in options.get(name, ()) if value.isdecimal()]
    return [f"CUDA_VISIBLE_DEVICES={','.join(numbers)}"] if numbers and "tensor_split" not in options else []


def _cache(options: Mapping[str, list[str]]) -> list[str]:
    context = _one(options, "contextsize", str(_CONTEXT))
    tokens = str(int(context) + _BESIDE) if context.isdecimal() else context
    batch = _one(options, "batchsize", str(_BATCH))
    batch = batch if batch.isdecimal() else "1"  # -1: nothing is batched
    line = ["-c", tokens, "-b", batch, "-ub", batch, "-np", "1", "-kvu", "--all-logits"]
    kind = _one(options, "quantkv", "1" if "quantkv" in options else "0")
    kind = _CACHES.get(kind, kind)
    line += ["-ctk", kind] if kind != "f16" else []
    whole = "noflashattention" in options and kind != "bf16"
    line += ["-ctv", kind] if kind != "f16" and not whole else []
    line += [] if "useswa" in options else ["--swa-full"]
    line += ["-fa", "on"] if "flashattention" in options else []
    return line + (["-fa", "off"] if "noflashattention" in options else [])


def _places(options: Mapping[str, list[str]]) -> list[str]:
    layers = _one(options, "gpulayers", "1" if "gpulayers" in options else "-1")
    line = [] if layers == "-1" or "autofit" in options else ["-ngl", layers]
    line = ["-ngl", "0"] if "usecpu" in options else line
    if options.get("tensor_split"):
        line += ["-ts", ",".join(options["tensor_split"])]
    line += ["-nkvo"] if "lowvram" in options or "lowvram" in options.get("usecuda", ()) else []
    line += ["-sm", "row"] if "rowsplit" in options.get("usecuda", ()) else []
    line += ["--back-end", "vulkan"] if "usevulkan" in options else []
    if "moecpu" in options:
        line += ["-ncmoe", _one(options, "moecpu", "999")]
    return line


def _others(options: Mapping[str, list[str]]) -> list[str]:
    line = [word for name in _KEPT if options.get(name) for word in (f"--{_LLAMA[name]}", options[name][0])]
    line += [word for name in options.get("lora", ())[:1] for word in ("--lora", name)]
    return line + (["--no-mmproj-offload"] if "mmprojcpu" in options else [])
