"""Memory: ledgers of every engine, what fits and how much more would."""

from __future__ import annotations

from wellfed.perf.memory.kv import kv_bytes_per_sequence, kv_element_bytes
from wellfed.perf.memory.ledger import least_missing_bytes, ledgers, memory, running_capacity, spare_bytes
from wellfed.perf.memory.serving import cache_bytes, cache_tokens
from wellfed.perf.memory.shards import rank_cache_bytes, rank_weights, tp_shard
from wellfed.perf.memory.vllm_cpu import pool_tokens, rank_pool_bytes

__all__ = [
    "cache_bytes",
    "cache_tokens",
    "kv_bytes_per_sequence",
    "kv_element_bytes",
    "least_missing_bytes",
    "ledgers",
    "memory",
    "pool_tokens",
    "rank_cache_bytes",
    "rank_pool_bytes",
    "rank_weights",
    "running_capacity",
    "spare_bytes",
    "tp_shard",
]
