"""Container images of the engines, and a launch's paths inside them."""

from __future__ import annotations

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


def image_of(engine: Engine) -> str:
    """The engine's published image."""
    return IMAGES[engine]


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
