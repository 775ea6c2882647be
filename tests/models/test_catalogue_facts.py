"""Every entry of the bundled catalogue is a fact with its source, told once, written one way."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from datetime import date
from pathlib import Path
from types import ModuleType

import pytest

from samples import holds_for_all
from wellfed.catalog.model_names import model
from wellfed.catalog.model_tables import entry_ids, quantised_repository, tags
from wellfed.catalog.models import Task, entry, repackaging, repackagings

_ROOT = Path(__file__).resolve().parents[2]
_DATA = _ROOT / "src" / "wellfed" / "catalog" / "data" / "models"


def _workshop() -> ModuleType:
    spec = importlib.util.spec_from_file_location("model_catalogue", _ROOT / "workshop" / "model_catalogue.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", sorted(_DATA.glob("*.toml")), ids=lambda path: path.stem)
def test_files_are_as_the_script_writes_them(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text == _workshop().normalised(text)


def test_every_entry_has_a_source_a_date_and_a_size() -> None:
    holds_for_all(_has_source_date_and_size, entry_ids())


def _has_source_date_and_size(identity: str) -> None:
    facts = entry(identity)
    assert len(facts.source.text) > 10
    assert date(2026, 1, 1) <= date.fromisoformat(facts.source.date) <= date.today()
    if facts.task is Task.NOT_A_LANGUAGE_MODEL:
        assert facts.kind_of
    elif not facts.has_config:
        assert facts.parameters or facts.total_parameters
    if facts.parameters and facts.total_parameters:
        assert facts.parameters <= 1.001 * facts.total_parameters
    if facts.parameters and facts.active_parameters:
        assert facts.active_parameters <= facts.parameters


def test_no_tag_belongs_to_two_models() -> None:
    listed = [tag.lower() for identity in entry_ids() for tag in entry(identity).tags]
    assert len(listed) == len(set(listed))
    assert all(re.fullmatch(r"[a-z0-9._-]+:[a-z0-9._-]+", tag) for tag in listed)


def test_a_tag_means_what_ollama_means_by_it() -> None:
    """`qwen3:4b` is the Thinking-2507, not the Qwen3-4B of the hub; `deepseek-r1:8b` is R1-0528-Qwen3-8B."""
    assert model("qwen3:4b").id == "qwen3-4b-thinking-2507"
    assert model("Qwen3-4B").id == "qwen3-4b"
    assert model("deepseek-r1:8b").id == "deepseek-r1-0528-qwen3-8b"
    assert tags()["deepseek-r1:671b"] == "deepseek-r1-0528"


def test_no_repackaging_belongs_to_two_models() -> None:
    listed = [row.repository.lower() for identity in entry_ids() for row in repackagings(identity)]
    assert len(listed) == len(set(listed))
    for repository in listed:
        row = repackaging(repository)
        assert row is not None
        assert row.bytes is None or row.bytes > 1e7


def test_quantised_repositories_are_of_entries_in_a_served_format() -> None:
    """Each with a permalink; a repository is named once a model and format, and never is the model's own."""
    tables = tomllib.loads((_DATA / "quantised.toml").read_text(encoding="utf-8"))
    pairs = [(row["of"], row["format"]) for row in tables.values()]
    assert len(set(pairs)) == len(pairs) > 200
    for repository, row in tables.items():
        assert row["of"] in entry_ids() and row["format"] in {"int4", "int8", "int8-ascend", "fp8", "nvfp4"}
        assert repository != entry(row["of"]).repository and "/blob/" in row["source"]
        assert quantised_repository(row["of"], row["format"]) == repository
