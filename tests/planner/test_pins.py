"""Settings are pinned by the engines' own flag names, reach the plan and the command line, and are read back from one."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from wellfed.cli.main import cli
from wellfed.engines.command_line import command
from wellfed.engines.pins import SETTINGS, pins
from wellfed.errors import BadInput
from wellfed.nouns.layout import Engine, Layout, Offload
from wellfed.verbs import planning

ON = "2x rtx 4090, ryzen 9 7950x, 2x32gb ddr5-5600"


@pytest.mark.parametrize(
    ("engine", "setting", "name", "value"),
    [
        (Engine.LLAMA_CPP, "ubatch-size=2048", "ubatch_tokens", 2048),
        (Engine.LLAMA_CPP, "-ub=1024", "ubatch_tokens", 1024),
        (Engine.LLAMA_CPP, "flash-attn=off", "flash_attention", False),
        (Engine.LLAMA_CPP, "parallel=4", "max_sequences", 4),
        (Engine.LLAMA_CPP, "ngl=20", "offload", Offload(gpu_layers=20)),
        (Engine.LLAMA_CPP, "--n-cpu-moe=12", "offload", Offload(cpu_expert_layers=12)),
        (Engine.LLAMA_CPP, "cpu-moe", "offload", Offload(cpu_expert_layers=None)),
        (Engine.LLAMA_CPP, "cache-type-k=q8_0", "kv_type", "q8_0/f16"),
        (Engine.VLLM, "max-num-seqs=16", "max_sequences", 16),
        (Engine.VLLM, "enforce-eager", "cuda_graphs", False),
        (Engine.VLLM, "gpu-memory-utilization=0.8", "options", (("gpu_memory_utilization", "0.8"),)),
        (Engine.VLLM, "tensor-parallel-size=2", "tensor_parallel", 2),
        (Engine.SGLANG, "tp-size=4", "gpus", 4),
        (Engine.SGLANG, "mem-fraction-static=0.7", "options", (("mem_fraction_static", "0.7"),)),
        (Engine.TENSORRT_LLM, "tp_size=2", "tensor_parallel", 2),
    ],
)
def test_a_setting_becomes_a_typed_value(engine: Engine, setting: str, name: str, value: object) -> None:
    assert getattr(pins(engine, [setting]).applied(Layout(engine, "x")), name) == value


@pytest.mark.parametrize(
    ("engine", "setting"),
    [
        (Engine.LLAMA_CPP, "ubatch-size=many"), (Engine.LLAMA_CPP, "ubatch-size=-1"), (Engine.LLAMA_CPP, "fa=perhaps"),
        (Engine.LLAMA_CPP, "tensor-parallel-size=2"), (Engine.VLLM, "gpu-memory-utilization=1.5"),
        (Engine.VLLM, "gpu-memory-utilization="), (Engine.VLLM, "ngl=3"), (Engine.VLLM, "=3"), (Engine.SGLANG, "tp-size=0"),
    ],
)  # fmt: skip
def test_what_an_engine_lacks_or_cannot_take_is_one_error(engine: Engine, setting: str) -> None:
    with pytest.raises(BadInput):
        pins(engine, [setting])


@given(st.sampled_from(list(Engine)), st.text(max_size=30))
def test_no_text_does_more_than_raise(engine: Engine, text: str) -> None:
    try:
        pins(engine, [text])
    except BadInput:
        pass


@pytest.mark.parametrize(
    ("settings", "engines"),
    [(("ubatch-size=2048",), {"llama.cpp", "ik_llama.cpp"}), (("gpu-memory-utilization=0.95",), {"vllm"})],
)
def test_plans_are_of_engines_that_have_the_setting(settings: tuple[str, ...], engines: set[str]) -> None:
    found = planning.plan("qwen3-14b", planning.PlanOptions(on=ON, pins=settings)).ranking.plans
    assert found and {plan.layout.engine.value for plan in found} <= engines


def test_every_plan_has_what_is_pinned() -> None:
    options = planning.PlanOptions(on=ON, pins=("ngl=20", "ubatch-size=1024"), engines=(Engine.LLAMA_CPP,))
    for plan in planning.plan("qwen3-14b", options).ranking.plans:
        assert plan.layout.offload.gpu_layers == 20 and plan.layout.ubatch_tokens == 1024


@pytest.mark.parametrize(
    ("pins", "says", "would_do"),
    [(("tp=3",), "3 ranks do not divide", "1, 2, 4"), (("tp=4", "pp=2"), "takes 8 GPUs: there are 6", "at most 6")],
)
def test_degrees_that_cannot_be_are_told_with_what_would_do(pins: tuple[str, ...], says: str, would_do: str) -> None:
    with pytest.raises(BadInput) as error:
        planning.plan("qwen3-14b", planning.PlanOptions(on="6x rtx 4090", pins=pins, engines=(Engine.VLLM,)))
    assert says in str(error.value.message) and would_do in str(error.value.hint)


def test_a_kv_type_that_the_engine_lacks_is_told_with_what_it_has() -> None:
    with pytest.raises(BadInput) as error:
        planning.plan("qwen3-14b", planning.PlanOptions(on="rtx 4090", kv_types=("q5_1",), engines=(Engine.VLLM,)))
    assert "fp8" in str(error.value.hint)


def test_what_is_pinned_reaches_the_command_line() -> None:
    words = (
        "run",
        "qwen3-14b",
        "--on",
        ON,
        "--dry-run",
        "-e",
        "llama.cpp",
        "--set",
        "ubatch-size=1024",
        "--set",
        "ngl=20",
    )
    done = CliRunner().invoke(cli, list(words))
    assert done.exit_code == 0, done.output
    assert "--ubatch-size 1024" in done.stdout and "--n-gpu-layers 20" in done.stdout


@pytest.mark.parametrize(
    ("line", "engine", "model"),
    [
        ("llama-server -m /models/Qwen3-32B-Q4_K_M.gguf -ngl 43", Engine.LLAMA_CPP, "/models/Qwen3-32B-Q4_K_M.gguf"),
        ("CUDA_VISIBLE_DEVICES=0 numactl -N 0 ./build/bin/llama-server -hf unsloth/Qwen3-8B-GGUF:Q8_0", Engine.LLAMA_CPP,
         "unsloth/Qwen3-8B-GGUF:Q8_0"),
        ("vllm serve Qwen/Qwen3-32B --tensor-parallel-size 2", Engine.VLLM, "Qwen/Qwen3-32B"),
        ("python -m sglang.launch_server --model-path Qwen/Qwen3-8B --tp 2", Engine.SGLANG, "Qwen/Qwen3-8B"),
        ("python3 -m sglang.launch_server --model-path X/Y --kt-num-gpu-experts 20", Engine.KTRANSFORMERS, "X/Y"),
        ("trtllm-serve nvidia/X --tp_size 4", Engine.TENSORRT_LLM, "nvidia/X"),
        ("docker run --gpus all image vllm serve \\\n  a/b --max-num-seqs 8", Engine.VLLM, "a/b"),
    ],
)  # fmt: skip
def test_command_lines_are_read(line: str, engine: Engine, model: str) -> None:
    read = command(line)
    assert (read.engine, read.model) == (engine, model)


@pytest.mark.parametrize(
    "line", ["", "ls -l", "llama-server", "vllm serve", "llama-server -m 'x", "llama-server -m x -ub no"]
)
def test_other_lines_are_one_error(line: str) -> None:
    with pytest.raises(BadInput):
        command(line)


@given(st.text(max_size=80))
def test_no_line_does_more_than_raise(text: str) -> None:
    try:
        command(f"llama-server {text}")
    except BadInput:
        pass


def as_it_is(line: str, on: str = ON) -> tuple[int, dict[str, object]]:
    done = CliRunner().invoke(cli, ["plan", "--on", on, "--from-command", line, "--json"])
    assert done.exit_code in (0, 1), done.output
    return done.exit_code, json.loads(done.output)


def test_a_command_is_estimated_as_it_is_and_improved() -> None:
    code, found = as_it_is(
        "llama-server -m Qwen3-32B-Q4_K_M.gguf -ngl 20 -c 8192 -ub 512", "rtx 4090, ryzen 9 7950x, 64gb"
    )
    own, better = found["as_it_is"], found["improved"]
    assert code == 0 and own["layout"]["offload"]["gpu_layers"] == 20  # type: ignore[index]
    assert own["layout"]["quantisation"] == "q4_k_m"  # type: ignore[index]
    assert better["decode_tok_s"]["value"] > 2 * own["decode_tok_s"]["value"]  # type: ignore[index]
    assert any(change["params"].get("what") == "offload" for change in found["changes"])  # type: ignore[union-attr, attr-defined]


def test_one_that_does_not_fit_says_so() -> None:
    code, found = as_it_is("vllm serve Qwen/Qwen3-32B --tensor-parallel-size 2 --max-model-len 16384")
    assert code == 1 and found["as_it_is"]["fits"] is False  # type: ignore[index]


def test_a_setting_that_nothing_models_is_told() -> None:
    _, found = as_it_is("llama-server -m Qwen3-8B-Q4_K_M.gguf --rope-scale 4")
    assert any("rope-scale" in change["text"] for change in found["changes"])  # type: ignore[union-attr, attr-defined]


def test_every_engine_has_settings() -> None:
    assert set(SETTINGS) == set(Engine)
