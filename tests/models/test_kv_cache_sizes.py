"""What a token of context costs, against published and logged sizes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wellfed.catalog.model_tables import model_ids
from wellfed.catalog.models import by_id

KIB = 1024


@pytest.mark.parametrize(
    ("identity", "bytes_per_token"),
    [
        ("llama-2-7b", 512 * KIB),  # llama.cpp logs 256 MiB at 512 tokens
        ("llama-3-8b", 128 * KIB),
        ("llama-3-70b", 320 * KIB),
        ("llama-3.1-405b", 504 * KIB),
        ("qwen2.5-32b", 256 * KIB),
        ("qwen3-235b-a22b", 188 * KIB),
        ("deepseek-llm-67b", 95 * 2 * 8 * 128 * 2),
        ("deepseek-v2-lite", 27 * (512 + 64) * 2),
        ("deepseek-v3", 61 * (512 + 64) * 2),  # arXiv 2412.19437; 61x576 in llama.cpp's logs
        ("deepseek-v3.2", 61 * (512 + 64 + 128) * 2),
        ("kimi-k2", 61 * 576 * 2),
        ("glm-5", 78 * (512 + 64 + 128) * 2),
    ],
)
def test_bytes_per_token_in_16_bits(identity: str, bytes_per_token: int) -> None:
    assert 2 * by_id(identity).cache_elements(4096) == 4096 * bytes_per_token


def test_sliding_layers_stop_growing_at_their_window() -> None:
    """Gemma 3 27B: 52 of 62 layers see 1024 tokens."""
    model = by_id("gemma-3-27b")
    per_layer = 2 * 16 * 128
    assert model.cache_elements(32768) == per_layer * (52 * 1024 + 10 * 32768)


def test_gpt_oss_alternates() -> None:
    model = by_id("gpt-oss-120b")
    assert model.cache_elements(8192) == 2 * 8 * 64 * 18 * (128 + 8192)


def test_compressed_attention_by_its_ratios() -> None:
    """V4-Flash: 2 layers of window alone, 21 of ratio 4 with index keys, 20 of ratio 128."""
    model = by_id("deepseek-v4-flash")
    context = 65536
    window = 43 * 512 * 128
    sparse = 21 * (512 + 128) * (context // 4)
    dense = 20 * 512 * (context // 128)
    assert model.cache_elements(context) == window + sparse + dense
    assert model.cache_elements(context) * 12 < by_id("deepseek-v3").cache_elements(context) * 6


def test_linear_layers_have_a_state_of_fixed_size() -> None:
    model = by_id("qwen3-next-80b-a3b")
    grown = model.cache_elements(20_000) - model.cache_elements(10_000)
    assert grown == 10_000 * 12 * 2 * 2 * 256  # only the 12 full layers grow


@given(identity=st.sampled_from(model_ids()), context=st.integers(1, 100_000), more=st.integers(1, 100_000))
def test_more_context_never_needs_less(identity: str, context: int, more: int) -> None:
    model = by_id(identity)
    assert model.cache_elements(context) <= model.cache_elements(context + more)
    for layer in set(model.layers):
        attention = layer.attention
        held = replace(attention, shares_cache=False) if getattr(attention, "shares_cache", False) else attention
        held = replace(held, source=True) if getattr(held, "source", True) is False else held
        assert 0 <= attention.cache_read_elements(context) <= held.cache_elements(context)  # it may be another layer's
        queries = min(context, 64)
        assert 0 <= attention.score_flops(queries, context) <= attention.score_flops(queries, context + more) * 1.0001
        assert 1 <= attention.cache_shards(8) <= 8
