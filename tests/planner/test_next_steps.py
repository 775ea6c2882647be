"""Every plan ends with what to type, and what is typed works; where nothing fits, the way out stands there."""

from __future__ import annotations

import json
import re
import shlex

import click
import pytest
from click.testing import CliRunner, Result

from samples import few, few_rows
from wellfed.catalog.model_tables import model_ids
from wellfed.cli.main import cli
from wellfed.nouns.layout import Engine
from wellfed.verbs import planning
from wellfed.verbs.next_steps import next_steps

LARGE = "8x b300, 2x epyc 9575f, 24x128gb ddr5-6400"  # holds any model of the catalogue


def run(*words: str) -> Result:
    return CliRunner().invoke(cli, list(words))


@pytest.mark.parametrize("name", few(model_ids(), 160))
def test_every_model_of_the_catalogue_has_a_command(name: str) -> None:
    done = run("run", name, "--on", LARGE, "--dry-run", "--context", "512", "--prompt", "128", "--output", "64")
    assert done.exit_code == 0, done.output
    assert done.stdout.strip()


@pytest.mark.parametrize(
    ("model", "on", "nodes"),
    few_rows(
        [
            ("qwen3-32b", "rtx 4090, ryzen 9 7950x, 2x32gb ddr5-5600", None),
            ("deepseek-r1", "8x h200 sxm, 2x xeon 8480+", 3),
            ("llama-3.1-8b", "ryzen 9 7950x, 2x32gb ddr5-5600", None),
        ],
        3,
    ),
)
def test_what_is_to_be_typed_works(model: str, on: str, nodes: int | None) -> None:
    words = ["plan", model, "--on", on, *(["--nodes", str(nodes), "--network", "400Gb"] if nodes else []), "--json"]
    answer = json.loads(run(*words).stdout)
    assert answer["plans"][0]["next"], "what stands first can be started"
    for plan in answer["plans"]:
        if not plan["next"]:
            assert plan["layout"]["engine"] == "tensorrt-llm" and nodes, "an estimate only"
            continue
        ours, engines_own = plan["next"]
        typed = shlex.split(ours["command"])
        assert typed[:2] == ["wellfed", "run"]
        done = run(*typed[1:])
        assert done.exit_code == 0, done.output
        assert engines_own["command"]
        assert all(file["repository"] and file["bytes"] > 1e9 for file in plan["downloads"])


@pytest.mark.parametrize(
    ("model", "on"), [("deepseek-r1", "8x h200"), ("glm-4.5-air", "8x h100"), ("qwen3-8b", "h100")]
)
def test_what_is_fetched_is_what_is_published(model: str, on: str) -> None:
    """Prediction layers, too, whether they are used or not."""
    (resolved,) = json.loads(run("resolve", model, "--json").stdout)["names"]
    quant = resolved["format"].lower()
    answer = json.loads(run("plan", model, "--on", on, "--engine", "vllm", "--quant", quant, "--json").stdout)
    (file,) = answer["plans"][0]["downloads"]
    assert file["bytes"] == resolved["weight_bytes"]


def test_several_nodes_are_a_leader_worker_set() -> None:
    words = ("run", "deepseek-r1", "--on", "8x h100 sxm, 2x xeon 8480+", "--nodes", "2", "--network", "400Gb",
             "--engine", "vllm", "--quant", "fp8", "--export", "kubernetes")  # fmt: skip
    done = run(*words)
    assert done.exit_code == 0, done.output
    assert "LeaderWorkerSet" in done.stdout


def test_another_machine_is_only_written_down() -> None:
    done = run("run", "qwen3-8b", "--on", "rtx 4090")
    assert done.exit_code != 0


OWN_FILES = (Engine.EXLLAMAV3, Engine.MLX)  # load only files that are named: tests/engines/test_own_files.py


@pytest.mark.parametrize("engine", [engine for engine in Engine if engine not in OWN_FILES])
def test_every_engine_that_a_plan_may_show_has_a_command(engine: Engine) -> None:
    on = "8x h100 sxm, 2x epyc 9654, 24x64gb ddr5-4800"
    model = "deepseek-v4-flash" if engine is Engine.DS4 else "qwen3-235b-a22b"  # ds4 is written for that family
    best = planning.plan(model, planning.PlanOptions(on=on, engines=(engine,))).ranking.best
    assert best is not None
    steps = next_steps(model, best, on)
    first = engine is Engine.KTRANSFORMERS  # the experts' own files
    assert len(steps.steps) == 2 + first and steps.downloads is not None
    assert steps.downloads.size_bytes > 1e11


def test_where_nothing_fits_the_nearest_command_is_printed_with_a_warning() -> None:
    done = run("run", "qwen3-32b", "-q", "q8_0", "--on", "rtx 3060 12gb, ryzen 5 5600, 2x8gb ddr4-3200", "--dry-run")
    assert done.exit_code == 1
    assert "short" in done.stderr and "llama-server" in done.stdout


def levers(*words: str) -> dict[str, dict[str, object]]:
    done = run("plan", *words, "--json")
    assert done.exit_code == 1, done.output
    return {lever["kind"]: lever for lever in json.loads(done.stdout)["near_miss"]["levers"]}


@pytest.mark.parametrize(
    "line",
    few(
        [
            "qwen3-32b --on 'rtx 4090, ryzen 9 7950x, 64gb' -e vllm -c 32 --context 33000",
            "r1 --on 'rtx 3060 12gb'",
            "qwen3-32b --on 'rtx 3060 12gb' --engine vllm --context 16384",
            "llama-3.3-70b --on 'rtx 3060 12gb, ryzen 5 5600, 16gb' --quality at-least-q8",
        ],
        2,
    ),
)
def test_what_would_fit_can_be_typed(line: str) -> None:
    """Where nothing fits, every lever but a part to be bought ends in a command that works."""
    answer = json.loads(run("plan", *shlex.split(line), "--json").stdout)
    assert answer["plans"] == []
    levers = [lever for lever in answer["near_miss"]["levers"] if lever["kind"] != "part"]
    assert levers
    shown = run("plan", *shlex.split(line)).stdout
    for lever in levers:
        (step,) = lever["plan"]["next"]
        done = run(*shlex.split(step["command"])[1:])
        assert done.exit_code == 0, (step, done.output)
        assert step["command"] in shown


# Of `plan`: what it shows and saves, money, buying, training, and what is no plan.
_NOT_OF_RUN = frozenset(
    [
        "api_price",
        "batch",
        "budget",
        "buy",
        "chart",
        "checkpointing",
        "chunked_loss",
        "trainer",
        "recipe",
        "dora",
        "train_layers",
        "offload_activations",
        "update_in_backward",
        "whole_loading",
        "divide",
        "command_line",
        "cpus",
        "currency",
        "electricity",
        "explain",
        "gpus",
        "as_json",
        "machine_price",
        "max_users",
        "micro_batch",
        "offload",
        "optimizer",
        "power",
        "precision",
        "price_hour",
        "prices",
        "rank",
        "report",
        "save",
        "sequence",
        "shard",
        "top",
        "train",
        "train_embeddings",
        "train_experts",
        "years",
        "engines",
        "quantisations",
    ]
)


def test_run_takes_what_a_plan_can_be_asked() -> None:
    """Else the command that a plan ends with leads to another plan."""
    context = click.Context(cli)
    commands = [cli.get_command(context, name) for name in ("plan", "run")]
    of_plan, of_run = ({option.name for option in command.params} for command in commands if command)
    assert of_plan - of_run - _NOT_OF_RUN == set()


def test_layers_pinned_onto_gpus_are_let_go() -> None:
    on = "rtx 3060 12gb, ryzen 5 5600, 2x16gb ddr4-3200"
    words = ("qwen3-32b", "--on", on, "-e", "llama.cpp", "-q", "q4_k_m", "--set", "n-gpu-layers=999")
    plan = levers(*words)["offload"]["plan"]
    assert isinstance(plan, dict) and plan["placement"] == "GPU + CPU" and plan["fits"]


def test_each_lever_is_a_plan_that_fits() -> None:
    found = levers("qwen3-32b", "--on", "rtx 4090, ryzen 9 7950x, 64gb", "-e", "vllm", "-c", "32", "--context", "33000")
    assert {"context", "engine", "part"} <= set(found)
    for lever in found.values():
        assert lever["plan"]["fits"] is True  # type: ignore[index]
        assert lever["change"]


def test_the_context_lever_is_the_largest_that_fits() -> None:
    words = ("qwen3-32b", "--on", "rtx 4090, ryzen 9 7950x, 64gb", "-e", "vllm", "--kv-type", "fp8", "--context")
    tokens = levers(*words, "40000")["context"]["message"]["params"]["tokens"]  # type: ignore[index]
    assert run("plan", *words, str(tokens)).exit_code == 0
    assert run("plan", *words, str(tokens + 256)).exit_code == 1


def test_the_model_lever_is_of_the_family() -> None:
    found = levers("deepseek-r1", "-q", "q4_k_m", "--on", "rtx 3060 12gb, ryzen 5 5600, 2x16gb ddr4-3200")
    assert "deepseek-r1-distill" in str(found["model"]["plan"]["model"])  # type: ignore[index]


@pytest.mark.parametrize(
    ("model", "machine", "near"),
    few_rows(
        [
            ("gpt-oss-120b", "rtx 3060 12gb, ryzen 5 5600, 16gb", "gpt-oss-20b"),
            ("deepseek-r1", "rtx 3060 12gb, core i5-12400, 32gb", "DeepSeek-R1-Distill-Qwen-14B"),
            ("qwen3-235b-a22b", "rtx 4090, ryzen 9 7950x, 32gb", "Qwen3-32B"),
        ],
        3,
    ),
)
def test_the_nearest_relative_that_the_gpu_holds_is_offered(model: str, machine: str, near: str) -> None:
    done = run("plan", model, "--on", machine, "--json")
    found = [lever for lever in json.loads(done.stdout)["near_miss"]["levers"] if lever["kind"] == "model"]
    assert near in {lever["message"]["params"]["model"] for lever in found}
    assert sum(lever["plan"]["placement"] == "GPU" for lever in found) == 1


def test_targets_are_repeated_and_one_in_the_other_unit_is_told() -> None:
    words = ("plan", "qwen3-8b", "--on", "rtx 4090, ryzen 9 7950x, 64gb")
    usual = " ".join(run(*words, "--ttft", "2", "--tpot", "50").stdout.split())
    assert "first token within 2 s" in usual and "(20 tok/s)" in usual and "milliseconds" not in usual
    assert "0.05 s would be 50" in " ".join(run(*words, "--tpot", "0.05").stdout.split())
    assert "2000 ms would be 2" in " ".join(run(*words, "--ttft", "2000").stdout.split())


def test_missed_targets_are_told_and_end_with_one() -> None:
    words = ("plan", "llama-3.1-70b", "--on", "2x rtx 3090, ryzen 9 7950x, 64gb", "--tpot", "1", "--ttft", "0.01")
    done = run(*words, "--json")
    answer = json.loads(done.stdout)
    assert done.exit_code == 1 and answer["meets_targets"] is False
    late = [sum(missed["by"] for missed in plan["missed"]) for plan in answer["plans"]]
    assert all(by > 0 for by in late)
    relaxed = run(*words[:-4], "--tpot", "10000", "--json")
    assert relaxed.exit_code == 0 and json.loads(relaxed.stdout)["meets_targets"] is True
    assert json.loads(run(*words[:-4], "--json").stdout)["meets_targets"] is None


@pytest.mark.parametrize(
    "line",
    [
        "qwen3-8b --on 'rtx 4090, ryzen 9 7950x' --rate 2",
        pytest.param(
            "deepseek-r1 --on '8x h200 sxm, 2x xeon 8480+' --nodes 3 --network 400Gb --rate 6 --ttft 3 --tpot 50",
            marks=pytest.mark.slow,
        ),
        "qwen3-8b --on 'rtx 4090, ryzen 9 7950x, 64gb' --vram-free 6 --for throughput -c 16",
        "deepseek-v3.2 --on '8x h200 sxm' --nodes 2 --network 400Gb -c 64 -e vllm",
        "qwen3-32b --on '2x a100 40gb' --workload rag --prompt 3000 --quality at-least-q8",
    ],
)
def test_run_comes_to_the_plan_that_was_shown(line: str) -> None:
    ours, by_hand = json.loads(run("plan", *shlex.split(line), "--top", "1", "--json").stdout)["plans"][0]["next"]
    words = shlex.split(ours["command"])[1:]
    written = words.index("--export")
    done = run(*words[:written], *words[written + 2 :], "--dry-run")
    assert done.exit_code == 0, done.output
    added = re.compile(r" --cache-ram \S+|-hf \S+|--model \S+")  # what a start adds, and two ways to name the files
    assert added.sub("", done.stdout.strip()) == added.sub("", by_hand["command"])


@pytest.mark.parametrize("words", [("m4 max 128gb",), ("rtx 4090, i9-14900k", "--os", "windows")])
def test_no_numactl_where_there_is_none(words: tuple[str, ...]) -> None:
    answer = json.loads(run("plan", "qwen3-8b", "--on", *words, "--json").stdout)
    assert not any("numactl" in step["command"] for plan in answer["plans"] for step in plan["next"])
