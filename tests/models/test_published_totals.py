"""Entries whose config is known from second hand: counts and bytes as their publishers say them."""

from __future__ import annotations

import pytest

from wellfed.resolution import Resolved, resolve

# billions of parameters in the language model and in all, active billions, gigabytes of the files; None: not told
PUBLISHED = {
    "deepseek-ai/DeepSeek-V4.1-Flash": (552 + 196.6, 762.8, 16, 510.5),
    "tencent/Hy3": (295.034, None, None, None),
    "LGAI-EXAONE/K-EXAONE-2.0-750B-A37B": (750, None, 37, None),
    "Qwen/Qwen3.8-Flash-Next": (None, 179.999981, None, 359.999963),
    "XiaomiMiMo/MiMo-V2.6-Pro-RL": (None, 1024.2166, 42, 573.5),
}
_TOTAL, _ACTIVE, _BYTES = 0.003, 0.03, 0.01


@pytest.mark.parametrize("name", PUBLISHED)
def test_counts_and_bytes_are_the_publishers(name: str) -> None:
    (answer,) = resolve([name])
    assert isinstance(answer, Resolved)
    values = (answer.parameters, answer.total_parameters, answer.active_parameters, answer.weight_bytes)
    for value, published, slack in zip(values, PUBLISHED[name], (_TOTAL, _TOTAL, _ACTIVE, _BYTES), strict=True):
        if published is not None:
            assert value is not None and value / 1e9 == pytest.approx(published, rel=slack)


@pytest.mark.parametrize("name", ["AngelSlim/Hy4-preview-GGUF", "unsloth/Qwen3.8-Flash-Next-GGUF"])
def test_a_gguf_repository_without_a_format_has_no_size(name: str) -> None:
    (answer,) = resolve([name])
    assert isinstance(answer, Resolved)
    assert (answer.format, answer.weight_bytes, answer.weight_bytes_range) == ("gguf", None, None)
