"""What an estimate takes for granted of a layout that nothing was measured with."""

from __future__ import annotations

from collections.abc import Iterator

from wellfed.hardware.machine import Gpu
from wellfed.message import sentence
from wellfed.nouns.layout import Engine
from wellfed.nouns.plan import Request
from wellfed.perf.memory.context_ranks import context_ranks, prefill_ranks
from wellfed.perf.memory.devices import vendor
from wellfed.perf.memory.lora import is_adapted
from wellfed.provenance import Assumption

_FP8_CAPABILITY = 8.9  # compute capability that converts FP8 in hardware (CUDA C++ programming guide)
_E4M3 = frozenset({"fp8", "fp8_e4m3"})


def caveats(request: Request) -> Iterator[Assumption]:
    """One for each thing that is taken so."""
    if is_adapted(request.layout):
        yield Assumption(
            sentence("perf.estimate.adapters-each", "every user's prompt passes one adapter, all of the largest rank"),
            sentence("perf.estimate.no-measurement-adapters", "no measurement with adapters is known"),
        )
    if prefill_ranks(request.layout) > 1:
        text = "a prompt's tokens are divided evenly over {ranks} groups of ranks, which never wait for one another"
        said = sentence("caveats.prompt-ranks", text, ranks=prefill_ranks(request.layout))
        yield Assumption(said, sentence("caveats.prompt-ranks.why", "no measurement with divided prompts is known"))
    if request.layout.engine is Engine.TENSORRT_LLM and context_ranks(request.layout) > 1:
        text = "Helix divides the cache: for generation servers beside ones that prefill, on Blackwell"
        said = sentence("caveats.helix", text)
        yield Assumption(said, sentence("caveats.helix.why", "TensorRT-LLM's documentation, features/helix"))
    yield from _fp8_cache(request)


def _fp8_cache(request: Request) -> Iterator[Assumption]:
    """Below 8.9 FP8 is only how a cache is stored. FlashInfer widens either kind; Triton's kernels, which some models
    need, know no E4M3 there (vllm-project/vllm: issue 4827, pull requests 24577, 45829, 50882).
    """
    if request.layout.engine is not Engine.VLLM or request.layout.kv_type not in _E4M3:
        return
    old = [gpu for gpu in request.machine.gpus if vendor(gpu) == "nvidia" and _capability(gpu) < _FP8_CAPABILITY]
    if old:
        text = "an FP8 cache is widened as it is read: these GPUs do not compute with FP8"
        why = "models that vLLM runs on Triton's attention need fp8_e5m2 below compute capability 8.9"
        yield Assumption(sentence("caveats.fp8-cache", text), sentence("caveats.fp8-cache.why", why))


def _capability(gpu: Gpu) -> float:
    capability = gpu.spec.compute_capability if gpu.spec else None
    return _FP8_CAPABILITY if capability is None else float(capability)
