"""Quality figures are data: of entries that exist, on the use's one benchmark, each with source and date."""

from __future__ import annotations

import json
import re

import pytest
from click.testing import CliRunner

from samples import few
from wellfed.catalog.model_tables import entry_ids
from wellfed.catalog.quality import benchmark_of, quality, quantisation_loss, scored_models
from wellfed.cli.main import cli
from wellfed.errors import BadInput
from wellfed.verbs import fitting

MACHINE = "2x rtx 4090, ryzen 9 7950x, 128gb"
USES = ("chat", "code", "agent", "rag", "long")


@pytest.mark.parametrize("use", USES)
def test_every_figure_is_whole(use: str) -> None:
    scored = scored_models(use)
    assert scored and set(scored) <= set(entry_ids())
    highest = 1700 if "LMArena" in (benchmark_of(use) or "") else 100
    for model in scored:
        figure = quality(model, use)
        assert figure is not None and figure.benchmark == benchmark_of(use)
        assert 0 < figure.value < highest and "." in figure.source
        assert re.fullmatch(r"\d{4}-\d\d-\d\d", figure.date)


@pytest.mark.parametrize(("use", "least"), [("chat", 120), ("code", 120), ("rag", 100), ("long", 100)])
def test_the_boards_cover_the_catalogue(use: str, least: int) -> None:
    assert len(scored_models(use)) >= least


def test_coarser_weights_lose_more() -> None:
    order = ["bf16", "q8_0", "q6_k", "q5_k_m", "q4_k_m", "q4_k_s", "iq3_m", "q3_k_s", "q2_k"]
    losses = [quantisation_loss(kind) or 0.0 for kind in order]
    assert losses == sorted(losses) and losses[0] == 0.0 and losses[4] < 0.03


def test_the_loss_is_subtracted() -> None:
    done = CliRunner().invoke(cli, ["fit", "--on", "rtx 3060 12gb, ryzen 5 5600, 32gb", "--json"])
    for row in json.loads(done.output)["models"]:
        loss = quantisation_loss(row["plan"]["layout"]["quantisation"]) or 0.0
        assert row["quality"] is not None and row["score"] == pytest.approx(row["quality"]["value"] * (1 - loss))


@pytest.mark.parametrize("use", few(USES, 3))
def test_scored_models_stand_above_the_others(use: str) -> None:
    done = CliRunner().invoke(cli, ["fit", "--on", "rtx 3060 12gb, ryzen 5 5600, 32gb", "--for", use, "--json"])
    scores = [row["score"] for row in json.loads(done.output)["models"] if row["quick"]]
    known = [score for score in scores if score is not None]
    assert known == sorted(known, reverse=True) and scores[: len(known)] == known


def test_fit_ranks_by_it() -> None:
    done = CliRunner().invoke(cli, ["fit", "--on", "8x h200 sxm, 2x xeon 8480+", "--for", "agent", "--json"])
    first = json.loads(done.output)["models"][0]
    assert first["quality"]["benchmark"] == "SWE-bench Verified"


def test_another_benchmark_may_be_named() -> None:
    """RULER has fewer models, each with its source and date; a use that has no such scores says which it has."""
    usual, named = fitting.fit(MACHINE, "rag", 3), fitting.fit(MACHINE, "rag", 3, benchmark="ruler")
    figures = [row.quality for row in named.rows if row.quality]
    assert figures and {figure.benchmark for figure in figures} == {"RULER"}
    assert all("NVIDIA/RULER" in figure.source and figure.date for figure in figures)
    assert {row.quality.benchmark for row in usual.rows if row.quality} == {"AA-LCR"}
    with pytest.raises(BadInput, match="no scores of"):
        fitting.fit(MACHINE, "chat", 3, benchmark="RULER")
