"""The API key in exports: a reference to where it is kept, never the key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from wellfed.engines.spec import LaunchSpec
from wellfed.nouns.layout import Engine

_VARIABLES: Mapping[Engine, str] = {
    Engine.LLAMA_CPP: "LLAMA_API_KEY",
    Engine.IK_LLAMA_CPP: "LLAMA_API_KEY",
    Engine.VLLM: "VLLM_API_KEY",
    Engine.SGLANG: "SGLANG_API_KEY",
    Engine.KTRANSFORMERS: "SGLANG_API_KEY",
}
FILE, FOLDER = "key.yaml", "/etc/wellfed"
LINE = "api-key: KEY"


def asking_for_a_key(spec: LaunchSpec) -> LaunchSpec:
    """The launch with a key to be filled in where it has none: others will reach it. Unless that was accepted."""
    variable = _VARIABLES.get(spec.engine)
    if spec.secrets or spec.insecure or variable is None:
        return spec
    return replace(spec, secrets={variable: ""})


def key_words(spec: LaunchSpec, folder: str = FOLDER) -> list[str]:
    """The words that name the key's file, of an engine that takes it from one."""
    return [spec.key_flag, f"{folder}/{FILE}"] if spec.key_in_file else []
