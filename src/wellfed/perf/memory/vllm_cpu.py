"""The memory of vLLM on CPUs: one rank per NUMA node, each with its shard of the weights and a cache of stated size.

    blocks = floor(cache bytes of a rank / (bytes per token and rank x block))
    tokens = blocks / ceil(context / block) x context

The start of vLLM says those tokens ("CPU KV cache size"). One block is a placeholder that no sequence gets. Source:
vLLM 0.32.0, platforms/cpu.py, v1/worker/cpu_worker.py, v1/core/kv_cache_utils.py. The processes' own memory was
measured there. Left out: models whose layers cache differently (sliding windows, linear attention) share one pool by
rules of their own, so their tokens are not told.
"""

from __future__ import annotations

from math import ceil

from wellfed.hardware.machine import Machine, NumaNode
from wellfed.message import sentence
from wellfed.models.attention import FullAttention, LatentAttention
from wellfed.models.model import Model
from wellfed.nouns.estimate import MemoryTerm
from wellfed.nouns.layout import Engine, Layout
from wellfed.nouns.plan import Request
from wellfed.perf.memory.compute import shapes
from wellfed.perf.memory.devices import ram_capacity_bytes, ram_free_bytes, system_terms
from wellfed.perf.memory.kv import cache_profile
from wellfed.perf.memory.shards import rank_cache_bytes, rank_weights
from wellfed.perf.memory.share import Growth, Named, Share
from wellfed.perf.memory.split import Span
from wellfed.units import MIB

_BLOCK, _LATENT_BLOCK = 128, 16  # tokens of a page, vLLM's defaults on CPUs: latents without AMX have a kernel for 16
# Proportional resident memory of the processes beside weights and cache: server and scheduler, and each rank with what
# it compiled. Measured with 0.32.0 and models of 3 and 790 MiB, one rank and two.
_SERVER_BYTES, _RANK_BYTES = 950 * MIB, 850 * MIB


def on_cpu(layout: Layout) -> bool:
    """Whether a layout is vLLM's on CPUs."""
    return layout.engine is Engine.VLLM and layout.gpus == 0


def block_tokens(model: Model, machine: Machine) -> int:
    """Tokens of a cache block."""
    latent = any(isinstance(kind, LatentAttention) for kind in cache_profile(model).kinds)
    tiles = any(flag.startswith("amx") for socket in machine.sockets for flag in _flags(machine, socket.index))
    return _LATENT_BLOCK if latent and not tiles else _BLOCK


def rank_pool_bytes(request: Request, sequences: int | None = None) -> int:
    """The cache to ask for on each rank: whole blocks for every sequence's context, and the placeholder."""
    count = sequences or planned_sequences(request)
    blocks = count * _blocks(request, request.workload.context) + 1
    return round(blocks * _block_bytes(request))


def planned_sequences(request: Request) -> int:
    """Sequences the cache has room for: all that run at once."""
    return max(1, min(request.layout.max_sequences, request.workload.concurrency))


def pool_tokens(request: Request, pool_bytes: int | None = None) -> int | None:
    """Tokens that vLLM will say its cache holds; None for models whose layers cache differently."""
    kinds = cache_profile(request.model).kinds
    if len(kinds) != 1 or not isinstance(kinds[0], FullAttention | LatentAttention) or _window(kinds[0]):
        return None
    pool = rank_pool_bytes(request) if pool_bytes is None else pool_bytes
    context = request.workload.context
    return int(pool // _block_bytes(request) / _blocks(request, context) * context)


def shares(request: Request) -> tuple[Share, ...]:
    """RAM alone: of as many NUMA nodes as there are ranks, since each rank binds its memory to one."""
    ranks = max(1, request.layout.tensor_parallel)
    weights = ranks * rank_weights(request.model, request.weights, request.layout, _span(request)).total
    capacity, free = _of_nodes(request.machine, ranks)
    fixed = [
        MemoryTerm(
            "ram",
            "weights",
            weights,
            sentence("vllm-cpu.ranks", "{ranks} ranks", ranks=ranks)
            if ranks > 1
            else sentence("vllm-cpu.one-rank", "one rank"),
        ),
        MemoryTerm(
            "ram",
            "activations",
            ranks * _activation_bytes(request),
            sentence("vllm-cpu.one-batch-through", "one batch through the widest layer"),
        ),
        MemoryTerm(
            "ram",
            "engine processes",
            _SERVER_BYTES + ranks * _RANK_BYTES,
            sentence("vllm-cpu.server-scheduler", "server, scheduler and ranks"),
        ),
    ]
    fixed += system_terms(free, capacity, sentence("vllm-cpu.operating-system", "operating system and page tables"))
    return (Share("ram", tuple(fixed), _growth(request, ranks), capacity, free),)


def _growth(request: Request, ranks: int) -> Growth:
    block, size = block_tokens(request.model, request.machine), _block_bytes(request)

    def growth(context: int, count: int) -> tuple[Named, ...]:
        pool = (count * ceil(context / block) + 1) * size
        return (
            (
                "kv",
                ranks * pool,
                sentence(
                    "vllm-cpu.x-tokens-blocks",
                    "{count} x {context} tokens in blocks of {block}, on each of {ranks} ranks",
                    count=count,
                    context=context,
                    block=block,
                    ranks=ranks,
                ),
            ),
        )

    return growth


def _block_bytes(request: Request) -> float:
    """Bytes of one block on one rank, all layers."""
    tokens = block_tokens(request.model, request.machine)
    return rank_cache_bytes(request.model, request.layout, tokens, _span(request))


def _blocks(request: Request, context: int) -> int:
    return ceil(context / block_tokens(request.model, request.machine))


def _span(request: Request) -> Span:
    return Span(0, len(request.model.layers), True)


def _window(kind: FullAttention | LatentAttention) -> bool:
    return isinstance(kind, FullAttention) and kind.window is not None


def _activation_bytes(request: Request) -> float:
    """One full batch through the widest feed-forward layer, and the logits of every sequence in FP32."""
    layout, shape = request.layout, shapes(request.model)
    ranks = max(1, layout.tensor_parallel)
    wide = max(3 * shape.dense / ranks, shape.active * (3 * shape.expert_width / ranks + shape.hidden))
    return layout.batch_tokens * 2 * (wide + 3 * shape.hidden) + layout.max_sequences * shape.vocabulary * 4


def memory_nodes(machine: Machine) -> tuple[NumaNode, ...]:
    """NUMA nodes with CPUs of their own."""
    return tuple(node for node in machine.numa_nodes if node.cpus and not node.gpu_memory)


def _of_nodes(machine: Machine, ranks: int) -> tuple[float | None, float | None]:
    """Capacity and free memory of the nodes that `ranks` ranks bind to."""
    capacity, free = ram_capacity_bytes(machine), ram_free_bytes(machine)
    nodes = max(1, len(memory_nodes(machine)) or len(machine.sockets))
    share = min(ranks, nodes) / nodes
    return (None if capacity is None else capacity * share), (None if free is None else free * share)


def _flags(machine: Machine, index: int) -> frozenset[str]:
    socket = next(socket for socket in machine.sockets if socket.index == index)
    return socket.isa | (socket.cpu.isa if socket.cpu else frozenset())
