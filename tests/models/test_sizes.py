"""The sizes that are compiled for comparisons are those of the models built."""

from __future__ import annotations

from pathlib import Path

import pytest

from samples import few
from wellfed.catalog.model_tables import model_ids
from wellfed.catalog.models import by_id
from wellfed.catalog.sizes import sizes, sizes_of, write_compiled

_NAMES = ("qwen3-0.6b", "deepseek-v3", "gemma-3n-e4b", "gpt-oss-20b", "llama-3.1-8b", "jamba-v0.1")


@pytest.mark.parametrize("identity", (*_NAMES, *few(model_ids()[::5], 1000)))
def test_compiled_sizes_are_those_of_the_model(identity: str) -> None:
    model = by_id(identity)
    counts = sizes(identity)
    assert counts == sizes_of(model)
    assert counts.parameters == model.parameters and counts.multiplied <= counts.held <= counts.parameters


def test_a_dense_model_multiplies_with_all_its_layers() -> None:
    llama = sizes_of(by_id("llama-3.1-8b"))
    assert llama.held == llama.multiplied and llama.expert_share == 1
    assert llama.parameters == pytest.approx(llama.held + 2 * llama.head, rel=1e-4)


def test_a_token_takes_eight_of_256_experts() -> None:
    deepseek = sizes_of(by_id("deepseek-v3"))
    assert deepseek.expert_share == 8 / 256 and 36e9 < deepseek.multiplied + deepseek.head < 38e9


def test_unknown_models_have_no_sizes() -> None:
    assert sizes("no-such-model") is None


@pytest.mark.slow
def test_they_are_shipped_beside_the_models(tmp_path: Path) -> None:
    assert write_compiled(tmp_path).name.startswith("sizes-")
