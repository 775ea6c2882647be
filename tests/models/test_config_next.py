"""Hy4 and Qwen4-Exp, counted a second time from the shapes of their published tensors."""

from __future__ import annotations

import pytest

from wellfed.catalog import models
from wellfed.models.config import from_config
from wellfed.resolution import Resolved, resolve

HY4_LAYERS, STREAMS = 78, 4


def hy4(layers: int = HY4_LAYERS, experts: int = 256, *, mtp: bool = False) -> int:
    """By the module classes of transformers' hy_v4, one line a module."""
    hidden, heads, rank = 6144, 64, 2048
    attention = (
        hidden * rank + rank + rank * heads * 256  # q, with its norm
        + hidden * 576 + 512 + 512 * heads * (192 + 256)  # latent
        + 2 * heads * 256 * hidden + heads  # output, gate, sinks
    )  # fmt: skip
    indexer = rank * 32 * 128 + hidden * 128 + 2 * 128 + hidden * 32
    mixers = 2 * (2 * STREAMS * STREAMS * hidden + 2 * STREAMS + 2)
    sparse = hidden * experts + experts + (experts + 1) * 3 * hidden * 2048
    full = sum(1 for index in range(layers) if index == 0 or (index - 1) % 4 == 0)
    total = layers * (attention + mixers + 2 * hidden) + full * indexer + (layers - 1) * sparse + 3 * hidden * 18432
    total += 2 * 120832 * hidden + hidden + STREAMS * STREAMS * hidden + STREAMS + 1
    return total + (attention + indexer + sparse + 2 * hidden + 2 * hidden * hidden + 3 * hidden if mtp else 0)


def of(name: str) -> Resolved:
    answer = resolve([name])[0]
    assert isinstance(answer, Resolved)
    return answer


def test_hy4_is_what_its_card_says() -> None:
    found = models.by_id("hy4-preview")
    assert found.parameters == pytest.approx(hy4(), rel=1e-6)
    assert found.parameters == pytest.approx(770e9, rel=5e-4)
    answer = of("tencent/Hy4-preview")
    assert answer.total_parameters == pytest.approx(780e9, rel=5e-4)
    assert answer.total_parameters == pytest.approx(hy4(mtp=True), rel=1e-5)
    assert answer.active_parameters == pytest.approx(49e9, rel=0.02)


def flash_next() -> int:
    """By the module classes of transformers' qwen4_exp, without tower and prediction layer."""
    hidden, wide, layers = 2560, 4 * 2560, 48
    linear = hidden * (2 * 2048 + 2 * 6144 + 2 * 48) + (2 * 2048 + 6144) * 4 + 6144 * hidden + 2 * 48 + 128
    full = hidden * (2 * 24 * 256 + 2 * 2 * 256) + 24 * 256 * hidden + 2 * 256 + hidden * 5 * 128 + 2 * 128
    experts = 512 * hidden + 513 * 3 * hidden * 640 + hidden
    mixer = wide + 2 * wide * 320
    table = 160 * sum((  # the primes that the published hash buffers give
        20_000_003, 20_000_023, 20_000_033, 20_000_047, 20_000_059, 20_000_063, 20_000_069, 20_000_077,
        20_000_081, 20_000_093, 20_000_107, 20_000_147, 20_000_153, 20_000_159, 20_000_161, 20_000_171,
    ))  # fmt: skip
    lookup = table + 2560 * (wide + hidden) + 3 * wide + 4 * wide
    blocks = 36 * linear + 12 * full + layers * (experts + 2 * (mixer + 4 * wide))
    return blocks + mixer + lookup + 2 * 248320 * hidden


def test_qwen4_exp_is_what_its_files_weigh() -> None:
    """With its tower (0.45 B) and prediction layer, the 359,999,963,128 bytes of the published BF16 files."""
    assert models.by_id("qwen3.8-flash-next").parameters == pytest.approx(flash_next(), rel=1e-4)
    answer = of("Qwen/Qwen3.8-Flash-Next")
    assert answer.total_parameters == pytest.approx(180e9, rel=1e-4)
    model = models.by_id("qwen3.8-flash-next")
    ahead = sum(one.elements for layer in model.mtp_layers for one in layer.tensors(2560))
    assert model.parameters + ahead + 0.45e9 == pytest.approx(180e9, rel=5e-4)
    assert answer.active_parameters == pytest.approx(6.3e9, rel=0.1)


@pytest.mark.parametrize("kind", ["qwen4_exp", "qwen3_8_flash_next"])
def test_both_names_of_the_architecture(kind: str) -> None:
    text = {
        "model_type": f"{kind}_text", "vocab_size": 4096, "hidden_size": 256, "num_hidden_layers": 8,
        "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 64, "linear_num_key_heads": 2,
        "linear_num_value_heads": 4, "linear_key_head_dim": 32, "linear_value_head_dim": 32, "num_experts": 8,
        "num_experts_per_tok": 2, "moe_intermediate_size": 64, "shared_expert_intermediate_size": 64,
        "layer_types": (["linear_attention"] * 3 + ["deepseek_sparse_attention"]) * 2, "max_position_embeddings": 4096,
    }  # fmt: skip
    without = from_config({"model_type": kind, "text_config": text}, "small").parameters
    tables = {"ple_layer_ids": [2], "ngram_vocab_size_base": 1000}
    with_tables = from_config({"model_type": kind, "text_config": {**text, **tables}}, "small").parameters
    assert with_tables - without == 16 * 1000 * 16 + 256 * 5 * 256 + 7 * 4 * 256
