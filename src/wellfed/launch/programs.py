"""Which program serves an engine: the user's own where it can do more, else the embedded one."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Sequence

from wellfed.engines import llamacpp
from wellfed.errors import BadInput
from wellfed.frozen import dataclass
from wellfed.message import listed, sentence
from wellfed.nouns.layout import Engine

EMBEDDED = (sys.executable, "-m", "wellfed.launch.embedded")
_HELP_TIMEOUT_S = 60  # a Python engine imports its framework before it prints its help
# vLLM tells its flags by section only, unless asked for all; older versions know no sections.
_HELP = {Engine.VLLM: (("serve", "--help=all"), ("serve", "--help"))}


@dataclass(frozen=True, slots=True)
class Program:
    """The words that start an engine, and where they came from."""

    words: tuple[str, ...]
    origin: str


def _which(name: str) -> str | None:
    import shutil  # which reads archives, too: not for a command that is only shown

    return shutil.which(name)


def program(engine: Engine, needs_gpu: bool, stated: str | None = None) -> Program:
    """The program for `engine`. Raises BadInput with what to install when there is none."""
    if stated is not None:
        path = _which(stated)
        if path is None:
            raise BadInput(
                sentence("programs.no-program", "no program {given!r}", given=stated),
                sentence("programs.give-path-name", "give a path or a name on PATH"),
            )
        return Program((path, *_module_words(engine)), "given")
    match engine:
        case Engine.LLAMA_CPP:
            return _llama(needs_gpu)
        case Engine.IK_LLAMA_CPP:
            raise BadInput(
                sentence("programs.ik-llama-cpp", "ik_llama.cpp is not told apart on PATH"),
                sentence("programs.name-llama-server", "name its llama-server with --program"),
            )
        case Engine.VLLM:
            return _on_path("vllm", "pip install vllm")
        case Engine.SGLANG | Engine.KTRANSFORMERS:
            return _module("sglang", "sglang.launch_server", "pip install 'sglang[all]'")
        case Engine.TENSORRT_LLM:
            return _on_path("trtllm-serve", "pip install tensorrt-llm")
        case Engine.MLX:
            return _on_path("mlx_lm.server", "pip install mlx-lm")
        case Engine.LMDEPLOY:
            return _on_path("lmdeploy", "pip install lmdeploy")
        case Engine.DS4:
            why = sentence("programs.ds4", "ds4-server is started from its own folder")
            raise BadInput(why, sentence("programs.ds4.hint", "name it with --program"))
        case Engine.EXLLAMAV3:
            raise BadInput(
                sentence("programs.tabbyapi-exllamav3", "TabbyAPI, exllamav3's server, is started from its own folder"),
                sentence("programs.name-program", "name it with --program"),
            )


_NOMINAL = {
    Engine.LLAMA_CPP: ("llama-server",),
    Engine.IK_LLAMA_CPP: ("llama-server",),
    Engine.VLLM: ("vllm",),
    Engine.SGLANG: ("python3", "-m", "sglang.launch_server"),
    Engine.KTRANSFORMERS: ("python3", "-m", "sglang.launch_server"),
    Engine.TENSORRT_LLM: ("trtllm-serve",),
    Engine.EXLLAMAV3: ("python3", "main.py"),
    Engine.MLX: ("mlx_lm.server",),
    Engine.LMDEPLOY: ("lmdeploy",),
    Engine.DS4: ("./ds4-server",),
}


def nominal(engine: Engine, stated: str | None = None) -> Program:
    """The engine's usual program, which need not be installed here; or the `stated` one."""
    if stated is not None:
        return Program((stated, *_module_words(engine)), "given")
    return Program(_NOMINAL[engine], "named")


def _module_words(engine: Engine) -> tuple[str, ...]:
    return ("-m", "sglang.launch_server") if engine in (Engine.SGLANG, Engine.KTRANSFORMERS) else ()


def _llama(needs_gpu: bool) -> Program:
    path = _which("llama-server")
    if path is not None:
        return Program((path,), sentence("programs.on-path", "llama-server on PATH"))
    if needs_gpu:
        hint = sentence(
            "programs.install-llama-server",
            "install a llama-server built for your GPU and put it on PATH, or plan with the CPU alone",
        )
        raise BadInput(
            sentence(
                "programs.embedded-llama-cpp",
                "the embedded llama.cpp is built for the CPU alone, and this plan uses the GPU",
            ),
            hint,
        )
    if importlib.util.find_spec("xllamacpp") is None:
        raise BadInput(
            sentence("programs.embedded-llama-cpp-2", "the embedded llama.cpp is not installed"),
            "pip install xllamacpp",
        )
    return Program(EMBEDDED, "embedded")


def _on_path(name: str, install: str) -> Program:
    path = _which(name)
    if path is None:
        raise BadInput(
            sentence("programs.installed", "{name} is not installed", name=name),
            sentence("programs.choose-another", "{install}, or choose another engine with --engine", install=install),
        )
    return Program((path,), f"{name} on PATH")


def _module(package: str, module: str, install: str) -> Program:
    if importlib.util.find_spec(package) is None:
        raise BadInput(
            sentence("programs.installed-2", "{package} is not installed", package=package),
            sentence("programs.choose-another", "{install}, or choose another engine with --engine", install=install),
        )
    return Program(
        (sys.executable, "-m", module),
        sentence("programs.environment", "{package} in this environment", package=package),
    )


def recorded_flags(engine: Engine) -> Sequence[str]:
    """The flags our adapter may use."""
    from wellfed.engines import ds4, lmdeploy, own_files, sglang, tensorrt_llm, vllm

    by_engine = {
        Engine.VLLM: vllm.FLAGS,
        Engine.SGLANG: sglang.FLAGS,
        Engine.KTRANSFORMERS: sglang.FLAGS,
        Engine.TENSORRT_LLM: tensorrt_llm.FLAGS,
        Engine.EXLLAMAV3: own_files.TABBY_FLAGS,
        Engine.MLX: own_files.MLX_FLAGS,
        Engine.LMDEPLOY: lmdeploy.FLAGS,
        Engine.DS4: ds4.FLAGS,
    }
    return by_engine.get(engine, llamacpp.FLAGS)


def unknown_flags(words: Sequence[str], help_text: str) -> tuple[str, ...]:
    """Those of `words` that are flags and that the program's help does not name."""
    documented = set(re.findall(r"(?<![\w-])--?[a-zA-Z][\w-]*", help_text))
    return tuple(word for word in words if word.startswith("--") and re.split("[=.]", word)[0] not in documented)


def known_words(program: Program, words: Sequence[str], engine: Engine) -> tuple[str, ...]:
    """`words` less the optional flags that the installed program does not know. Raises BadInput for any other.

    Its help decides; without help text, the recorded lists.
    """
    text = _help(program, engine) or " ".join(recorded_flags(engine))
    missing = unknown_flags(words, text)
    refused = [flag for flag in missing if flag not in llamacpp.OPTIONAL]
    if refused:
        hint = sentence("programs.update-engine-choose", "update the engine, or choose another program with --program")
        raise BadInput(
            sentence(
                "programs.does-know",
                "{words} does not know {refused}",
                words=program.words[0],
                refused=listed(refused),
            ),
            hint,
        )
    return without(words, missing)


def _help(program: Program, engine: Engine) -> str:
    """What the program says of its flags; empty when it says nothing of them."""
    import subprocess

    for help_flags in _HELP.get(engine, (("--help",),)):
        try:
            process = subprocess.run(
                [*program.words, *help_flags], capture_output=True, text=True, timeout=_HELP_TIMEOUT_S, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            continue
        text = process.stdout + process.stderr
        if "--" in text and (engine not in _HELP or "--max-model-len" in text):
            return text
    return ""


def without(words: Sequence[str], flags: Sequence[str]) -> tuple[str, ...]:
    """`words` without `flags` and the value that follows each."""
    dropped = [index for index, word in enumerate(words) if word in flags]
    return tuple(word for index, word in enumerate(words) if index not in dropped and index - 1 not in dropped)
