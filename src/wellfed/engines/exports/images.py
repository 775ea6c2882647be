"""Container images of the engines, and a launch's paths inside them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath

from wellfed.engines.spec import LaunchSpec
from wellfed.layout import Engine

# The publishers' own names; a tag should be pinned by whoever deploys.
IMAGES: Mapping[Engine, str] = {
    Engine.LLAMA_CPP: "ghcr.io/ggml-org/llama.cpp:server-cuda",
    Engine.IK_LLAMA_CPP: "ik_llama.cpp:local",
    Engine.VLLM: "vllm/vllm-openai:latest",
    Engine.SGLANG: "lmsysorg/sglang:latest",
    Engine.TENSORRT_LLM: "nvcr.io/nvidia/tensorrt-llm/release:latest",
    Engine.KTRANSFORMERS: "lmsysorg/sglang:latest",
}
_CPU_IMAGES: Mapping[Engine, str] = {
    Engine.LLAMA_CPP: "ghcr.io/ggml-org/llama.cpp:server",
}


def image_of(spec: LaunchSpec) -> str:
    """The engine's published image; for the CPU alone where there is such a one."""
    return _CPU_IMAGES.get(spec.engine, IMAGES[spec.engine]) if not spec.gpus else IMAGES[spec.engine]


def dns_label(name: str) -> str:
    """A name that Kubernetes and compose take (RFC 1035): letters, digits and dashes, 63 at most, a letter first."""
    text = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    return (text if text[:1].isalpha() else f"m-{text}")[:63].rstrip("-")


def in_container(spec: LaunchSpec) -> tuple[list[str], dict[str, str]]:
    """(arguments for the image's entry point, host path -> path inside): models appear under /models."""
    volumes = {file: f"/models/{PurePosixPath(file).name}" for file in spec.files if file.startswith(("/", "./", "~"))}
    words = list(spec.argv)
    start = next((index for index, word in enumerate(words) if word.startswith("--")), len(words))
    first = spec.files[0] if spec.files else None
    if first in words[:start]:
        start = words.index(first)
    needs_module = spec.engine in (Engine.SGLANG, Engine.KTRANSFORMERS)
    head = ["python3", "-m", "sglang.launch_server"] if needs_module else []
    inside = [volumes.get(word, word) for word in words[start:]]
    return [*head, *_listening_on_all(inside)], volumes


def _listening_on_all(words: list[str]) -> list[str]:
    """Inside a container the server must listen on the container's address; the host side stays as asked."""
    found = list(words)
    if "--host" in found:
        found[found.index("--host") + 1] = "0.0.0.0"
    return found
