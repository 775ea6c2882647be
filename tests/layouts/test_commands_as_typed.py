"""Command lines as people paste them: images, environments, forks, Ollama; what engines do where nothing is said."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from wellfed.cli.main import cli
from wellfed.engines.command_line import command
from wellfed.engines.pins import pins
from wellfed.errors import BadInput
from wellfed.nouns.layout import Engine, Layout
from wellfed.perf.memory.overrides import settled
from wellfed.units import GIB
from wellfed.verbs import inputs

CARD = "rtx 4090, ryzen 9 7950x, 128gb"


def as_it_is(line: str, on: str = CARD, *more: str) -> dict[str, Any]:
    done = CliRunner().invoke(cli, ["plan", "--on", on, "--from-command", line, "--json", *more])
    assert done.exit_code in (0, 1), done.output
    found: dict[str, Any] = json.loads(done.output)["as_it_is"]
    return found


def term(found: dict[str, Any], device: str, name: str) -> float:
    """GiB."""
    terms = [entry for held in found["memory"] if held["device"] == device for entry in held["terms"]]
    return float(sum(entry["bytes"] for entry in terms if entry["name"] == name)) / GIB


@pytest.mark.parametrize(
    ("line", "engine", "model"),
    [
        ("docker run --gpus all -p 8000:8000 vllm/vllm-openai:v0.10.2 --model a/b --max-model-len 32K", Engine.VLLM, "a/b"),
        ("docker run ghcr.io/ggml-org/llama.cpp:server-cuda -m /models/x.gguf -ngl 99", Engine.LLAMA_CPP, "/models/x.gguf"),
        ("docker run -e LLAMA_ARG_MODEL=/m/y.gguf ghcr.io/ggml-org/llama.cpp:server", Engine.LLAMA_CPP, "/m/y.gguf"),
        ("sglang serve --model-path a/b --tp 2", Engine.SGLANG, "a/b"),
        ("mlx_lm.server --model mlx-community/X-4bit", Engine.MLX, "mlx-community/X-4bit"),
        ("python -m mlx_lm server --model mlx-community/X-4bit", Engine.MLX, "mlx-community/X-4bit"),
        ("OLLAMA_KV_CACHE_TYPE=q8_0 ollama run qwen3:32b", Engine.LLAMA_CPP, "qwen3:32b"),
        ("./llama-server -m x.gguf -mla 3 -amb 512 -fmoe -rtr", Engine.IK_LLAMA_CPP, "x.gguf"),
        ("llama-server.exe -m C:\\models\\x.gguf ^\n -ngl 99 ^\n -c 4096", Engine.LLAMA_CPP, "C:/models/x.gguf"),
        (".\\llama-server.exe -m .\\x.gguf -ngl 99", Engine.LLAMA_CPP, "./x.gguf"),
        ("vllm serve a/b --max_model_len 4096 --kv_cache_dtype fp8", Engine.VLLM, "a/b"),
    ],
)  # fmt: skip
def test_lines_are_read(line: str, engine: Engine, model: str) -> None:
    read = command(line)
    assert (read.engine, read.model) == (engine, model)


@given(st.text(max_size=60))
def test_no_pattern_does_more_than_raise(text: str) -> None:
    try:
        layout = pins(Engine.LLAMA_CPP, [f"ot={text}=CPU"]).applied(Layout(Engine.LLAMA_CPP, "x"))
        settled(layout, inputs.model("qwen3-30b-a3b").model)
    except BadInput:
        pass


@pytest.mark.parametrize("text", ["(a+)+$=CPU", "x", "=CPU", "(=CPU", "a=", "a=C:/x"])
def test_patterns_that_cannot_be(text: str) -> None:
    with pytest.raises(BadInput):
        pins(Engine.LLAMA_CPP, [f"ot={text}"])


class TestOverrides:
    NAME = "DeepSeek-R1-UD-Q2_K_XL.gguf"
    ON = "rtx 4090, epyc 9354, 12x32gb ddr5-4800"

    def test_the_first_pattern_that_is_found_decides(self) -> None:
        """Three layers' experts on the card, all others in RAM: by the file's bytes of those layers."""
        line = f"llama-server -m {self.NAME} -ngl 99 -c 4096 "
        none = as_it_is(line + "-ot exps=CPU", self.ON)
        three = as_it_is(line + r"-ot 'blk\.(3|4|5)\.ffn_.*_exps=CUDA0' -ot exps=CPU", self.ON)
        more = term(three, "gpu0", "weights") - term(none, "gpu0", "weights")
        less = term(none, "ram", "weights") - term(three, "ram", "weights")
        assert more == pytest.approx(less) and more == pytest.approx(3 * term(none, "ram", "weights") / 58, rel=0.1)
        assert none["layout"]["overrides"] == [] and len(three["layout"]["overrides"]) == 2

    def test_they_are_what_n_cpu_moe_does_where_they_say_the_same(self) -> None:
        """Layers are counted from the first, those without experts too: 13 leave the experts of ten in RAM."""
        line = f"llama-server -m {self.NAME} -ngl 99 -c 4096 "
        first = as_it_is(line + "-ncmoe 13", self.ON)["layout"]
        same = as_it_is(line + r"-ot 'blk\.([0-9]|1[0-2])\.ffn_.*_exps.=CPU'", self.ON)["layout"]
        assert first == same and first["offload"]["cpu_expert_layers"] == 10

    def test_single_matrices_count_for_their_share(self) -> None:
        line = f"llama-server -m {self.NAME} -ngl 99 -c 4096 -ot 'ffn_(gate|up)_exps=CPU'"
        found = as_it_is(line, self.ON)["layout"]
        assert found["offload"]["cpu_expert_layers"] == round(58 * 2 / 3)

    def test_they_reach_the_command_line(self) -> None:
        words = ("run", "qwen3-30b-a3b", "--on", CARD, "--dry-run", "-e", "llama.cpp", "--set",
                 r"ot=blk\.(3|4)\.ffn_.*_exps=CPU")  # fmt: skip
        done = CliRunner().invoke(cli, list(words))
        assert done.exit_code == 0, done.output
        assert r"blk\.(3|4)\.ffn_.*_exps=CPU" in done.stdout


class TestFit:
    def test_what_does_not_fit_goes_to_the_cpu_unasked(self) -> None:
        found = as_it_is("llama-server -m Llama-3.3-70B-Q4_K_M.gguf -c 8192")
        layers = found["layout"]["offload"]["gpu_layers"]
        assert found["fits"] and 0 < layers < 80
        assert found["memory"][0]["spare_bytes"] >= GIB

    def test_of_experts_as_few_as_need_be(self) -> None:
        found = as_it_is("llama-server -m gpt-oss-120b-mxfp4.gguf -c 8192")
        offload = found["layout"]["offload"]
        assert offload["gpu_layers"] is None if "gpu_layers" in offload else True
        assert 0 < offload["cpu_expert_layers"] < 36 and found["fits"]

    @pytest.mark.parametrize("more", ["-ngl 99", "--fit off"])
    def test_not_where_it_is_pinned_or_switched_off(self, more: str) -> None:
        assert as_it_is(f"llama-server -m Llama-3.3-70B-Q4_K_M.gguf -c 8192 {more}")["fits"] is False

    def test_builds_before_it_put_all_on_the_gpu(self) -> None:
        line = "llama-server -m Llama-3.3-70B-Q4_K_M.gguf -c 8192"
        assert as_it_is(line, CARD, "--engine", "llama.cpp@2025-10")["fits"] is False

    def test_a_single_answer_has_one_slot(self) -> None:
        assert as_it_is("llama-cli -m Qwen3-8B-Q8_0.gguf -c 4096")["layout"]["max_sequences"] == 1
        assert as_it_is("llama-server -m Qwen3-8B-Q8_0.gguf -c 4096")["layout"]["max_sequences"] == 4


class TestOllama:
    @pytest.mark.parametrize(("card", "context"), [("rtx 3060 12gb", 4096), ("rtx 4090", 32_768), ("rtx pro 6000 blackwell", 40_960)])  # fmt: skip
    def test_its_context_is_by_vram(self, card: str, context: int) -> None:
        assert as_it_is("ollama run qwen3:8b", f"{card}, ryzen 9 7950x, 64gb")["context"] == context

    def test_versions_had_other_defaults(self) -> None:
        found = as_it_is("ollama run qwen3:8b", CARD, "--engine", "ollama@0.5.4")
        assert found["context"] == 2048 and found["layout"]["max_sequences"] == 4
        assert found["layout"]["flash_attention"] is False

    def test_its_environment_is_read(self) -> None:
        line = "OLLAMA_CONTEXT_LENGTH=16384 OLLAMA_NUM_PARALLEL=2 OLLAMA_KV_CACHE_TYPE=q8_0 ollama run qwen3:8b"
        found = as_it_is(line)
        assert found["context"] == 16384 and found["layout"]["kv_type"] == "q8_0"
        assert term(found, "gpu0", "kv") == pytest.approx(2 * 16384 * 36 * 2 * 8 * 128 * 34 / 32 / GIB)

    def test_whole_layers_go_to_the_cpu(self) -> None:
        found = as_it_is("ollama run llama3.3:70b")
        assert found["fits"] and 0 < found["layout"]["offload"]["gpu_layers"] < 80

    def test_it_is_planned_for_by_name(self) -> None:
        done = CliRunner().invoke(cli, ["plan", "qwen3-30b-a3b", "-e", "ollama", "--on", "rtx 3060 12gb, ryzen 9 7950x, 64gb",
                                        "--json"])  # fmt: skip
        assert done.exit_code == 0, done.output
        plans = json.loads(done.output)["plans"]
        assert {p["layout"]["quantisation"] for p in plans} <= {"q4_k_m", "q8_0", "bf16"}
        assert all(not p["layout"]["offload"].get("cpu_expert_layers", 0) for p in plans), "layers, not experts alone"

    @pytest.mark.parametrize(
        "line", ["ollama serve", "OLLAMA_KV_CACHE_TYPE=q5 ollama run x", "OLLAMA_NUM_PARALLEL=many ollama run x"]
    )
    def test_what_cannot_be_is_one_error(self, line: str) -> None:
        with pytest.raises(BadInput):
            command(line)


class TestServingEngines:
    def test_a_default_share_stands_as_it_is(self) -> None:
        """vLLM with 0.92 of an 80 GB card and 78 GiB of weights does not start; nobody raised its share."""
        found = as_it_is(
            "vllm serve deepseek-ai/DeepSeek-R1 -tp 8 --max-model-len 8192", "8x h100 sxm, 2x xeon 8480, 2tb"
        )
        assert found["fits"] is False and term(found, "gpu0", "kept free") > 6

    def test_a_cache_of_stated_size(self) -> None:
        line = "vllm serve Qwen/Qwen3-8B --max-model-len 8192 --kv-cache-memory-bytes 3G"
        found = as_it_is(line)
        device = found["memory"][0]
        assert device["spare_bytes"] / GIB + term(found, "gpu0", "kv") == pytest.approx(3, rel=0.001)

    def test_a_cache_of_at_most_so_many_tokens(self) -> None:
        line = (
            "python -m sglang.launch_server --model-path Qwen/Qwen3-8B --max-total-tokens 20000 --context-length 8192 "
            "--mem-fraction-static 0.9"
        )
        assert as_it_is(line)["cache_tokens"] == pytest.approx(20_000, rel=0.01)

    def test_adapters_take_what_their_matrices_take(self) -> None:
        """Llama 3.1 8B: 81,920 inputs and outputs a layer, 32 layers, rank 64, four of them, 16 bits."""
        line = "vllm serve meta-llama/Llama-3.1-8B-Instruct --enable-lora --max-loras 4 --max-lora-rank 64"
        found = as_it_is(line, "h100 sxm, xeon 8480, 256gb")
        assert term(found, "gpu0", "adapters") == pytest.approx(81_920 * 32 * 64 * 4 * 2 / GIB)

    def test_attention_in_groups(self) -> None:
        line = (
            "python -m sglang.launch_server --model-path deepseek-ai/DeepSeek-V3.2 --tp 8 --dp 8 --enable-dp-attention"
        )
        layout = as_it_is(line, "8x h200, 2x xeon 8480, 2tb")["layout"]
        assert (layout["attention_data_parallel"], layout["data_parallel"], layout["gpus"]) == (8, 1, 8)

    def test_only_gpus_that_are_seen_are_used(self) -> None:
        on = "4x rtx 3090, epyc 7763, 256gb"
        assert (
            len(as_it_is("CUDA_VISIBLE_DEVICES=1,2 llama-server -m Qwen3-32B-Q4_K_M.gguf -ngl 99", on)["memory"]) == 3
        )

    def test_context_parallelism_divides_what_ranks_would_copy(self) -> None:
        line = "vllm serve deepseek-ai/DeepSeek-R1 -tp 8 --max-model-len 65536"
        one, eight = (as_it_is(line + more, "8x h200, 2x xeon 8480, 2tb") for more in ("", " -dcp 8"))
        assert term(eight, "gpu0", "kv") == pytest.approx(term(one, "gpu0", "kv") / 8)

    def test_redundant_experts_take_their_share(self) -> None:
        line = "python -m sglang.launch_server --model-path deepseek-ai/DeepSeek-R1 --tp 8 --ep 8"
        on = "8x h200, 2x xeon 8480, 2tb"
        plain, more = (as_it_is(line + text, on) for text in ("", " --ep-num-redundant-experts 32"))
        assert 1.05 < term(more, "gpu0", "weights") / term(plain, "gpu0", "weights") < 1.13


@pytest.mark.parametrize(
    ("named", "format_"),
    [("gptq", "INT4"), ("awq_marlin", "INT4"), ("modelopt_fp4", "NVFP4"), ("compressed-tensors", "BF16")],
)
def test_a_format_that_no_engine_makes_is_what_the_files_are(named: str, format_: str) -> None:
    """`--quantization gptq` reads files that are so: the repository's name left it out. Others tell no format."""
    found = as_it_is(f"vllm serve Qwen/Qwen2.5-7B-Instruct --quantization {named}")
    assert found["layout"]["quantisation"].upper() == format_
