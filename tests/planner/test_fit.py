"""Which models a machine serves well: each row is a plan that fits, ordered by quality among the quick ones."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from samples import few
from wellfed.catalog.model_tables import model_ids
from wellfed.catalog.quality import quality
from wellfed.catalog.sizes import sizes_of
from wellfed.cli.main import cli
from wellfed.errors import BadInput
from wellfed.models.quantisation_names import quantisation
from wellfed.perf.estimate import speeds
from wellfed.perf.memory import spare_bytes
from wellfed.planner.fit import USES, _family, lean_layouts
from wellfed.planner.goal import Goal
from wellfed.planner.reach import reach
from wellfed.planner.search import Search
from wellfed.planner.usable import usable
from wellfed.verbs import fitting, inputs, planning

MACHINES = (
    "rtx 3060 12gb, ryzen 5 5600, 2x16gb ddr4-3200",
    "2x a100 40gb, epyc 7543, 8x32gb ddr4-3200",
    "ryzen 9 7950x, 2x32gb ddr5-5600",
    "m4 max 128gb",
)


@pytest.mark.parametrize("on", few(MACHINES, 4))
@pytest.mark.parametrize("use", ["chat", "code"])
def test_every_row_fits_and_is_told_whole(on: str, use: str) -> None:
    done = CliRunner().invoke(cli, ["fit", "--on", on, "--for", use, "--json"])
    assert done.exit_code == 0, done.output
    answer = json.loads(done.output)
    assert answer["schema"] == "wellfed.fit/1" and 0 < len(answer["models"]) <= 10
    for row in answer["models"]:
        assert row["plan"]["fits"] is True and row["id"] in model_ids()
        assert row["decode_tok_s"]["low"] < row["decode_tok_s"]["value"] < row["decode_tok_s"]["high"]
        assert row["max_context"] >= USES[use].workload.prompt_tokens
        assert row["quality"] is None or set(row["quality"]) == {"value", "benchmark", "source", "date"}


@pytest.mark.parametrize("on", few(MACHINES[:2], 2))
def test_order(on: str) -> None:
    rows = fitting.fit(on, "chat", 30).rows
    told = [row for row in rows if row.score is not None and row.bearable]
    assert rows[: len(told)] == tuple(told), "what has a figure and can be waited for comes first"
    quick = [row.quick for row in told]
    assert quick == sorted(quick, reverse=True), "what is too slow comes after what is not"
    rest = [row.quick for row in rows[len(told) :]]
    assert rest == sorted(rest, reverse=True), "of what nobody scored, too"
    ranked = [row for row in told if row.quick]
    scores = [row.score for row in ranked if row.score is not None]
    assert scores == sorted(scores, reverse=True)


def test_a_tiny_machine_is_offered_a_model_with_a_figure() -> None:
    first = fitting.fit("ryzen 3 3200g, 1x16gb ddr4-2400", "chat", 3).rows[0]
    assert first.score is not None and first.bearable


@pytest.mark.parametrize("on", few([MACHINES[1], "core i3-10100, 2x8gb ddr4-2400", *MACHINES[2:]], 2))
def test_one_row_a_family_is_the_first_of_it(on: str) -> None:
    everything = [row.model_id for row in fitting.fit(on, "chat", 40, whole_families=True).rows]
    families = [_family(identity) for identity in everything]
    firsts = [identity for at, identity in enumerate(everything) if families[at] not in families[:at]]
    assert 1 < len(firsts) < len(everything)
    assert [row.model_id for row in fitting.fit(on, "chat", len(firsts)).rows] == firsts


_MODELS = (
    "smollm2-135m", "qwen3-0.6b", "lfm2-2.6b", "gemma-3n-e4b", "bitnet-2b", "gpt-oss-20b", "glm-4.7-flash",
    "qwen3.6-27b", "qwen3-next-80b-a3b", "jamba-v0.1", "deepseek-v3.2", "kimi-k2",
)  # fmt: skip


@pytest.mark.parametrize("name", _MODELS)
@pytest.mark.parametrize("on", few((*MACHINES, "raspberry pi 5 8gb", "gt 1030, epyc 9654, 12x32gb ddr5-4800"), 3))
def test_nothing_beats_the_reach_of_a_machine(on: str, name: str) -> None:
    """A model that is set aside by what a machine reaches at most would have been set aside by its estimate."""
    machine, model, load = usable(inputs.machine(on)), inputs.model(name).model, USES["rag"].workload
    most, counts = reach(machine, inputs.calibration()), sizes_of(model)
    search = Search(machine, model, load, Goal(), inputs.calibration(), quantisation)
    for request in search.requests(lean_layouts(machine, model)):
        if (spare_bytes(request) or 0.0) < 0:
            continue
        reached = speeds(request, inputs.calibration())
        assert reached.ttft_s >= most.ttft_s(counts, load), request.layout
        assert 1 / reached.tpot_s <= most.decode_tok_s(counts), request.layout


def test_a_slow_machine_estimates_few_models() -> None:
    answer = fitting.fit("core i3-10100, 2x8gb ddr4-2400", "chat")
    assert len(answer.rows) == 10 and answer.looked_at < 80


@pytest.mark.parametrize("name", few(["qwen3-30b-a3b", "llama-3.1-8b", "qwen3-32b", "gpt-oss-20b"], 4))
@pytest.mark.parametrize("on", few(MACHINES, 2))
@pytest.mark.slow
def test_the_lean_search_hardly_misses(name: str, on: str) -> None:
    """Against the full search over the same engines: at least 75 % of its speed, or finer weights."""
    found = next((row for row in fitting.fit(on, "chat", 1000, True).rows if row.model_id == name), None)
    from wellfed.nouns.layout import Engine

    options = planning.PlanOptions(on=on, engines=(Engine.LLAMA_CPP, Engine.VLLM))
    best = planning.plan(name, options).ranking.best
    if best is None or found is None:
        assert best is None or quality(name, "chat") is None
        return
    finer = found.plan.weights.total > best.weights.total * 1.02
    assert finer or found.plan.estimate.decode_tok_s.value >= 0.75 * best.estimate.decode_tok_s.value


def test_the_lean_search_is_lean() -> None:
    machine = inputs.machine("8x h200 sxm, 2x xeon 8480+")
    assert len(list(lean_layouts(machine, inputs.model("deepseek-r1").model))) <= 30


def test_an_unknown_use() -> None:
    with pytest.raises(BadInput, match="no such use"):
        fitting.fit(MACHINES[0], "poetry")
