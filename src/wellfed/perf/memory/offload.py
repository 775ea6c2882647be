"""Cache that a serving engine keeps outside its GPUs: prompts that come back are copied in, not computed again.

vLLM's `--kv-offloading-size` is GiB of RAM for all ranks together; SGLang's hierarchical cache is `--hicache-size` GB
for each rank, or `--hicache-ratio` times the rank's own pool; LMCache's `max_local_cpu_size` is GB for each rank.
Source: vLLM documentation, KV offloading; SGLang documentation, hierarchical KV caching; docs.lmcache.ai, configuration
(read 2026-11-29).
"""

from __future__ import annotations

from collections.abc import Sequence

from wellfed.message import sentence
from wellfed.nouns.estimate import MemoryTerm
from wellfed.nouns.layout import Engine, Layout
from wellfed.perf.memory.kv import option
from wellfed.perf.memory.share import Share
from wellfed.units import GB, GIB

_NOTE = sentence("offload.note", "cache of prompts that may come back")
_USUAL_RATIO = 2.0  # SGLang's default


def offload_bytes(layout: Layout, gpus: Sequence[Share]) -> float:
    """RAM that the engine reserves for cache, all ranks of a machine; 0 where it does not."""
    if layout.engine is Engine.VLLM:
        connected = float(option(layout, "lmcache_gb") or 0) * GB * len(gpus)
        return float(option(layout, "kv_ram_gib") or 0) * GIB + connected
    if option(layout, "hicache") != "1":
        return 0.0
    size = float(option(layout, "hicache_gb") or 0) * GB
    if size:
        return size * len(gpus)
    ratio = float(option(layout, "hicache_ratio") or _USUAL_RATIO)
    return ratio * sum(max(0.0, share.room_bytes or 0.0) for share in gpus)


def offload_terms(layout: Layout, gpus: Sequence[Share]) -> tuple[MemoryTerm, ...]:
    """RAM's ledger entry of it."""
    size = offload_bytes(layout, gpus)
    return (MemoryTerm("ram", "kv offload", size, _NOTE),) if size else ()
