"""Prompts that begin alike: a system prompt, a document that all ask about.

Serving engines keep the cache of a prefix once for all (automatic prefix caching, radix cache); llama.cpp's slots keep
each their own from one request to the next. Either way only what comes after it is computed again. In the steady state:
the first request that brings a prefix computes it.
"""

from __future__ import annotations

from wellfed.frozen import replace
from wellfed.nouns.layout import Engine, Layout
from wellfed.nouns.plan import Request
from wellfed.nouns.workload import Workload

# vLLM's automatic prefix caching, SGLang's radix cache, TensorRT-LLM's block reuse are on by themselves; LMDeploy's is
# switched on by a flag that launches here carry.
SHARES = frozenset({Engine.VLLM, Engine.SGLANG, Engine.TENSORRT_LLM, Engine.KTRANSFORMERS, Engine.LMDEPLOY})
_KEEPS = frozenset(
    {Engine.LLAMA_CPP, Engine.IK_LLAMA_CPP, Engine.EXLLAMAV3, Engine.MLX, Engine.DS4}
)  # one for each slot


def kept_tokens(layout: Layout, load: Workload) -> int:
    """Tokens of the prompt that need not be computed again."""
    reuses = layout.engine in SHARES or layout.engine in _KEEPS
    return min(load.shared_prefix_tokens, load.prompt_tokens - 1) if reuses and load.shared_prefix_tokens else 0


def as_computed(request: Request) -> Request:
    """The request with its prefix in the cache already: what is left of the prompt stands behind it."""
    load = request.workload
    reused = kept_tokens(request.layout, load)
    if not reused:
        return request
    shorter = replace(load, prompt_tokens=load.prompt_tokens - reused, depth_tokens=load.depth_tokens + reused)
    return replace(request, workload=replace(shorter, context_tokens=load.context))
