"""A command line that somebody runs, as it is typed: which engine, which model, what it pins.

Read: the engines' own programs and modules, container images whose entry point is one, environment variables that stand
for flags. numactl, docker and their like in front of a program are passed over.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import field
from pathlib import PurePath

from wellfed.engines import ollama
from wellfed.engines.around import in_engines_words
from wellfed.engines.flags import MODEL, QUIET, SETTINGS, SWITCHES
from wellfed.engines.pins import Pins, pinned
from wellfed.engines.typed_flags import as_named, expanded
from wellfed.engines.versions import Version, version
from wellfed.errors import BadInput
from wellfed.frozen import dataclass
from wellfed.message import Listing, message
from wellfed.nouns.layout import Engine


@dataclass(frozen=True, slots=True)
class Command:
    """A command line, read: engine, model as it names it, what it pins.

    `serves`: a server, not a single answer or a benchmark. `version`: as an image's tag tells. `gpus`: as
    CUDA_VISIBLE_DEVICES and its kin tell, by number; None where they do not. `called`: the name it is served by.
    """

    engine: Engine
    model: str
    pins: Pins
    words: tuple[str, ...] = field(default=())
    serves: bool = True
    version: Version | None = None
    gpus: tuple[int, ...] | None = None
    called: str = ""

    @property
    def is_ollama(self) -> bool:
        """Whether the model is a tag of Ollama's library."""
        return self.version is not None and self.version.is_front


_PROGRAMS = {
    "llama-server": Engine.LLAMA_CPP, "llama-cli": Engine.LLAMA_CPP, "server": Engine.LLAMA_CPP,
    "llama-bench": Engine.LLAMA_CPP, "llama-completion": Engine.LLAMA_CPP, "llama-mtmd-cli": Engine.LLAMA_CPP,
    "llama-server.exe": Engine.LLAMA_CPP, "llama-cli.exe": Engine.LLAMA_CPP, "llama-embedding": Engine.LLAMA_CPP,
    "llama-batched-bench": Engine.LLAMA_CPP, "llama-sweep-bench": Engine.IK_LLAMA_CPP,
    "vllm": Engine.VLLM, "sglang": Engine.SGLANG, "trtllm-serve": Engine.TENSORRT_LLM,
    "mlx_lm.server": Engine.MLX, "mlx_lm.generate": Engine.MLX, "mlx_lm.chat": Engine.MLX,
    "lmdeploy": Engine.LMDEPLOY, "ds4-server": Engine.DS4, "ds4": Engine.DS4,
    "ollama": Engine.LLAMA_CPP, "ollama.exe": Engine.LLAMA_CPP, "main": Engine.LLAMA_CPP,
}  # fmt: skip
_MODULES = {
    "sglang.launch_server": Engine.SGLANG, "vllm.entrypoints.openai.api_server": Engine.VLLM,
    "wellfed.launch.embedded": Engine.LLAMA_CPP, "mlx_lm": Engine.MLX, "mlx_vlm.server": Engine.MLX,
}  # fmt: skip
# Images that start an engine by themselves (the words after their name are its own), by how their names begin.
_IMAGES = {
    "vllm": Engine.VLLM, "sglang": Engine.SGLANG, "llama.cpp": Engine.LLAMA_CPP, "ollama": Engine.LLAMA_CPP,
    "lmdeploy": Engine.LMDEPLOY, "tabbyapi": Engine.EXLLAMAV3,
}  # fmt: skip
_IMAGE = re.compile(r"(?:\w[\w.-]*(?::\d+)?/)+(?P<name>[\w.-]+)(?::(?P<tag>[\w.-]+))?(?:@sha256:\w+)?")
_CPU_IMAGE = re.compile(r"-(cpu|xeon)\b")
_CALLED = ("served-model-name", "alias", "a")
_OLD_NAMES = frozenset({"main", "server"})  # of llama.cpp's programs, until June 2024
_SINGLE = frozenset({"main", "llama-cli", "llama-bench", "llama-completion", "llama-mtmd-cli", "llama-cli.exe"})
_ALONE = frozenset({"llama-bench", "llama-completion", "llama-batched-bench", "llama-embedding"})  # without a projector
# Programs of llama.cpp that are no server: they reserve a whole batch's logits.
_WHOLE_BATCHES = frozenset({*_ALONE, "llama-mtmd-cli"})
_NOT_MODELS = frozenset({"serve", "run", "server", "generate", "chat", "api_server", "start", "show", "ps"})
_VISIBLE = frozenset({
    "CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "ZE_AFFINITY_MASK", "NVIDIA_VISIBLE_DEVICES",
    "GGML_VK_VISIBLE_DEVICES", "ASCEND_RT_VISIBLE_DEVICES",
})  # fmt: skip
# Flags that only ik_llama.cpp has: its server has the same name.
_ONLY_IK = frozenset({
    "mla", "mla-use", "amb", "attention-max-batch", "rtr", "run-time-repack", "fmoe", "fused-moe", "ser",
    "smart-expert-reduction", "no-fused-moe", "gr", "graph-reuse",
})  # fmt: skip
_WINDOWS_PATH = re.compile(r"(?<![\w.])(?:[A-Za-z]:|\.{1,2})\\[^\s\"'*|()]*")
_TABBY = frozenset({"--model-name", "--model-dir", "--cache-mode", "--cache-size", "--max-seq-len"})  # of TabbyAPI
_FLAGS_OF = {  # variables that no flag of their engine stands for
    "VLLM_PP_LAYER_PARTITION": "pp-layer-partition", "VLLM_USE_V1": "use-v1",
    "LMCACHE_MAX_LOCAL_CPU_SIZE": "lmcache-max-local-cpu-size",
}  # fmt: skip
_VARIABLE = re.compile(r"([A-Z][A-Z0-9_]*)=(.*)", re.DOTALL)


def command(text: str) -> Command:
    """A command line as it is typed.

    Raises BadInput where no engine's program or no model is in it, and for values that cannot be.
    """
    try:
        words = shlex.split(_joined(expanded(text)), comments="\n" in text.strip())
    except ValueError as error:
        raise BadInput(message("command.quotes", "the command line's quotes do not match")) from error
    words = in_engines_words(_opened(words))
    program = _program(words)
    variables = _variables(words)
    if program.name.startswith("ollama"):
        return _ollama(program, variables, words)
    pairs, positional = _flags(program.rest, SETTINGS[program.engine])
    others = [(_FLAGS_OF[name], value) for name, value in variables.items() if name in _FLAGS_OF]
    others += [("all-logits", "")] if program.name in _WHOLE_BATCHES else []
    pairs = [*_arguments(variables), *_of_image(program.tag), *_downloaded(program, pairs), *pairs, *others]
    model = _model(pairs, positional, program.engine)
    if model is None:
        raise BadInput(message("command.no-model", "the command line names no model"))
    engine = _variant(program.engine, {key for key, _ in pairs})
    pins = pinned(engine, as_named(engine, pairs), strict=False)
    serves = program.name not in _SINGLE and "generate" not in positional
    seen = () if _CPU_IMAGE.search(program.tag) else _visible(variables)
    called = next((value for key, value in pairs if key in _CALLED and value), "")
    return Command(engine, model, pins, tuple(words), serves, program.version, seen, called)


_SHELLS = frozenset({"-c", "-lc", "-ic", "-ec", "/c", "-Command"})


def _opened(words: list[str]) -> list[str]:
    """The words, with those of a line that is handed to a shell (`bash -c "vllm serve ..."`) in its place."""
    opened: list[str] = []
    for before, word in zip(["", *words], words, strict=False):
        opened += _split(word) if before in _SHELLS and len(word.split()) > 1 else [word]
    return opened


def _split(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError:
        return [line]


def _joined(text: str) -> str:
    """Lines that are continued, as POSIX shells, cmd.exe and PowerShell continue them, in one."""
    text = re.sub(r"[\\^`][ \t]*\r?\n", " ", text)
    return _WINDOWS_PATH.sub(lambda match: match[0].replace("\\", "/"), text)


@dataclass(frozen=True, slots=True)
class _Found:
    engine: Engine
    name: str
    rest: list[str]
    version: Version | None = None
    tag: str = ""


def _of_image(tag: str) -> Iterator[tuple[str, str]]:
    """llama.cpp's images name their back end."""
    if "vulkan" in tag:
        yield "back-end", "vulkan"


_REPOSITORY = frozenset({"hf", "hfr", "hf-repo"})


def _downloaded(program: _Found, pairs: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """llama.cpp's programs download a repository's projector along with the model, where it has one (`-hf` in
    tools/server/README.md), and load it onto a GPU.
    """
    flags = {flag for flag, _ in pairs}
    if program.engine is Engine.LLAMA_CPP and program.name not in _ALONE and flags & _REPOSITORY:
        yield from () if "no-mmproj" in flags else (("mmproj-offload", "on"),)


def _program(words: list[str]) -> _Found:
    """The engine's program, module or image, and the words after it."""
    for index, word in enumerate(words):
        name = PurePath(word.replace("\\", "/")).name
        if name in _PROGRAMS and name == _name_of(words, index + 1):
            continue  # `docker exec ollama ollama run ...`: the container's name
        if name in _PROGRAMS and not (name in _OLD_NAMES and index and not word.endswith(f"/{name}")):
            return _Found(_PROGRAMS[name], name, words[index + 1 :])
        if word in _MODULES:
            return _Found(_MODULES[word], word, words[index + 1 :])
    for index, word in enumerate(words):
        if PurePath(word).name == "main.py" and _TABBY & set(words):
            return _Found(Engine.EXLLAMAV3, "main.py", words[index + 1 :])
    for index, word in enumerate(words):
        image = _IMAGE.fullmatch(word)
        begins = next((start for start in _IMAGES if image and image["name"].startswith(start)), None)
        if image is not None and begins is not None:
            engine, tag = _IMAGES[begins], f"{image['name']}:{image['tag'] or ''}"
            label = "ollama" if begins == "ollama" else image["name"]
            return _Found(engine, label, words[index + 1 :], _of_tag(engine, image["tag"] or ""), tag)
    problem = message("command.no-engine", "no engine's program is in the command line")
    programs = Listing(tuple(sorted({*_PROGRAMS, *_MODULES})))
    raise BadInput(problem, message("command.no-engine.hint", "programs that are read: {programs}", programs=programs))


def _name_of(words: list[str], index: int) -> str:
    return PurePath(words[index].replace("\\", "/")).name if index < len(words) else ""


def _of_tag(engine: Engine, tag: str) -> Version | None:
    """vLLM's images are tagged by version."""
    if engine is Engine.VLLM and re.fullmatch(r"v\d+\.\d+(\.\d+)?\w*", tag):
        return version(engine, tag)
    return None


def _variables(words: list[str]) -> dict[str, str]:
    """NAME=VALUE words: of the shell in front of a program, of `docker run -e`."""
    matches = (_VARIABLE.fullmatch(word.removeprefix("$env:").removeprefix("-e").lstrip()) for word in words)
    return {match[1]: match[2] for match in matches if match}


def tells(variable: str) -> bool:
    """Whether an environment variable of this name tells an engine something that is read here."""
    return variable in _VISIBLE or variable.startswith(("LLAMA_ARG_", "OLLAMA_")) or variable in _FLAGS_OF


_ARGUMENTS = {"n-parallel": "parallel", "ubatch": "ubatch-size", "batch": "batch-size"}


def _arguments(variables: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """llama.cpp's LLAMA_ARG_CTX_SIZE=8192 is `--ctx-size 8192`."""
    for name, value in variables.items():
        if name.startswith("LLAMA_ARG_"):
            flag = name.removeprefix("LLAMA_ARG_").lower().replace("_", "-")
            yield _ARGUMENTS.get(flag, flag), value


def _visible(variables: Mapping[str, str]) -> tuple[int, ...] | None:
    """Which GPUs the first such variable leaves to be seen; of those named by UUID the first so many."""
    for name in sorted(_VISIBLE & variables.keys()):
        value = variables[name].strip()
        if value.lower() == "all":
            return None
        parts = [part.strip() for part in value.split(",") if part.strip()]
        if not parts or parts[0] in ("-1", "none", "void"):
            return ()
        return tuple(map(int, parts)) if all(part.isdecimal() for part in parts) else tuple(range(len(parts)))
    return None


def _variant(engine: Engine, flags: set[str]) -> Engine:
    """The fork that only has such flags."""
    if any(key.startswith("kt-") for key in flags):
        return Engine.KTRANSFORMERS
    return Engine.IK_LLAMA_CPP if engine is Engine.LLAMA_CPP and flags & _ONLY_IK else engine


def _model(pairs: Iterable[tuple[str, str]], positional: Iterable[str], engine: Engine) -> str | None:
    """What is loaded; elsewhere than in TabbyAPI `--model-name` is what it is served as."""
    model_flags = {key: value for key, value in pairs if key in MODEL}
    keys: tuple[str, ...] = ("model", "m", "model-path", "hf", "hf-repo", "hfr", "mu", "model-url")
    keys += ("model-name",) if engine is Engine.EXLLAMAV3 else ()
    model = next((model_flags[key] for key in keys if model_flags.get(key)), None)
    model = model or next((word for word in positional if word not in _NOT_MODELS and "=" not in word), None)
    return model or next((value for key, value in pairs if _looks_like_model(value) and key not in QUIET), None)


def _looks_like_model(value: str) -> bool:
    """A file or a repository that an unknown switch took for its value."""
    return value.lower().endswith(".gguf") or bool(re.fullmatch(r"[A-Za-z0-9][\w.-]*/[\w.-]+", value))


def _ollama(program: _Found, variables: Mapping[str, str], words: list[str]) -> Command:
    """Ollama's settings stand in its environment; the model is the word after `run`."""
    flags, positional = _flags(program.rest, ollama.PARAMETERS)
    model = next((word for word in positional if word not in _NOT_MODELS), None)
    if model is None:
        problem = message("command.ollama-model", "the command line names no model")
        raise BadInput(problem, message("command.ollama-model.hint", "for example: ollama run qwen3:32b"))
    settings = [(key, value) for key, value in variables.items() if key.startswith("OLLAMA_")]
    pins = ollama.pins([*settings, *flags])
    return Command(Engine.LLAMA_CPP, model, pins, tuple(words), version=ollama.version(""), gpus=_visible(variables))


def _flags(words: list[str], settings: Container[str]) -> tuple[list[tuple[str, str]], list[str]]:
    """(flag, value) pairs and words that belong to none. A flag's value is the next word that is no flag itself."""
    pairs, positional = [], []
    rest = iter(enumerate(words))
    for index, word in rest:
        if not word.startswith("-") or _number(word):
            positional.append(word)
            continue
        name, has_value, value = word.lstrip("-").partition("=")
        name = name if name in settings else name.replace("_", "-")
        after = words[index + 1] if index + 1 < len(words) else None
        follows = after is not None and (not after.startswith("-") or _number(after))
        if not has_value and after is not None and follows and _takes(name, after):
            value = after
            next(rest, None)
        pairs.append((name, value))
    return pairs, positional


_STATES = frozenset({"on", "off", "auto", "true", "false", "0", "1"})


def _takes(name: str, after: str) -> bool:
    """Whether the word after a flag is its value: of switches only a state."""
    return after.lower() in _STATES if name in SWITCHES or name in ("fa", "flash-attn") else True


def _number(word: str) -> bool:
    return word.lstrip("-").replace(".", "", 1).isdecimal()
