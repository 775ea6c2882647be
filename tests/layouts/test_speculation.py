"""Drafted tokens: asked for or found, in the ledger, in the step, on every engine's command line and back from it."""

from __future__ import annotations

from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from documents import planned
from wellfed.cli.main import cli
from wellfed.engines import llamacpp, sglang, vllm
from wellfed.engines.command_line import command
from wellfed.engines.named import parted
from wellfed.engines.versions import CURRENT, version
from wellfed.errors import BadInput
from wellfed.nouns.layout import DraftKind, Engine, Layout, Speculation
from wellfed.planner.speculate import read

BIG = "8x h200 sxm, 2x xeon 8480, 1tb"
PAIR = "2x rtx 4090, ryzen 9 7950x, 128gb"


def terms(plan: dict[str, Any], device: int = 0) -> set[str]:
    return {term["name"] for term in plan["memory"][device]["terms"]}


def test_prediction_layers_are_tried_unasked_and_nothing_else_is() -> None:
    found = planned("deepseek-r1", "--on", BIG, "-e", "sglang")
    drafted = [plan for plan in found["plans"] if "speculation" in plan["layout"]]
    assert drafted and {plan["layout"]["speculation"]["kind"] for plan in drafted} == {"mtp"}
    assert found["drafting"]["id"] in {"speculate.faster", "speculate.slower"}
    assert {"draft weights", "draft kv"} <= terms(drafted[0])
    plain = planned("llama-3.1-8b", "--on", PAIR, "-e", "vllm")
    assert plain["drafting"] is None and all("speculation" not in plan["layout"] for plan in plain["plans"])


def test_none_is_none() -> None:
    found = planned("deepseek-r1", "--on", BIG, "-e", "sglang", "--speculate", "none")
    assert all("speculation" not in plan["layout"] for plan in found["plans"])


def test_asked_for_it_is_planned_and_nothing_else() -> None:
    found = planned(
        "llama-3.3-70b", "--on", PAIR, "-q", "q4_k_m", "-e", "llama.cpp", "--speculate", "draft:llama-3.2-1b@4"
    )
    assert found["plans"]
    for plan in found["plans"]:
        assert plan["layout"]["speculation"]["draft"] == "llama-3.2-1b" and plan["layout"]["speculation"]["tokens"] == 4
    assert any("draft weights" in terms(found["plans"][0], n) for n in range(len(found["plans"][0]["memory"])))


def test_more_acceptance_is_never_slower_and_none_is_slower_than_without() -> None:
    def rate(*words: str) -> float:
        best = planned("llama-3.3-70b", "--on", PAIR, "-q", "q4_k_m", "-e", "llama.cpp", *words)["plans"][0]
        return float(best["decode_tok_s"]["value"])

    drafted = [rate("--speculate", "draft:llama-3.2-1b@4", "--acceptance", share) for share in ("0.1", "0.5", "0.9")]
    assert drafted == sorted(drafted) and drafted[0] < rate("--speculate", "none") < drafted[-1]


@pytest.mark.parametrize(
    "words",
    [
        ("llama-3.3-70b", "--speculate", "mtp"),
        ("llama-3.3-70b", "--speculate", "draft:qwen3-0.6b"),
        ("llama-3.3-70b", "--speculate", "draft"),
        ("llama-3.3-70b", "--speculate", "mtp@0"),
        ("llama-3.3-70b", "--speculate", "guess"),
        ("llama-3.3-70b", "-e", "vllm@b12"),
        ("llama-3.3-70b", "-e", "llama.cpp@0.17"),
        ("llama-3.3-70b", "-e", "nothing"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_one_error(words: tuple[str, ...]) -> None:
    done = CliRunner().invoke(cli, ["plan", *words, "--on", PAIR])
    assert isinstance(done.exception, BadInput), done.output
    assert done.exception.hint


_WORDS = {
    Engine.LLAMA_CPP: llamacpp.drafting_words,
    Engine.VLLM: vllm.drafting_words,
    Engine.SGLANG: sglang.drafting_words,
}
_PROGRAMS = {
    Engine.LLAMA_CPP: ["llama-server", "-m", "m.gguf"],
    Engine.VLLM: ["vllm", "serve", "m"],
    Engine.SGLANG: ["python", "-m", "sglang.launch_server", "--model-path", "m"],
}


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(list(_WORDS)), st.sampled_from(list(DraftKind)), st.integers(1, 16))
def test_it_is_read_back_from_every_command_line(engine: Engine, kind: DraftKind, tokens: int) -> None:
    import shlex

    guess = Speculation(
        tokens, 1.0, kind=kind, draft="owner/draft" if kind in (DraftKind.DRAFT, DraftKind.EAGLE) else ""
    )
    layout = Layout(engine, "x", gpus=1, speculation=guess)
    line = shlex.join([*_PROGRAMS[engine], *_WORDS[engine](layout)])
    back = command(line).pins.applied(Layout(engine, "x", gpus=1)).speculation
    assert back is not None and back.tokens == tokens
    same = kind if engine is not Engine.SGLANG or kind is not DraftKind.MTP else DraftKind.EAGLE  # one word for both
    assert back.kind is same and back.draft == guess.draft


@given(st.text(max_size=20))
def test_no_text_does_more_than_raise(text: str) -> None:
    for reader in (read, parted):
        try:
            reader(text)
        except BadInput as error:
            assert error.hint


def test_an_answer_says_which_version_it_is_for() -> None:
    found = planned("qwen3-8b", "--on", "rtx 4090, ryzen 9 7950x, 64gb", "-e", "vllm@0.11")
    assert {plan["engine_version"] for plan in found["plans"]} == {"0.11"}
    unsaid = planned("qwen3-8b", "--on", "rtx 4090, ryzen 9 7950x, 64gb", "-e", "vllm")
    assert {plan["engine_version"] for plan in unsaid["plans"]} == {CURRENT[Engine.VLLM]}


def test_a_version_decides_what_runs_and_what_it_needs() -> None:
    on = ("--on", "tesla v100 sxm2 32gb, xeon 8480, 128gb", "-q", "bf16")
    assert planned("qwen3-8b", *on, "-e", "vllm@0.10")["plans"] and not planned("qwen3-8b", *on, "-e", "vllm")["plans"]
    line = ("--from-command", "llama-server -m DeepSeek-V4-Flash-UD-Q4_K_XL.gguf -c 1048576 -ngl 999", "--on", BIG)
    sizes = {}
    for build in ("llama.cpp@2026-07", "llama.cpp"):
        plan = planned(*line, "-e", build)["as_it_is"]
        sizes[build] = next(term["bytes"] for term in plan["memory"][0]["terms"] if term["name"] == "compute")
    assert sizes["llama.cpp@2026-07"] > 10 * sizes["llama.cpp"]


@given(st.integers(1000, 99999))
def test_a_month_and_a_build_are_the_same_kind_of_version(build: int) -> None:
    assert version(Engine.LLAMA_CPP, f"b{build}").numbers == (build,)
    assert version(Engine.LLAMA_CPP, "2026-07").numbers[0] < version(Engine.LLAMA_CPP, "2026-09").numbers[0]


def test_what_to_type_starts_what_was_planned() -> None:
    import shlex

    best = planned("deepseek-r1", "--on", BIG, "-e", "sglang")["plans"][0]
    line = next(step["command"] for step in best["next"] if step["command"].startswith("wellfed run"))
    done = CliRunner().invoke(cli, shlex.split(line)[1:])
    assert done.exit_code == 0, done.output
    tokens = best["layout"]["speculation"]["tokens"]
    assert f"--speculative-num-steps {tokens}" in " ".join(done.stdout.replace("\\\n", " ").split())
