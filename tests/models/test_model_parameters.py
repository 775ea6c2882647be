"""Parameters computed from the architecture are the published ones."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from samples import holds_for_all, shares
from wellfed.catalog.model_tables import model_ids
from wellfed.catalog.models import Task, by_id, entry
from wellfed.models.model import Model, tensors


@pytest.mark.parametrize("identities", shares(model_ids(), 5))
def test_parameters_of_the_language_model(identities: list[str]) -> None:
    """Without towers and multi-token prediction: what is published of these is `total_parameters`."""
    published = [model for model in map(by_id, identities) if model.published_parameters]
    assert len(published) >= 0.8 * len(identities)
    holds_for_all(_language_model_is_published, published)


def _language_model_is_published(model: Model) -> None:
    assert model.parameters == pytest.approx(model.published_parameters, rel=0.005)


def test_parameters_of_the_whole_repository() -> None:
    holds_for_all(_repository_is_published, (name for name in model_ids() if entry(name).total_parameters))


def _repository_is_published(identity: str) -> None:
    built = sum(tensor.elements for tensor in tensors(by_id(identity)))
    assert built == pytest.approx(entry(identity).total_parameters, rel=0.01)


def test_active_parameters() -> None:
    """Publishers count the input embedding or leave it out, and round or cut at the last digit they state."""
    holds_for_all(
        _active_is_published, (model for model in map(by_id, model_ids()) if model.published_active_parameters)
    )


def _active_is_published(model: Model) -> None:
    published = model.published_active_parameters
    assert published is not None
    embedding = 0 if model.tied_embeddings else model.vocabulary * model.hidden
    last_digit = 1e9 / 10 ** len(f"{published / 1e9:g}".partition(".")[2])
    tolerance = max(0.005 * published, last_digit)
    counts = (model.active_parameters, model.active_parameters + embedding)
    assert min(abs(count - published) for count in counts) <= tolerance


def test_deepseek_v3_with_its_mtp_layer_is_what_the_checkpoint_holds() -> None:
    """684.5 billion in the index: 671 and an MTP layer that brings copies of embedding and head."""
    model = by_id("deepseek-v3")
    assert model.total_parameters == pytest.approx(684.53e9, rel=0.001)
    assert model.parameters == pytest.approx(671.03e9, rel=0.001)


@pytest.mark.parametrize("identities", shares(model_ids(), 4))
def test_every_model_is_whole(identities: Sequence[str]) -> None:
    holds_for_all(_is_whole, identities)


def _is_whole(identity: str) -> None:
    model = by_id(identity)
    assert model.id == identity
    assert model.sources and model.sources[0].text and model.sources[0].date
    assert 0 < model.active_parameters <= model.parameters
    reads_only = entry(identity).task in (Task.EMBEDDING, Task.RERANKER)
    assert model.context_limit >= (512 if reads_only else 2048)
    assert all(tensor.elements > 0 for tensor in tensors(model))
    assert model.is_moe == (model.active_parameters < 0.9 * model.parameters) or not model.is_moe


_DEEPSEEK = [
    "deepseek-llm-7b",
    "deepseek-llm-67b",
    "deepseek-coder-1.3b",
    "deepseek-coder-6.7b",
    "deepseek-coder-33b",
    "deepseek-coder-7b-v1.5",
    "deepseek-moe-16b",
    "deepseek-math-7b",
    "deepseek-v2",
    "deepseek-v2-lite",
    "deepseek-coder-v2",
    "deepseek-coder-v2-lite",
    "deepseek-v2.5",
    "deepseek-v3",
    "deepseek-v3-0324",
    "deepseek-v3.1",
    "deepseek-v3.1-terminus",
    "deepseek-v3.2-exp",
    "deepseek-v3.2",
    "deepseek-r1",
    "deepseek-r1-0528",
    "deepseek-r1-zero",
    "deepseek-r1-0528-qwen3-8b",
    "deepseek-r1-distill-qwen-1.5b",
    "deepseek-r1-distill-qwen-7b",
    "deepseek-r1-distill-qwen-14b",
    "deepseek-r1-distill-qwen-32b",
    "deepseek-r1-distill-llama-8b",
    "deepseek-r1-distill-llama-70b",
    "deepseek-v4-flash",
    "deepseek-v4-pro",
]


def test_every_open_release_of_deepseek_is_there() -> None:
    assert set(_DEEPSEEK) <= set(model_ids())
