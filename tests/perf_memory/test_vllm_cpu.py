"""vLLM on CPUs: the tokens it said its cache holds, and what must hold of its ledger."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.perf_memory.parts import DEEPSEEK_R1, GEMMA_LIKE, LLAMA_8B

from wellfed.hardware.machine import Machine, NumaNode, Origin, Socket
from wellfed.models.attention import FullAttention, LatentAttention
from wellfed.models.ffn import DenseFfn, MoeFfn
from wellfed.models.model import Layer, Model
from wellfed.models.quantisation import weights
from wellfed.models.quantisation_names import quantisation
from wellfed.nouns.layout import CPU_ONLY, Engine, Layout
from wellfed.nouns.plan import Request
from wellfed.nouns.workload import Workload
from wellfed.perf.memory import memory, pool_tokens, rank_pool_bytes
from wellfed.units import GIB

TINY = Model("t", "T", "llama", 256, 1024, 4096, (Layer(FullAttention(8, 2, 64), DenseFfn(512)),) * 4)
LATENT = LatentAttention(4, 512, 128, 64, 128)
TINY_LATENT = Model(
    "m", "M", "deepseek", 256, 1024, 4096, (Layer(LATENT, DenseFfn(512)), *(Layer(LATENT, MoeFfn(8, 2, 128, 1)),) * 2)
)


def machine(nodes: int = 1, isa: str = "avx512f") -> Machine:
    """So many sockets with a node of 64 GiB each."""
    sockets = tuple(Socket(i, cores=16, memory_bytes=64 * GIB, isa=frozenset({isa})) for i in range(nodes))
    numa = tuple(NumaNode(i, i, tuple(range(16 * i, 16 * i + 16)), 64 * GIB) for i in range(nodes))
    return Machine("m", Origin.PARTS, sockets=sockets, numa_nodes=numa, memory_bytes=nodes * 64 * GIB)


def asked(model: Model, ranks: int = 1, context: int = 2000, users: int = 3, on: Machine | None = None) -> Request:
    """A request of vLLM on CPUs."""
    layout = Layout(Engine.VLLM, "bf16", gpus=0, offload=CPU_ONLY, tensor_parallel=ranks, max_sequences=max(8, users))
    load = Workload(concurrency=users, prompt_tokens=100, output_tokens=100, context_tokens=context)
    return Request(on or machine(), model, weights(model, quantisation("bf16")), layout, load)


@pytest.mark.parametrize(
    ("model", "ranks", "context", "pool", "said"),
    [  # vLLM 0.32.0 for CPUs, its own words at the start
        (TINY, 2, 2048, 256 * 1024**2, 262_144),
        (TINY, 1, 2000, 12_845_056, 6_125),
    ],
)
def test_tokens_are_what_vllm_said(model: Model, ranks: int, context: int, pool: int, said: int) -> None:
    assert pool_tokens(asked(model, ranks, context), pool) == said


@given(st.sampled_from([TINY, TINY_LATENT, LLAMA_8B, DEEPSEEK_R1]), st.integers(1, 4000), st.integers(1, 64))
def test_the_cache_holds_every_sequence_and_hardly_more(model: Model, context: int, users: int) -> None:
    tokens = pool_tokens(asked(model, 1, context, users))
    assert tokens is not None
    assert users * context <= tokens <= (users + 1) * context + 1


def test_ranks_share_heads_and_repeat_latents() -> None:
    assert rank_pool_bytes(asked(TINY, 2)) * 2 == rank_pool_bytes(asked(TINY, 1))
    assert rank_pool_bytes(asked(TINY_LATENT, 2)) == rank_pool_bytes(asked(TINY_LATENT, 1))


def test_latent_blocks_are_wider_with_amx() -> None:
    narrow, wide = (rank_pool_bytes(asked(TINY_LATENT, on=machine(isa=isa))) for isa in ("avx512f", "amx_int8"))
    per_token = 3 * (512 + 64) * 2
    assert narrow == (3 * 125 + 1) * 16 * per_token
    assert wide == (3 * 16 + 1) * 128 * per_token


def test_tokens_of_mixed_layers_are_not_told() -> None:
    assert pool_tokens(asked(GEMMA_LIKE)) is None


def test_the_ledger_has_what_the_command_asks_for() -> None:
    request = asked(LLAMA_8B, ranks=2, on=machine(2))
    (ram,) = memory(request).devices
    terms = {term.name: term.bytes for term in ram.terms}
    assert terms["kv"] == 2 * rank_pool_bytes(request)
    assert terms["weights"] == pytest.approx(request.weights.total, rel=1e-3)


def test_one_rank_has_one_nodes_memory() -> None:
    alone, both = (memory(asked(LLAMA_8B, ranks, on=machine(2))).devices[0] for ranks in (1, 2))
    assert alone.capacity_bytes == pytest.approx(64 * GIB) and both.capacity_bytes == pytest.approx(128 * GIB)


@given(st.integers(1, 200))
def test_sequences_that_fit_do_fit(users: int) -> None:
    request = asked(LLAMA_8B, context=4096, users=users, on=machine())
    found = memory(request)
    assert found.max_sequences is not None
    most = max(1, found.max_sequences)
    fitting = replace(
        request,
        workload=replace(request.workload, concurrency=most),
        layout=replace(request.layout, max_sequences=most),
    )
    assert memory(fitting).fits or found.max_sequences == 0
