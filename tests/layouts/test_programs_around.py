"""Programs around an engine: their lines say what the engine's own would, and their versions place as they did."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from wellfed.cli.main import cli
from wellfed.engines.around import in_engines_words
from wellfed.engines.ollama_place import is_flash
from wellfed.units import MIB
from wellfed.verbs import inputs

ON = "rtx 3090, ryzen 9 7950x, 64gb"


def as_it_is(line: str, on: str = ON, *more: str) -> dict[str, Any]:
    done = CliRunner().invoke(cli, ["plan", "--on", on, "--from-command", line, "--json", *more])
    assert done.exit_code in (0, 1), done.output
    found: dict[str, Any] = json.loads(done.stdout)["as_it_is"]
    return found


def held(found: dict[str, Any], device: str = "gpu0") -> dict[str, float]:
    ledger = next(entry for entry in found["memory"] if entry["device"] == device)
    return {term["name"]: term["bytes"] / MIB for term in ledger["terms"]}


class TestKoboldCpp:
    LINE = "./koboldcpp-linux-x64 --model gemma-3-12b-it-Q4_K_M.gguf --contextsize 8192 --gpulayers 99"

    def test_windows_are_cached_whole_unless_asked_otherwise(self) -> None:
        """8192 tokens and 128, in pages of 256, of 48 layers; with `--useswa` 40 of them keep 1024 and a batch."""
        token = 8 * 256 * 2 * 2 / MIB
        assert held(as_it_is(self.LINE))["kv"] == pytest.approx(48 * 8448 * token)
        windows = held(as_it_is(f"{self.LINE} --useswa"))["kv"]
        assert windows == pytest.approx((8 * 8448 + 40 * (1024 + 512)) * token)

    def test_its_caches_by_number_and_by_name(self) -> None:
        plain = held(as_it_is(self.LINE))["kv"]
        for text in ("1", "q8_0"):
            assert held(as_it_is(f"{self.LINE} --quantkv {text}"))["kv"] == pytest.approx(plain * 17 / 32)
        keys_alone = held(as_it_is(f"{self.LINE} --quantkv 1 --noflashattention"))["kv"]
        assert keys_alone == pytest.approx(plain * (17 / 32 + 1) / 2)

    def test_attention_by_version(self) -> None:
        line = "koboldcpp.exe --usecublas --gpulayers 99 --contextsize 16384 Mistral-Nemo-Instruct-2407-Q6_K.gguf"
        old = held(as_it_is(line, ON, "-e", "koboldcpp@1.90"))["compute"]
        assert old > 2 * held(as_it_is(line))["compute"]
        assert held(as_it_is(f"{line} --flashattention", ON, "-e", "koboldcpp@1.90"))["compute"] < old / 2

    def test_lists_of_words(self) -> None:
        line = "python koboldcpp.py --usecublas normal 0 mmq --tensor_split 3 1 --lora a.gguf -m Qwen3-8B-Q8_0.gguf"
        words = " ".join(in_engines_words(line.split()))
        assert "-m Qwen3-8B-Q8_0.gguf" in words and "-ts 3,1" in words and "CUDA_VISIBLE" not in words
        alone = " ".join(in_engines_words(["koboldcpp", "--usecublas", "1", "Qwen3-8B-Q8_0.gguf"]))
        assert alone.startswith("CUDA_VISIBLE_DEVICES=1 llama-server -m Qwen3-8B-Q8_0.gguf")

    def test_layers_nobody_counts_are_fitted(self) -> None:
        found = as_it_is("koboldcpp Qwen3-32B-Q8_0.gguf --contextsize 4096")
        assert found["fits"] and 0 < found["layout"]["offload"]["gpu_layers"] < 64
        assert as_it_is("koboldcpp Qwen3-32B-Q8_0.gguf --usecpu")["layout"]["offload"]["gpu_layers"] == 0


def test_textgen_starts_its_loaders() -> None:
    """modules/shared.py: 1024 tokens at a time, one slot; 8192 tokens where layers are counted and no context is."""
    found = as_it_is("python server.py --model Qwen3-14B-Q4_K_M.gguf --gpu-layers 99 --cache-type q8_0")
    assert found["layout"]["ubatch_tokens"] == 1024 and found["context"] == 8192
    assert held(found)["kv"] == pytest.approx(8192 * 40 * 8 * 128 * 2 * 34 / 32 / MIB)
    exl = as_it_is(
        "python server.py --loader exllamav3 --model Qwen3-14B-exl3-4.0bpw --ctx-size 16384 --cache-type q8_q6"
    )
    assert exl["layout"]["engine"] == "exllamav3"
    assert held(exl)["kv"] == pytest.approx(16384 * 40 * 8 * 128 * (8.5 + 6.5) / 8 / MIB)


def test_lm_studio_loads() -> None:
    found = as_it_is("lms load qwen3-14b --gpu max --context-length 8192")
    assert found["context"] == 8192 and held(found)["kv"] == pytest.approx(8192 * 40 * 8 * 128 * 4 / MIB)
    assert as_it_is("lms load qwen3-14b --gpu off")["layout"]["offload"]["gpu_layers"] == 0


@given(st.lists(st.text(max_size=12), max_size=6))
def test_any_words_are_read_or_left_as_they_are(words: list[str]) -> None:
    for program in ("koboldcpp", "server.py", "lms"):
        line = in_engines_words([program, *words])
        assert isinstance(line, list) and all(isinstance(word, str) for word in line)


class TestOllamaByVersion:
    def test_layers_by_its_own_estimate(self) -> None:
        """ollama/ollama, issue 5913: 43 of 81 layers in 24 GiB (a model of 72B in Q4_K_S, 640 MiB of cache)."""
        line = "OLLAMA_NUM_PARALLEL=1 OLLAMA_CONTEXT_LENGTH=2048 ollama run qwen2:72b-instruct-q4_K_S"
        found = as_it_is(line, "rx 7900 xtx, ryzen 9 7950x, 64gb", "-e", "ollama@0.2.8")
        assert found["layout"]["offload"]["gpu_layers"] == 43
        assert held(found)["kv"] + held(found, "ram")["kv"] == pytest.approx(640)

    def test_as_few_gpus_as_hold_it(self) -> None:
        on = "2x rtx 3090, ryzen 9 7950x, 64gb"
        for version in ("0.12.7", "0.32.0"):
            line = "OLLAMA_CONTEXT_LENGTH=8192 ollama run {tag}"
            assert as_it_is(line.format(tag="qwen3:8b"), on, "-e", f"ollama@{version}")["layout"]["gpus"] == 1
            assert as_it_is(line.format(tag="llama3.3:70b"), on, "-e", f"ollama@{version}")["layout"]["gpus"] == 2

    def test_llama_server_leaves_experts_on_the_cpu(self) -> None:
        """Since 0.30; before whole layers went there."""
        line, on = "OLLAMA_CONTEXT_LENGTH=8192 ollama run gpt-oss:120b", "rtx 3090, ryzen 9 7950x, 96gb"
        now = as_it_is(line, on)["layout"]["offload"]
        before = as_it_is(line, on, "-e", "ollama@0.13.5")["layout"]["offload"]
        assert now["cpu_expert_layers"] and now["gpu_layers"] is None
        assert before["gpu_layers"] and not before["cpu_expert_layers"]

    @pytest.mark.parametrize(("context", "batch"), [(4096, 512), (8192, 1024), (65_536, 2048)])
    def test_tokens_at_a_time_since_0_30(self, context: int, batch: int) -> None:
        """server/sched.go, `generationBatchForContext`."""
        line = f"OLLAMA_CONTEXT_LENGTH={context} ollama run llama3.2:3b"
        assert as_it_is(line)["layout"]["ubatch_tokens"] == batch
        assert as_it_is(line, ON, "-e", "ollama@0.20.0")["layout"]["ubatch_tokens"] == 512
        assert as_it_is(f"OLLAMA_FLASH_ATTENTION=0 {line}")["layout"]["ubatch_tokens"] == 512

    @pytest.mark.parametrize(
        ("model", "since"),
        [("gpt-oss-20b", (0, 11, 8)), ("qwen3-8b", (0, 12, 7)), ("llama-3.1-8b", (0, 14, 0)), ("phi-4", (0, 14, 0))],
    )
    def test_attention_in_one_kernel_by_model(self, model: str, since: tuple[int, int, int]) -> None:
        """fs/ggml/ggml.go, `FlashAttention`."""
        known = inputs.model(model).model
        assert is_flash(since, known) and not is_flash((0, 11, 6), known)
        assert is_flash((0, 12, 0), known) is (since <= (0, 12, 0))

    def test_expanded_keys_and_values_until_spring_2025(self) -> None:
        """ollama/ollama, issue 8447: 9,760 MiB of cache for 2048 tokens of DeepSeek-R1."""
        line = "OLLAMA_NUM_PARALLEL=1 OLLAMA_CONTEXT_LENGTH=2048 ollama run deepseek-r1:671b"
        found = as_it_is(line, "epyc 9354, 768gb", "-e", "ollama@0.5.4")
        assert held(found, "ram")["kv"] == pytest.approx(9760, rel=0.001)

    def test_a_coarser_cache_needs_it(self) -> None:
        line, on = (
            "OLLAMA_KV_CACHE_TYPE=q8_0 OLLAMA_CONTEXT_LENGTH=8192 ollama run llama3.1:8b",
            ("-e", "ollama@0.12.0"),
        )
        plain = held(as_it_is(line, ON, *on))["kv"]
        assert held(as_it_is(f"OLLAMA_FLASH_ATTENTION=1 {line}", ON, *on))["kv"] == pytest.approx(plain * 17 / 32)


class TestContextsThatNobodyNames:
    def test_llama_cpp_before_and_after_it_fitted(self) -> None:
        line = "llama-server -m Qwen3-14B-Q8_0.gguf -ngl 99 -np 1"
        assert as_it_is(line, ON, "-e", "llama.cpp@b7000")["context"] == 4096
        assert as_it_is(f"{line} -c 0", ON)["context"] == 40_960
        fitted = as_it_is(line, "rtx 4060 ti 16gb, ryzen 9 7950x, 64gb")
        assert 4096 <= fitted["context"] < 40_960 and fitted["context"] % 256 == 0

    def test_all_of_ram_but_one_gib_without_gpus(self) -> None:
        small, large = (as_it_is("llama-server -m Qwen3-8B-Q8_0.gguf", f"ryzen 9 7950x, {ram}gb") for ram in (12, 64))
        assert 4096 <= small["context"] < large["context"] == 40_960

    def test_several_gpus_are_filled_one_by_one(self) -> None:
        found = as_it_is(
            "llama-server -m Qwen3-32B-Q6_K.gguf -c 16384 -np 1", "rtx 3090, rtx 3060 12gb, ryzen 9 7950x, 64gb"
        )
        assert found["fits"] and found["layout"]["offload"]["gpu_layers"] in (None, 65)


def test_logits_of_one_token_a_sequence_since_june_2026() -> None:
    """ggml-org/llama.cpp, pull request 23861: 2048 rows of 248,320 words were 1940 MiB."""
    line = "llama-server -m Qwen3.5-9B-UD-Q4_K_XL.gguf -c 8192 -ub 2048 -np 1 -ngl 99"
    before, since = (held(as_it_is(line, ON, "-e", f"llama.cpp@b{build}"))["compute"] for build in (9272, 9893))
    assert before > 1940 and since < 1000


def test_a_repositorys_projector_comes_along() -> None:
    line = "llama-server -hf ggml-org/gemma-3-4b-it-GGUF -c 8192 -np 1"
    assert held(as_it_is(line))["towers"] > 500
    assert "towers" not in held(as_it_is(f"{line} --no-mmproj"))
    assert "towers" not in held(as_it_is("llama-server -hf ggml-org/gpt-oss-20b-GGUF -c 8192 -np 1"))


@pytest.mark.parametrize(("tokens", "fits"), [(71_000, True), (72_000, False)])
def test_old_builds_keep_activations_in_one_buffer(tokens: int, fits: bool) -> None:
    """ggml-org/llama.cpp, issue 11598: Vulkan's driver allocates 4 GiB at most."""
    line = f"llama-server -m Qwen2.5-7B-Instruct-1M-Q8_0.gguf -ngl 99 --back-end vulkan -np 1 -c {tokens}"
    assert as_it_is(line, "mi60, epyc 7302, 64gb", "-e", "llama.cpp@b4615")["fits"] is fits
