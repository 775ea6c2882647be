"""The repositories that a local plan is fetched from: what public lists name, and a rule only where they name none."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from wellfed.catalog.model_tables import gguf_file
from wellfed.catalog.published import gguf_repositories
from wellfed.cli.main import cli


@pytest.mark.parametrize(
    ("model", "repository"),
    [
        ("mistral-7b", "bartowski/Mistral-7B-Instruct-v0.3-GGUF"),
        ("codestral-22b", "bartowski/Codestral-22B-v0.1-GGUF"),
        ("gemma-2-9b", "bartowski/gemma-2-9b-it-GGUF"),
    ],
)
def test_a_model_of_before_2025_is_fetched_from_where_it_is_listed(model: str, repository: str) -> None:
    found = gguf_file(model, "q4_k_m")
    assert found is not None and found[0] == repository
    assert found[1].endswith("Q4_K_M.gguf")


def test_types_that_a_maker_does_not_make_are_named_by_rule() -> None:
    assert gguf_file("codestral-22b", "ud-q4_k_xl") is None  # Unsloth's, of which no list knows that model
    assert gguf_file("codestral-22b", "iq4_ks") is None  # ik_llama.cpp's
    assert gguf_repositories("mistralai/Codestral-22B-v0.1")[0].startswith("unsloth/")


def test_a_plan_says_which_names_are_by_rule() -> None:
    runner = CliRunner()
    listed = runner.invoke(cli, ["plan", "codestral-22b", "--on", "rtx 4090", "-e", "llama.cpp", "-q", "q4_k_m"]).stdout
    ruled = runner.invoke(cli, ["plan", "llama-2-7b", "--on", "rtx 4090", "-e", "llama.cpp", "-q", "iq4_xs"]).stdout
    assert "bartowski/Codestral-22B-v0.1-GGUF" in listed and "named by rule" not in listed
    assert "named by rule" in ruled
