"""Questions that cannot be answered as asked lead on to ones that can, and commands repeat what led to them."""

from __future__ import annotations

import json
import shlex

import pytest
from click.testing import CliRunner

from wellfed.cli.main import cli
from wellfed.errors import BadInput
from wellfed.nouns.layout import Engine
from wellfed.verbs import planning

MAC, RTX = "mac mini m4 pro 48gb", "rtx 4060 ti 16gb, i5-13600k, 32gb"


@pytest.mark.parametrize(
    ("engine", "on", "named"),
    [(Engine.MLX, MAC, "qwen3-14b mlx 4bit"), (Engine.EXLLAMAV3, RTX, "turboderp/Qwen3-14B-exl3 4.0bpw")],
)
def test_engines_with_files_of_their_own_say_how_these_are_named(engine: Engine, on: str, named: str) -> None:
    with pytest.raises(BadInput) as error:
        planning.plan("qwen3-14b", planning.PlanOptions(on=on, engines=(engine,)))
    tail = named.rpartition("/")[2].lower()
    assert tail in str(error.value.hint).lower()
    best = planning.plan(named, planning.PlanOptions(on=on, engines=(engine,))).ranking.best
    assert best is not None and best.layout.engine is engine


@pytest.mark.parametrize(("version", "told"), [("vllm@9.9", True), ("vllm@0.32", False), ("llama.cpp@b99999", True)])
def test_a_version_that_nobody_here_knows_is_told(version: str, told: bool) -> None:
    done = CliRunner().invoke(cli, ["plan", "qwen3-8b", "--on", "rtx 4090", "-e", version])
    assert done.exit_code == 0 and ("is newer than" in done.output) is told


def test_commands_repeat_version_pins_and_what_is_free() -> None:
    words = [
        "plan", "llama-3.1-8b", "--on", "tesla v100 16gb, xeon 4210, 64gb", "-e", "vllm@0.8", "--vram-free", "14GiB",
        "--set", "enforce-eager=on", "--prompt", "512", "--json",
    ]  # fmt: skip
    ours = json.loads(CliRunner().invoke(cli, words).stdout)["plans"][0]["next"][0]["command"]
    for pair in ("--engine vllm@0.8", "--vram-free 14GiB", "--set enforce-eager=on", "--prompt 512"):
        assert pair in ours
    assert CliRunner().invoke(cli, shlex.split(ours)[1:]).exit_code == 0


def test_what_is_free_belongs_to_a_machine_that_is_written_down() -> None:
    done = CliRunner().invoke(cli, ["run", "qwen3-8b", "--dry-run", "--vram-free", "8GiB"])
    assert done.exit_code == 2 and "--on" in done.output


@pytest.mark.parametrize(
    ("engine", "draft"),
    [("vllm", "meta-llama/Llama-3.2-1B-Instruct"), ("sglang", "meta-llama/Llama-3.2-1B-Instruct"),
     ("llama.cpp", "./Llama-3.2-1B-Instruct-Q8_0.gguf")],
)  # fmt: skip
def test_a_draft_model_is_named_as_the_engine_loads_it(engine: str, draft: str) -> None:
    words = ["plan", "llama-3.1-8b", "--on", "rtx 4090, ryzen 9 7950x, 64gb", "-e", engine, "--json"]
    plan = json.loads(CliRunner().invoke(cli, [*words, "--speculate", "draft:llama-3.2-1b"]).stdout)["plans"][0]
    assert draft in plan["next"][1]["command"]
