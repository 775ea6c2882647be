"""Container images of the engines, and a launch's paths inside them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath

from wellfed.engines.spec import LaunchSpec
from wellfed.nouns.layout import Engine

# The publishers' own names. Versions: those whose flags the adapters were read from (engines/vllm.py, sglang.py);
# of llama.cpp a build that its registry lists (ghcr.io/ggml-org/llama.cpp, server-cuda12-b9603, read November 2026).
_LLAMA, _VLLM, _SGLANG = "b9603", "v0.32.0", "v0.5.23"
IMAGES: Mapping[Engine, str] = {
    Engine.LLAMA_CPP: f"ghcr.io/ggml-org/llama.cpp:server-cuda12-{_LLAMA}",
    Engine.IK_LLAMA_CPP: "ik_llama.cpp:local",
    Engine.VLLM: f"vllm/vllm-openai:{_VLLM}",
    Engine.SGLANG: f"lmsysorg/sglang:{_SGLANG}",
    Engine.TENSORRT_LLM: "nvcr.io/nvidia/tensorrt-llm/release:1.0.0",
    Engine.KTRANSFORMERS: f"lmsysorg/sglang:{_SGLANG}",
    Engine.EXLLAMAV3: "tabbyapi:local",
    Engine.LMDEPLOY: "lmdeploy:local",
    Engine.DS4: "ds4:local",
    Engine.MLX: "mlx-lm:local",  # no container reaches Metal
}
# llama.cpp docs/docker.md; vLLM documentation, installation on CPUs and on ROCm.
_OTHERS: Mapping[tuple[Engine, str], str] = {
    (Engine.LLAMA_CPP, "cpu"): f"ghcr.io/ggml-org/llama.cpp:server-{_LLAMA}",
    (Engine.LLAMA_CPP, "amd"): f"ghcr.io/ggml-org/llama.cpp:server-rocm-{_LLAMA}",
    (Engine.LLAMA_CPP, "intel"): f"ghcr.io/ggml-org/llama.cpp:server-intel-{_LLAMA}",
    (Engine.VLLM, "cpu"): f"vllm/vllm-openai-cpu:{_VLLM}-x86_64",
    (Engine.VLLM, "amd"): f"vllm/vllm-openai-rocm:{_VLLM}",
    (Engine.LLAMA_CPP, "moorethreads"): f"ghcr.io/ggml-org/llama.cpp:server-musa-{_LLAMA}",
    (Engine.VLLM, "huawei"): f"quay.io/ascend/vllm-ascend:{_VLLM}",
}
_PUBLISHED_FOR = frozenset({"nvidia", "amd", "intel", "apple", "cpu"})
_PART = re.compile(r"-(\d{5})-of-(\d{5})\.gguf$")
_DEVICES = frozenset(
    {"CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "ASCEND_RT_VISIBLE_DEVICES"}
)


def image_of(spec: LaunchSpec) -> str:
    """The engine's published image for this vendor's GPUs, or for the CPU alone, where there is such a one.

    Vendors that hand their build out themselves get a name to be filled in: an image of another's would not start.
    """
    hardware = spec.gpu_vendor if spec.gpus else "cpu"
    usual = IMAGES[spec.engine] if hardware in _PUBLISHED_FOR else f"{spec.engine.value}-{hardware}:local"
    return _OTHERS.get((spec.engine, hardware), usual)


def dns_label(name: str) -> str:
    """A name that Kubernetes and compose take (RFC 1035): letters, digits and dashes, 63 at most, a letter first."""
    text = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    return (text if text[:1].isalpha() else f"m-{text}")[:63].rstrip("-")


def shares_memory(spec: LaunchSpec) -> bool:
    """Whether its processes pass tensors through shared memory: engines of several processes, and of several GPUs."""
    return spec.engine not in (Engine.LLAMA_CPP, Engine.IK_LLAMA_CPP) or len(spec.gpus) > 1


def locks_memory(spec: LaunchSpec) -> bool:
    """Whether it pins pages: when told so, and for copies between GPUs and networks."""
    return "--mlock" in spec.argv or spec.nodes > 1


def parts(file: str) -> tuple[str, ...]:
    """All files of a GGUF that is split (-00001-of-00003.gguf), in order; else the file itself."""
    part = _PART.search(file)
    if part is None:
        return (file,)
    stem, count = file[: part.start()], int(part[2])
    return tuple(f"{stem}-{n:05}-of-{count:05}.gguf" for n in range(1, count + 1))


def in_container(spec: LaunchSpec) -> tuple[list[str], dict[str, str]]:
    """(arguments for the image's entry point, host path -> path inside): models appear under /models."""
    local = [part for file in spec.files if file.startswith(("/", "./", "~")) for part in parts(file)]
    volumes = {file: f"/models/{PurePosixPath(file).name}" for file in local}
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
    exposed = list(words)
    if "--host" in exposed:
        exposed[exposed.index("--host") + 1] = "0.0.0.0"
    return exposed


def environment_of(spec: LaunchSpec) -> dict[str, str]:
    """The environment where a scheduler or a container runtime hands the GPUs out: without the choice of them."""
    return {name: value for name, value in sorted(spec.environment.items()) if name not in _DEVICES}
