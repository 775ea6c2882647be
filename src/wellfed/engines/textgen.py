"""text-generation-webui (TextGen): a model by its own flags, said again in those of the engine that it starts.

Sources: modules/shared.py (flags and defaults) and modules/llama_cpp_server.py (the line it starts llama-server with)
of oobabooga/text-generation-webui, 4.7.3 of May 2026. `--loader` names the engine, else the model's file does.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import PurePath

from wellfed.engines.typed_options import MANY, NONE, options_of

_PROGRAMS = frozenset({"server.py", "start_linux.sh", "start_windows.bat", "start_macos.sh"})
_LOADERS = {"llama.cpp": "llama", "llamacpp": "llama", "exllamav3": "exl", "exllamav3_hf": "exl"}
_OWN = frozenset({"loader", "gpu-layers", "n-gpu-layers", "ctx-size", "n_ctx", "max_seq_len", "cache-type", "model"})
_SWITCHES = (
    "multi-user", "model-menu", "verbose", "cpu-moe", "streaming-llm", "no-mmap", "mlock", "no-kv-offload", "numa",
    "ik", "cpu", "disk", "load-in-8bit", "bf16", "no-cache", "trust-remote-code", "force-safetensors", "no_use_fast",
    "load-in-4bit", "use_double_quant", "enable-tp", "enable_tp", "listen", "api", "share", "auto-launch", "nowebui",
    "public-api", "old-colors", "portable", "chat-buttons", "row-split", "flash-attn", "tensorcores",
)  # fmt: skip
_COUNTS: Mapping[str, str] = {**dict.fromkeys(_SWITCHES, NONE), **dict.fromkeys(("lora", "extensions"), MANY)}
_CONTEXT, _FITTED_LEAST = "8192", "8192"
_NAMES = {"n-gpu-layers": "gpu-layers", "n_ctx": "ctx-size", "max_seq_len": "ctx-size", "n_batch": "batch-size",
          "tensor_split": "tensor-split", "threads_batch": "threads-batch", "cache_type": "cache-type",
          "enable_tp": "enable-tp", "no_kv_offload": "no-kv-offload"}  # fmt: skip
_PASSED = ("batch-size", "ubatch-size", "parallel", "threads", "tensor-split", "split-mode", "mmproj", "model-draft",
           "draft-max")  # fmt: skip


def as_engine(words: Sequence[str]) -> list[str] | None:
    """The line as one of llama-server's or TabbyAPI's; None for lines of other programs and other loaders."""
    place = next((at for at, word in enumerate(words) if PurePath(word.replace("\\", "/")).name in _PROGRAMS), None)
    if place is None:
        return None
    read, _ = options_of(words[place + 1 :], _COUNTS)
    options = {_NAMES.get(name, name): values[0] if values else "" for name, values in read.items()}
    if "model" not in options or not _OWN & options.keys():
        return None
    before = [word for word in words[:place] if "=" in word]
    loader = _LOADERS.get(options.get("loader", "").lower(), "")
    if loader == "exl" or (not loader and "exl3" in options["model"].lower()):
        return [*before, *_exllama(options)]
    return [*before, *_llama(options)]


def _llama(options: Mapping[str, str]) -> list[str]:
    context, layers = options.get("ctx-size", "0"), options.get("gpu-layers", "-1")
    line = ["llama-server", "-m", options["model"]]
    if context != "0":
        line += ["-c", context]
    elif layers != "-1":
        line += ["-c", _CONTEXT]
    if layers == "-1":
        line += ["--fit-ctx", _FITTED_LEAST, "--fit-target", options.get("fit-target", "512")]
    else:
        line += ["-ngl", layers, "--fit", "off"]
    defaults = {"batch-size": "1024", "ubatch-size": "1024", "parallel": "1"}
    for name, value in {**defaults, **{name: options[name] for name in _PASSED if options.get(name)}}.items():
        line += [f"--{name}", value]
    kind = options.get("cache-type", "fp16")
    line += [] if kind == "fp16" else ["-ctk", kind, "-ctv", kind]
    line += [f"--{name}" for name in ("cpu-moe", "no-kv-offload") if name in options]
    line += ["--swa-full"] if "streaming-llm" in options else []
    line += ["-ngl", "0"] if "cpu" in options else []
    return line + shlex.split(options.get("extra-flags", ""))


def _exllama(options: Mapping[str, str]) -> list[str]:
    context = options.get("ctx-size", "0")
    line = ["main.py", "--model-name", options["model"], "--max-seq-len", _CONTEXT if context == "0" else context]
    kind = options.get("cache-type", "fp16").lower()
    if kind != "fp16":
        line += ["--cache-mode", ",".join(part.removeprefix("q") for part in kind.split("_"))]
    line += ["--gpu-split", options["gpu-split"]] if options.get("gpu-split") else []
    return line + (["--tensor-parallel", "true"] if "enable-tp" in options else [])
