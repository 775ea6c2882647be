"""Command lines in the files that start engines elsewhere: Kubernetes manifests, systemd units, Ollama's Modelfiles.

Sources: Kubernetes API reference (Container: command, args, env, resources.limits); KServe InferenceService v1beta1;
systemd.service(5), systemd.exec(5); https://github.com/ollama/ollama/blob/v0.12.0/docs/modelfile.md.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from wellfed.engines.ollama import PARAMETERS
from wellfed.errors import BadInput
from wellfed.message import message

_DEEPEST = 12  # levels of a manifest at which containers stand: a CronJob's are nine down
_GPU_LIMITS = ("nvidia.com/gpu", "amd.com/gpu", "gpu.intel.com/xe", "gpu.intel.com/i915")


def container_lines(manifest: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Each container's name and words: environment, image, command and arguments."""
    for container in _containers(manifest, _DEEPEST):
        environment = {str(entry.get("name")): str(entry["value"]) for entry in _dicts(container.get("env"))
                       if entry.get("value") is not None}  # fmt: skip
        pairs = [f"{name}={value}" for name, value in {**environment, **_visible(container)}.items()]
        words = [
            *pairs,
            str(container.get("image") or ""),
            *words_of(container.get("command")),
            *words_of(container.get("args")),
        ]
        yield str(container.get("name", "container")), shlex.join(word for word in words if word)


def _containers(node: object, depth: int) -> Iterator[Mapping[str, Any]]:
    """Whatever stands in a list called `containers`, and a KServe predictor's model."""
    if depth < 0:
        return
    if isinstance(node, list):
        for entry in node:
            yield from _containers(entry, depth - 1)
    if not isinstance(node, dict):
        return
    for key, value in node.items():
        if key == "containers":
            yield from _dicts(value)
        elif key == "model" and isinstance(value, dict) and str(value.get("storageUri", "")).startswith("hf://"):
            served = ["vllm", "serve", str(value["storageUri"]).removeprefix("hf://")]  # KServe's Hugging Face server
            yield {**value, "name": "predictor", "command": served}
        else:
            yield from _containers(value, depth - 1)


def _dicts(value: object) -> list[Mapping[str, Any]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def words_of(value: object) -> list[str]:
    """The words of a command: a list's, or a text's as compose files, KServe and hand-written manifests have it."""
    if isinstance(value, list):
        return [str(word) for word in value]
    try:
        return shlex.split(value) if isinstance(value, str) else []
    except ValueError as error:
        raise BadInput(message("command.quotes", "the command line's quotes do not match")) from error


def _visible(container: Mapping[str, Any]) -> dict[str, str]:
    """The GPUs that a container is limited to."""
    resources = container.get("resources")
    limits = resources.get("limits") if isinstance(resources, dict) else None
    for name in _GPU_LIMITS:
        count = str(limits.get(name, "")) if isinstance(limits, dict) else ""
        if count.isascii() and count.isdigit() and 0 < int(count[:4]) <= 1024:
            return {"CUDA_VISIBLE_DEVICES": ",".join(map(str, range(int(count[:4]))))}
    return {}


def unit_line(text: str) -> str:
    """What a systemd unit starts: the words of `ExecStart`, behind those of `Environment`."""
    joined = re.sub(r"\\\s*\n\s*", " ", text)
    settings = [
        line.partition("=") for line in joined.splitlines() if "=" in line and not line.lstrip().startswith("#")
    ]
    variables = [value.strip() for key, _, value in settings if key.strip() == "Environment"]
    started = [value.strip().lstrip("-@:+!") for key, _, value in settings if key.strip() == "ExecStart"]
    return " ".join([*variables, *(line for line in started if line)])


# Of sampling and of what a chat looks like: they change neither memory nor speed.
_SAMPLING = frozenset({
    "temperature", "top_k", "top_p", "min_p", "typical_p", "seed", "stop", "num_predict", "num_keep", "repeat_last_n",
    "repeat_penalty", "presence_penalty", "frequency_penalty", "mirostat", "mirostat_eta", "mirostat_tau", "tfs_z",
    "penalize_newline",
})  # fmt: skip


def modelfile_line(text: str) -> str:
    """The model that a Modelfile starts from, with its parameters as switches of `ollama run`."""
    model, switches = "", list[str]()
    for line in text.splitlines():
        words = line.split(None, 2)
        instruction = words[0].upper() if words else ""
        if instruction == "FROM" and len(words) > 1 and not model:
            model = words[1]
        elif instruction == "PARAMETER" and len(words) == 3 and words[1] not in _SAMPLING:
            name = words[1] if words[1] in PARAMETERS else words[1].replace("_", "-")
            switches += [f"--{name}={words[2].strip()}"]
        elif instruction == "ADAPTER" and len(words) > 1:
            switches += [f"--adapter={words[1]}"]
    return shlex.join(["ollama", "run", *([model] if model else []), *switches])
