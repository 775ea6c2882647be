"""Quality figures are data: of entries that exist, on the use's one benchmark, each with source and date."""

from __future__ import annotations

import json

from click.testing import CliRunner

from wellfed.catalog.models import entry_ids
from wellfed.catalog.quality import benchmark_of, quality, scored_models
from wellfed.cli.main import cli


def test_every_figure_is_whole() -> None:
    scored = scored_models("agent")
    assert scored and set(scored) <= set(entry_ids())
    for model in scored:
        figure = quality(model, "agent")
        assert figure is not None and figure.benchmark == benchmark_of("agent")
        assert 0 < figure.value < 100 and "/blob/" in figure.source and figure.date


def test_a_use_without_a_benchmark_has_no_figures() -> None:
    assert benchmark_of("chat") is None and quality(scored_models("agent")[0], "chat") is None


def test_fit_ranks_by_it() -> None:
    done = CliRunner().invoke(cli, ["fit", "--on", "8x h200 sxm, 2x xeon 8480+", "--for", "agent", "--json"])
    first = json.loads(done.output)["models"][0]
    assert first["quality"]["benchmark"] == "SWE-bench Verified"
