"""A llama.cpp launch handed over to what people run: Ollama, LM Studio, llama-swap.

Ollama: docs/modelfile.md and docs/faq.md of ollama/ollama; LM Studio: its `lms` command line; llama-swap: the README of
mostlygeek/llama-swap.
"""

from __future__ import annotations

import json
import shlex
from pathlib import PurePosixPath

from wellfed.comments import commented, lines_of, one_line
from wellfed.engines.exports.images import dns_label
from wellfed.engines.spec import LaunchSpec
from wellfed.errors import Unsupported
from wellfed.message import message, sentence
from wellfed.nouns.layout import Engine


def _flag(spec: LaunchSpec, name: str) -> str | None:
    """The value behind a flag of the launch."""
    words = spec.argv
    return next((words[n + 1] for n, word in enumerate(words[:-1]) if word == name), None)


def _ensure_gguf(spec: LaunchSpec, form: str) -> None:
    if spec.engine not in (Engine.LLAMA_CPP, Engine.IK_LLAMA_CPP):
        engine = spec.engine.value
        problem = message(
            "export.gguf-only", "{form} runs GGUF files, this plan is for {engine}", form=form, engine=engine
        )
        raise Unsupported(problem, message("export.gguf-only.hint", "plan with --engine llama.cpp"))


def _key_notes(spec: LaunchSpec, server: str) -> list[str]:
    """A word where the launch asks for a key and the server knows none."""
    names = ", ".join(sorted(spec.secrets))
    template = "{server} asks for no key ({names} has no effect): keep it on loopback"
    return [commented(sentence("export.no-key", template, server=server, names=names))] if names else []


def ollama(spec: LaunchSpec, name: str) -> str:
    """A Modelfile; what Ollama takes from the environment of its server stands in the comments."""
    _ensure_gguf(spec, "Ollama")
    label, slots = dns_label(name), int(_flag(spec, "--parallel") or 1)
    context = int(_flag(spec, "--ctx-size") or 4096) // slots
    kinds = {_flag(spec, "--cache-type-k") or "f16", _flag(spec, "--cache-type-v") or "f16"}
    kind = kinds.pop() if len(kinds) == 1 else "f16"
    settings = [f"OLLAMA_NUM_PARALLEL={slots}", f"OLLAMA_FLASH_ATTENTION={int(_flag(spec, '--flash-attn') != 'off')}"]
    if kind in ("q8_0", "q4_0"):
        settings.append(f"OLLAMA_KV_CACHE_TYPE={kind}")
    host = f"OLLAMA_HOST={spec.endpoint.host}:{spec.endpoint.port}"
    lines = [
        f"# {one_line(name)}: ollama create {label} -f Modelfile && ollama run {label}",
        commented(
            sentence(
                "export.ollama.server", "the server's environment: {settings}", settings=" ".join([*settings, host])
            )
        ),
        f"FROM {one_line(_flag(spec, '--model') or '')}",
        f"PARAMETER num_ctx {context}",
    ]
    for parameter, flag in (("num_gpu", "--n-gpu-layers"), ("num_thread", "--threads"), ("num_batch", "--ubatch-size")):
        value = _flag(spec, flag)
        if value is not None:
            lines.append(f"PARAMETER {parameter} {value}")
    lines[2:2] = _key_notes(spec, "Ollama")
    if any(word in spec.argv for word in ("--cpu-moe", "--n-cpu-moe", "--override-tensor")):
        text = "Ollama keeps whole layers on the CPU, not experts alone: this plan is slower there"
        lines.insert(1, commented(sentence("export.ollama.experts", text)))
    return lines_of(lines)


def lmstudio(spec: LaunchSpec, name: str) -> str:
    """The `lms` commands that import, load and serve the model."""
    _ensure_gguf(spec, "LM Studio")
    file, slots = _flag(spec, "--model") or "", int(_flag(spec, "--parallel") or 1)
    context = int(_flag(spec, "--ctx-size") or 4096) // slots
    layers = _flag(spec, "--n-gpu-layers")
    gpu = {"0": "off", "999": "max"}.get(layers or "", "auto")
    stem = PurePosixPath(file).stem
    return lines_of(
        [
            "#!/bin/sh",
            *_key_notes(spec, "LM Studio"),
            "set -eu",
            f"lms import --yes {shlex.quote(file)}",
            f"lms load {shlex.quote(stem)} --identifier {dns_label(name)} --context-length {context} --gpu {gpu}",
            f"lms server start --port {spec.endpoint.port}",
        ]
    )


def llama_swap(spec: LaunchSpec, name: str) -> str:
    """llama-swap's config.yaml with this one model; its proxy picks the port."""
    _ensure_gguf(spec, "llama-swap")
    words = list(spec.argv)
    if "--port" in words:
        words[words.index("--port") + 1] = "${PORT}"
    command = " ".join(word if word == "${PORT}" else shlex.quote(word) for word in [*spec.binding.numactl(), *words])
    environment = [f"{key}={value}" for key, value in sorted(spec.environment.items())]
    environment += [f"{name}=${{env.{name}}}" for name in sorted(spec.secrets)]  # taken from llama-swap's own
    body = {"cmd": command, **({"env": environment} if environment else {})}
    return f"# llama-swap --config config.yaml\nmodels:\n  {json.dumps(dns_label(name))}: {json.dumps(body)}\n"
