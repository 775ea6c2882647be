"""Where a cache goes beside the GPUs: vLLM's `--kv-transfer-config` and its connectors, SGLang's disaggregation.

Sources: docs/features/disagg_prefill.md and the KV offloading connector of vllm-project/vllm; LMCache's configuration
(`max_local_cpu_size`: 5 GB of RAM for each rank by default, `local_cpu`); SGLang's PD disaggregation.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from wellfed.engines.setters import Change, NotModelled, json_object
from wellfed.nouns.layout import Layout
from wellfed.units import GB, GIB

_LMCACHE_GB = 5.0  # GB of each rank: LMCache's default (LMCACHE_MAX_LOCAL_CPU_SIZE)
# Connectors that hand a cache to another instance, or write it to disks: they keep none in this machine's RAM.
_HANDS_OVER = ("nixl", "p2p", "mooncake", "moriio", "sharedstorage", "example", "hf3fs", "decodebench")
_SERVED = "prefill", "decode", "null"


def kv_transfer(text: str) -> Change:
    """The RAM that a connector holds: `kv_ram_gib` of all ranks together, `lmcache_gb` of each, LMCache's or not."""
    config = json_object(text)
    options = dict(_held(config, text))
    options["kv_transfer"] = json.dumps(config)
    return lambda layout: _with_options(layout, options)


def _held(config: Mapping[str, Any], text: str) -> tuple[tuple[str, str], ...]:
    name, extra = str(config.get("kv_connector", "")), config.get("kv_connector_extra_config") or {}
    if not name or not isinstance(extra, dict):
        raise ValueError(text)
    kind = name.lower()
    if "multi" in kind:
        inner = extra.get("connectors")
        parts = inner if isinstance(inner, list) else []
        return tuple(pair for part in parts if isinstance(part, dict) for pair in _held(part, text))
    if "lmcache" in kind:
        return _lmcache(extra)
    if "offload" in kind:
        rank_bytes = extra.get("cpu_bytes_to_use_per_rank")
        if isinstance(rank_bytes, int | float) and rank_bytes >= 0:
            return (("lmcache_gb", f"{rank_bytes / GB:g}"),)
        size = extra.get("cpu_bytes_to_use")
        if not isinstance(size, int | float) or size < 0:
            raise NotModelled(f"{name} without cpu_bytes_to_use")
        return (("kv_ram_gib", f"{size / GIB:g}"),)
    if any(word in kind for word in _HANDS_OVER):
        return ()
    raise NotModelled(name)


def _lmcache(extra: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    size = extra.get("lmcache.max_local_cpu_size", _LMCACHE_GB) if extra.get("lmcache.local_cpu", True) else 0
    if not isinstance(size, int | float) or size < 0:
        raise ValueError(str(size))
    return (("lmcache_gb", f"{size:g}"),)


def lmcache_size(text: str) -> Change:
    """LMCACHE_MAX_LOCAL_CPU_SIZE: GB of RAM for each rank, where LMCache is the connector."""
    size = float(text)
    if not 0 <= size * GB < float("inf"):
        raise ValueError(text)

    def change(layout: Layout) -> Layout:
        chosen = any(name == "lmcache_gb" for name, _ in layout.options)
        return _with_options(layout, {"lmcache_gb": f"{size:g}"}) if chosen else layout

    return change


def disaggregation(text: str) -> Change:
    """SGLang's `--disaggregation-mode`: this instance prefills or decodes only; its memory is an instance's own."""
    if text not in _SERVED:
        raise ValueError(text)
    return lambda layout: layout if text == "null" else _with_options(layout, {"disaggregation": text})


def _with_options(layout: Layout, options: Mapping[str, str]) -> Layout:
    others = (pair for pair in layout.options if pair[0] not in options)
    return replace(layout, options=(*others, *options.items()))
