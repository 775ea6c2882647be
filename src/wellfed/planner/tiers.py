"""Where a prompt's cache may wait for whoever comes back: the GPUs' pool, RAM, disk; and when a hit beats computing.

    copy in   = first byte + tokens x bytes / (slowest link x what of it is achieved), all ranks at the same time
    computing = tokens / prefill rate of the plan
    break-even: the tokens from which the copy is quicker

What RAM holds: what the plan leaves of it (llama.cpp: at most its own `--cache-ram`); disks are told where the machine
tells their free space. Left out: what an engine's connector adds, and misses.
"""

from __future__ import annotations

from collections.abc import Iterator

from wellfed.frozen import dataclass
from wellfed.message import Amount, Message, message
from wellfed.nouns.estimate import Source
from wellfed.nouns.layout import Engine
from wellfed.nouns.plan import Plan, Request
from wellfed.perf.load import SOURCE_BYTES_PER_S
from wellfed.perf.memory import cache_tokens, kv_bytes_per_sequence, rank_cache_bytes
from wellfed.perf.memory.chosen import narrowed
from wellfed.perf.memory.shards import stages
from wellfed.perf.serving.links import pcie_bytes_per_s

_FIRST_BYTE_S = {"ram": 0.002, "disk": 0.02}  # hand-over and look-up (assumed)
_FLAGS = {
    (Engine.VLLM, "ram"): "--kv-offloading-size {gib}",
    (Engine.SGLANG, "ram"): "--enable-hierarchical-cache --hicache-size {gib}",
    (Engine.LLAMA_CPP, "ram"): "--cache-ram {mib}",
    (Engine.SGLANG, "disk"): "--enable-hierarchical-cache --hicache-storage-backend file",
    (Engine.LLAMA_CPP, "disk"): "--slot-save-path DIR",
    (Engine.VLLM, "disk"): '--kv-transfer-config \'{{"kv_connector":"LMCacheConnectorV1","kv_role":"kv_both"}}\'',
}
_RAM_SHARE = 0.5  # of what a plan leaves of RAM: the rest stays for the page cache and others (assumed)


@dataclass(frozen=True, slots=True)
class Tier:
    """One place. `holds_tokens` None: not known. `hit_s` and `computed_s` are of `tokens`; `break_even_tokens` None:
    computing is always quicker here. `flag`: how the engine is told; empty where it cannot be.
    """

    place: str
    holds_tokens: float | None
    tokens: int
    hit_s: float
    computed_s: float
    break_even_tokens: float | None
    flag: str = ""


def tiers(plan: Plan) -> tuple[Tier, ...]:
    """GPU, RAM and disk for a prompt of the plan's workload; empty without GPUs or a cache."""
    request = narrowed(Request(plan.machine, plan.model, plan.weights, plan.layout, plan.workload))
    if not plan.layout.gpus:
        return ()
    if any(gpu.spec is not None and gpu.spec.unified_memory for gpu in request.machine.gpus):
        return ()  # one pool: nothing is copied
    tokens = plan.workload.shared_prefix_tokens or plan.workload.depth_tokens + plan.workload.prompt_tokens
    size = kv_bytes_per_sequence(plan.model, plan.layout, tokens) / max(1, tokens)
    return tuple(_tiers(plan, request, tokens, size)) if size else ()


def _tiers(plan: Plan, request: Request, tokens: int, size: float) -> Iterator[Tier]:
    rate = plan.estimate.prefill_tok_s.value / max(1, plan.layout.data_parallel)
    computed = tokens / rate
    pool = None if plan.layout.engine.is_local else cache_tokens(request)
    yield Tier("gpu", pool, tokens, 0.0, computed, 0.0)
    link, copied = pcie_bytes_per_s(request.machine), _copied_bytes(plan, tokens) / tokens
    for place, size_bytes, bandwidth in (
        ("ram", _ram_bytes(plan), link),
        ("disk", _disk_bytes(plan), min(link, _disk_rate(plan) * copied / size)),
    ):
        first = _FIRST_BYTE_S[place]
        hit = first + tokens * copied / bandwidth
        even = _break_even(first, copied / bandwidth, 1 / rate)
        yield Tier(
            place,
            None if size_bytes is None else size_bytes / size,
            tokens,
            hit,
            computed,
            even,
            _flag(plan, place, size_bytes),
        )


def _copied_bytes(plan: Plan, tokens: int) -> float:
    """What one link carries for a prompt: of serving engines a rank's own cache, of local ones all of it in turn."""
    model, layout = plan.model, plan.layout
    if layout.engine.is_local:
        return kv_bytes_per_sequence(model, layout, tokens)
    spans = stages(len(model.layers), max(1, layout.pipeline_parallel), layout.split)
    return max(rank_cache_bytes(model, layout, tokens, span) for span in spans)


def _break_even(first_s: float, copied_s: float, computed_s: float) -> float | None:
    return None if copied_s >= computed_s else first_s / (computed_s - copied_s)


def _ram_bytes(plan: Plan) -> float | None:
    ram = next((device for device in plan.estimate.memory.devices if device.device == "ram"), None)
    if ram is None or ram.spare_bytes is None:
        return None
    offloaded = sum(term.bytes for term in ram.terms if term.name in ("kv offload", "prompt cache (at most)"))
    return offloaded or max(0.0, ram.spare_bytes) * _RAM_SHARE


def _disk_bytes(plan: Plan) -> float | None:
    free = [disk.free_bytes for disk in plan.machine.disks if disk.holds_models and disk.free_bytes is not None]
    return float(free[0]) if free else None


_DISKS = {"ssd": Source.SSD, "hdd": Source.HDD, "usb": Source.USB, "network": Source.NETWORK}


def _disk_rate(plan: Plan) -> float:
    """Of the disk that models lie on, else of an NVMe one."""
    kind = next((disk.kind for disk in plan.machine.disks if disk.holds_models), None)
    return SOURCE_BYTES_PER_S[_DISKS.get(kind or "", Source.NVME)]


def _flag(plan: Plan, place: str, size_bytes: float | None) -> str:
    text = _FLAGS.get((plan.layout.engine, place), "")
    if size_bytes is None and "{" in text.replace("{{", ""):
        return ""
    return text.format(gib=int((size_bytes or 0) / 2**30), mib=int((size_bytes or 0) / 2**20))


def tier_words(tier: Tier) -> Message:
    """What a place holds, and when it is quicker than computing."""
    holds, tokens = Amount(tier.holds_tokens, ""), Amount(tier.tokens, "")
    if tier.place == "gpu":
        text = "GPU: {holds} tokens of cache; computing {tokens} takes {computed}"
        return message("tiers.gpu", text, holds=holds, tokens=tokens, computed=Amount(tier.computed_s, "s"))
    place = message("tiers.ram", "RAM") if tier.place == "ram" else message("tiers.disk", "disk")
    hit, even = Amount(tier.hit_s, "s"), tier.break_even_tokens
    if even is None:
        text = "{place}: {holds} tokens; copying {tokens} in takes {hit}, longer than computing them"
        return message("tiers.slower", text, place=place, holds=holds, tokens=tokens, hit=hit)
    text = "{place}: {holds} tokens; copying {tokens} in takes {hit}, quicker than computing from {even} on"
    return message("tiers.quicker", text, place=place, holds=holds, tokens=tokens, hit=hit, even=Amount(even, ""))
