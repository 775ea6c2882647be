"""Names of models that their makers alone serve are told as such, and nothing open is taken for one."""

from __future__ import annotations

import pytest

from wellfed.catalog.model_names import resolve
from wellfed.catalog.model_tables import model_ids
from wellfed.catalog.neighbours import closed
from wellfed.catalog.tables import table
from wellfed.errors import UnknownName


@pytest.mark.parametrize(
    "name",
    ["gpt-5", "GPT-4o", "openai/gpt-4.1-mini", "o3-mini", "claude", "Claude Opus 4.5", "gemini-3-pro", "grok-4-fast",
     "qwen3-max", "豆包"],
)  # fmt: skip
def test_it_is_said_that_no_weights_are_published(name: str) -> None:
    with pytest.raises(UnknownName) as refused:
        resolve(name)
    assert "no published weights of it are known" in str(refused.value.hint)


def test_no_model_of_the_catalogue_is_closed_and_what_is_offered_is_open() -> None:
    assert not [identity for identity in model_ids() if closed(identity) is not None]
    offered = {identity for makers in table("closed.toml").values() for identity in makers["open"]}
    assert offered <= set(model_ids())
