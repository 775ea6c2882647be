"""Sizes that people's logs show, asked as they asked: each is of a kind of engine default or ledger entry.

Within 5 %, each with its source. What the logs' owners had besides (a desktop, another process) is no part of them.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner

from wellfed.catalog.sights import sights
from wellfed.cli.main import cli
from wellfed.models.picture_rules import seen
from wellfed.units import MIB

WITHIN = 0.05


def as_it_is(line: str, on: str, *more: str) -> dict[str, Any]:
    done = CliRunner().invoke(cli, ["plan", "--on", on, "--from-command", line, "--json", *more])
    assert done.exit_code in (0, 1), done.output
    found: dict[str, Any] = json.loads(done.stdout)["as_it_is"]
    return found


def size(found: dict[str, Any], device: str, *names: str) -> float:
    """MiB of a device's terms; without names of all that a process holds."""
    ledgers = [entry for entry in found["memory"] if device in (entry["device"], "all")]
    terms = [
        term for entry in ledgers for term in entry["terms"] if " " not in term["name"] or "gpu" not in term["name"]
    ]
    wanted = [
        term for term in terms if (term["name"] in names if names else term["name"] not in ("system", "kept free"))
    ]
    return float(sum(term["bytes"] for term in wanted)) / MIB


TABBY = "python main.py --model-dir m --model-name {model} --max-seq-len {tokens} --cache-mode {cache}"


@pytest.mark.parametrize(
    ("model", "tokens", "cache", "mib"),
    [
        # turboderp-org/exllamav3, issue 50: windows of Gemma 3 are cached whole, its head has 6 bits of its own
        ("gemma-3-27b-it-exl3-5.0bpw", 12_288, "Q6", 19_404),
        ("gemma-3-27b-it-exl3-5.0bpw", 22_528, "Q6", 21_660),
        ("gemma-3-27b-it-exl3-5.0bpw", 30_720, "Q6", 23_238),
        ("Llama-3_3-Nemotron-Super-49B-v1-exl3-3.0bpw", 20_480, "FP16", 23_094),
        # oobabooga/textgen, pull request 6903
        ("cogito-v1-preview-qwen-32B-exl3_4.0bpw", 8192, "FP16", 18_665),
        ("cogito-v1-preview-qwen-32B-exl3_4.0bpw", 8192, "Q4", 16_827),
    ],
)  # fmt: skip
def test_what_exllamav3_holds(model: str, tokens: int, cache: str, mib: float) -> None:
    found = as_it_is(TABBY.format(model=model, tokens=tokens, cache=cache), "rtx 4090, ryzen 9 7950x, 64gb")
    assert size(found, "gpu0") == pytest.approx(mib, rel=WITHIN)


class TestLayersOnGpus:
    LINE = "llama-server -m DeepSeek-R1-Distill-Qwen-14B-Q4_K_M.gguf -ngl 20 -c 8192 -np 1"
    ON = "rtx 4060 ti 16gb, ryzen 9 7950x, 64gb"

    def test_the_head_goes_first_since_december_2025(self) -> None:
        """lmstudio-ai/lmstudio-bug-tracker, issue 1360: "offloading output layer to GPU", 19 repeating layers."""
        found = as_it_is(self.LINE, self.ON)
        assert size(found, "gpu0", "weights") == pytest.approx(3621.44, rel=0.01)
        assert size(found, "ram", "weights") == pytest.approx(4944.60, rel=0.01)

    def test_before_it_went_last(self) -> None:
        before = as_it_is(self.LINE, self.ON, "-e", "llama.cpp@b7000")
        assert size(before, "gpu0", "weights") < 0.9 * 3621.44

    def test_what_is_planned_counts_as_it_is_launched(self) -> None:
        """The layers of a plan, given back as a command line, lie where they were planned."""
        on = "rtx 4060 8gb, ryzen 9 7950x, 64gb"
        done = CliRunner().invoke(cli, ["plan", "qwen3-14b", "-q", "q8_0", "-e", "llama.cpp", "--on", on, "--json"])
        plan = json.loads(done.stdout)["plans"][0]
        layers = plan["layout"]["offload"]["gpu_layers"]
        assert layers and plan["layout"]["offload"]["head_first"]
        again = as_it_is(f"llama-server -m Qwen3-14B-Q8_0.gguf -ngl {layers} -c 8192 -np 1", on)
        assert size(again, "gpu0", "weights") == pytest.approx(size(plan, "gpu0", "weights"), rel=0.001)

    def test_gpus_are_counted_as_they_are_written(self) -> None:
        line = "llama-server -m Qwen3-8B-Q8_0.gguf -ngl 99 -c 4096 -np 1 -ts 1,3"
        found = as_it_is(line, "rtx 3060 12gb, rtx 3090, ryzen 9 7950x, 64gb")
        assert size(found, "gpu0", "weights") < size(found, "gpu1", "weights") / 2


def test_attention_is_not_one_kernel_in_builds_before_september_2025() -> None:
    """ggml-org/llama.cpp, pull request 6122: 672.01 MiB on a card with half the layers; `-fa` was off unless asked for."""
    line, on = (
        "llama-server -m c4ai-command-r-v01-Q4_K_M.gguf -ngl 99 -c 4096 -np 1",
        "2x rtx 3090, ryzen 9 7950x, 64gb",
    )
    old = as_it_is(line, on, "-e", "llama.cpp@b2500")
    assert size(old, "gpu0", "compute") == pytest.approx(672.01, rel=WITHIN)
    assert size(as_it_is(f"{line} -fa on", on, "-e", "llama.cpp@b2500"), "gpu0", "compute") < 400
    assert size(as_it_is(line, on), "gpu0", "compute") < 400


class TestOllama:
    def test_flash_attention_that_is_asked_for_stands(self) -> None:
        """ollama/ollama, issue 5022: Codestral in Q6_K with 18k of context, 21,694 MiB of a 3090."""
        line = "OLLAMA_FLASH_ATTENTION=1 OLLAMA_CONTEXT_LENGTH=18432 OLLAMA_NUM_PARALLEL=1 ollama run codestral:22b-v0.1-q6_K"
        found = as_it_is(line, "rtx 3090, ryzen 9 7950x, 64gb", "-e", "ollama@0.1.44")
        assert size(found, "gpu0") == pytest.approx(21_694, rel=WITHIN)

    def test_old_files_of_latent_attention_cache_expanded_keys_and_values(self) -> None:
        """ollama/ollama, issue 10920: 164.8 GiB for a file of 123 GiB."""
        found = as_it_is("ollama run deepseek-v2.5", "epyc 9354, 16gb", "-e", "ollama@0.9.0")
        assert found["fits"] is False
        assert size(found, "ram") / 1024 == pytest.approx(164.8, rel=WITHIN)

    @pytest.mark.parametrize("tag", ["gemma3:4b", "qwen2.5vl:7b"])
    def test_towers_are_in_the_models_own_file(self, tag: str) -> None:
        assert size(as_it_is(f"ollama run {tag}", "rtx 3090, ryzen 9 7950x, 64gb"), "gpu0", "towers") > 500

    def test_requests_at_a_time_by_version_and_room(self) -> None:
        """ollama/ollama, pull requests 10452 and 10468."""

        def cells(version: str, model: str, on: str = "rtx 3090, ryzen 9 7950x, 64gb") -> float:
            found = as_it_is(f"ollama run {model}", on, "-e", f"ollama@{version}")
            return size(found, "all", "kv") * 1024 / 128  # Llama 3.1 8B: 128 KiB a token

        assert [cells(version, "llama3.1:8b") for version in ("0.5.4", "0.6.6", "0.9.0", "0.12.0")] == [
            8192,
            8192,
            8192,
            4096,
        ]
        assert cells("0.5.4", "llama3.1:8b", "rtx 3060 ti, ryzen 9 7950x, 64gb") == 8192
        assert cells("0.5.4", "llama3.1:8b", "rtx 2060 6gb, ryzen 9 7950x, 64gb") == 2048

    def test_a_name_without_a_tag_is_its_latest(self) -> None:
        """deepseek-r1:latest is the distilled model of 8 billion parameters; 671 have a tag of their own."""
        assert as_it_is("OLLAMA_CONTEXT_LENGTH=4096 ollama run deepseek-r1", "rtx 3090, ryzen 9 7950x, 64gb")["fits"]


def test_what_gpt_oss_takes_in_mlxs_files_and_in_ggufs() -> None:
    """ml-explore/mlx-lm, issue 644: "requires 11516 MB"; gpt-oss-20b-mxfp4.gguf has 12.1 GB whatever it is asked by."""
    on = "mac mini m4 16gb"
    found = as_it_is("mlx_lm.chat --model mlx-community/gpt-oss-20b-MXFP4-Q8", on)
    assert found["fits"] is False
    assert size(found, "gpu0", "weights") + size(found, "ram", "weights") == pytest.approx(11_516, rel=WITHIN)
    gguf = as_it_is("llama-server -hf ggml-org/gpt-oss-20b-GGUF -c 4096 -np 1", "rtx 4060 ti 16gb, ryzen 9 7950x, 64gb")
    assert size(gguf, "all", "weights") * MIB == pytest.approx(12.1e9, rel=WITHIN)


def test_sglangs_ranks_on_large_cards() -> None:
    """vllm-project/vllm, issue 21348: 367,404 tokens of cache beside Qwen3-235B-A22B-FP8 on four H100."""
    line = "python3 -m sglang.launch_server --model Qwen/Qwen3-235B-A22B-FP8 --tp 4 --mem-fraction-static 0.93"
    found = as_it_is(line, "4x h100 sxm, 2x xeon 8480, 1tb")
    gpu = found["memory"][0]
    cache = size(found, "gpu0", "kv") * MIB
    assert found["context"] * (cache + gpu["spare_bytes"]) / cache == pytest.approx(367_404, rel=WITHIN)


@pytest.mark.parametrize(("tokens", "gib"), [(20_000, 17.06 - 14.99), (29_000, 17.98 - 14.99)])
def test_the_first_engine_of_vllm_profiles_a_whole_prompt(tokens: int, gib: float) -> None:
    """vllm-project/vllm, issue 10517: Llama-3.1-8B on an RTX 3090, peak of torch less the weights."""
    line = f"vllm serve meta-llama/Llama-3.1-8B-Instruct --max-model-len {tokens}"
    found = as_it_is(line, "rtx 3090, ryzen 9 7950x, 64gb", "--engine", "vllm@0.6.4")
    assert size(found, "gpu0", "activations") == pytest.approx(gib * 1024, rel=WITHIN)


def test_gemma_4_caches_windows_whole_before_0_21() -> None:
    """vllm-project/vllm, issue 43308: "about" 55 and 525 thousand tokens on an A100 80GB, in a pool of one size."""
    line, on = (
        "vllm serve cyankiwi/gemma-4-31B-it-AWQ-4bit --gpu-memory-utilization 0.9",
        "a100 80gb sxm, epyc 7763, 512gb",
    )
    before, since = (as_it_is(line, on, "--engine", f"vllm@{version}")["cache_tokens"] for version in ("0.20", "0.21"))
    assert since / before == pytest.approx(525 / 55, rel=WITHIN)


def test_four_machines_over_rpc() -> None:
    """geerlingguy/beowulf-ai-cluster, issue 2: DeepSeek-R1 in Q4_K_M, 385,689 MiB in five buffers."""
    line = "llama-cli -m DeepSeek-R1-0528-Q4_K_M.gguf -ngl 99 --rpc 10.0.2.2:50052,10.0.2.3:50052,10.0.2.4:50052"
    found = as_it_is(line, "ryzen ai max+ 395, 128gb", "--nodes", "4", "--network", "5Gb")
    assert size(found, "all", "weights") == pytest.approx(385_689, rel=WITHIN)


@pytest.mark.parametrize(
    ("family", "width", "height", "tokens"),
    [
        ("step3", 448, 448, 169 + 2),
        ("step3", 1024, 768, 169 + 2 + 4 * (81 + 2) + 1),  # 2 x 2 windows of 504
        ("step3", 600, 300, 169 + 2 + 2 * (81 + 2)),  # long: two windows of 300
        ("phi-4-multimodal", 448, 448, 256 + 16 + 1 + 16 * 17),
        ("phi-4-multimodal", 896, 448, 256 + 16 + 1 + 16 * 33),
        ("phi-4-multimodal", 448, 224, 256 + 16 + 1 + 8 * 17),  # half of the tile is padding
        ("molmo", 300, 300, 2 * 2 + 12 * 13 + 12 * 13),
        ("molmo", 560, 336, 2 * 2 + 12 * 13 + 12 * (20 + 1)),  # two crops that share a margin
    ],
)  # fmt: skip
def test_pictures_by_the_processors_of_step_phi_and_molmo(family: str, width: int, height: int, tokens: int) -> None:
    """By hand, as their processors count (sources in the catalogue)."""
    sight = next(sight for sight in sights() if sight.id == family)
    assert seen(sight, width, height).tokens == tokens


def test_helix_divides_a_cache_of_latents() -> None:
    """Twice the ranks of attention, half the cache on each, by the lines of TensorRT-LLM's own file."""
    words = [
        "plan",
        "deepseek-r1",
        "-e",
        "tensorrt-llm",
        "--on",
        "8x b200, 2x xeon 8480, 2tb",
        "--context",
        "131072",
        "--json",
    ]
    whole, halved = (
        json.loads(CliRunner().invoke(cli, [*words, *more]).stdout)
        for more in (("--set", "tp_size=8"), ("--set", "tp_size=4", "--set", "cp_size=2"))
    )
    caches = [size(found["plans"][0], "gpu0", "kv") for found in (whole, halved)]
    assert caches[1] == pytest.approx(caches[0] / 2)
    assert "Helix" in json.dumps(halved["plans"][0]) + json.dumps(halved.get("assumptions", ""))
    refused = CliRunner().invoke(cli, [*words[:1], "qwen3-32b", *words[2:], "--set", "cp_size=2"])
    assert refused.exception is not None and "context parallelism" in str(refused.exception)


def test_what_nothing_was_measured_with_is_said() -> None:
    def assumed(*words: str) -> str:
        return CliRunner().invoke(cli, ["plan", *words, "--json"]).stdout

    server = ("--on", "8x h100 sxm, 2x xeon 8480, 2tb", "-e", "vllm", "deepseek-r1", "-q", "int4")
    assert "never wait for one another" in assumed(*server, "--set", "prefill-context-parallel-size=2", "--set", "tp=4")
    assert "never wait for one another" not in assumed(*server, "--set", "tp=8")
    card = ("-e", "vllm", "qwen3-8b", "--kv-type", "fp8", "--on")
    assert "fp8_e5m2 below compute capability" in assumed(*card, "rtx 3090, ryzen 9 5950x, 64gb")
    assert "fp8_e5m2 below compute capability" not in assumed(*card, "rtx 4090, ryzen 9 5950x, 64gb")


class TestMoreThanAModelAttendsTo:
    def test_llama_cpp_reserves_it_all_the_same(self) -> None:
        """defilantech/LLMKube, issue 87: 131,072 tokens of a 32B model are about 34 GB of cache."""
        line = "llama-server -m Qwen2.5-32B-Instruct-Q4_K_M.gguf -ngl 99 -np 1 -c "
        on = "2x rtx 5060 ti 16gb, ryzen 9 5950x, 64gb"
        wide = as_it_is(f"{line}131072", on)
        assert wide["fits"] is False and size(wide, "all", "kv") * MIB == pytest.approx(34e9, rel=WITHIN)
        assert as_it_is(f"{line}8192", on)["fits"] is True

    def test_vllm_refuses_it(self) -> None:
        line = "vllm serve Qwen/Qwen3-8B --max-model-len 131072"
        words = ["plan", "--on", "h100 sxm, xeon 8480, 256gb", "--from-command"]
        assert "refuses 131,072 tokens" in CliRunner().invoke(cli, [*words, line]).output
        stretched = f'{line} --rope-scaling \'{{"rope_type":"yarn","factor":4.0}}\''
        assert "refuses" not in CliRunner().invoke(cli, [*words, stretched]).output


def test_windows_were_cached_whole_before_each_layer_had_its_own_pages() -> None:
    """vllm-project/vllm, issue 16118: 24.00 GiB a rank for 1,048,576 tokens."""
    line = "vllm serve meta-llama/Llama-4-Scout-17B-16E-Instruct -tp 8 --max-model-len 1048576"
    on = "8x h100 sxm, 2x xeon 8480, 2tb"
    assert size(as_it_is(line, on, "-e", "vllm@0.8.3"), "gpu0", "kv") / 1024 == pytest.approx(24.0, rel=0.01)
    assert size(as_it_is(line, on), "gpu0", "kv") / 1024 < 8


PLANNER = "--max-model-len 8192 --gpu-memory-utilization 0.95"


def pool(found: dict[str, Any]) -> float:
    """GiB that the first GPU's cache may take."""
    return (size(found, "gpu0", "kv") * MIB + float(found["memory"][0]["spare_bytes"])) / 2**30


class TestWhatVllmLogsOnAnH100:
    """llm-d-incubation/llm-d-planner, pull request 205 (accuracy/accuracy_report.md): 0.95 of 79.19 GiB."""

    @staticmethod
    def served(model: str, more: str = "", version: str = "0.19", gpus: int = 1) -> dict[str, Any]:
        on = f"{gpus}x h100 sxm, xeon 8480, 256gb"
        return as_it_is(f"vllm serve {model} {PLANNER} {more}", on, "--engine", f"vllm@{version}")

    @pytest.mark.parametrize(
        ("model", "more", "tokens"),
        [
            ("meta-llama/Llama-3.1-8B-Instruct", "", 476_016),
            ("meta-llama/Llama-3.1-8B-Instruct", "--dtype float32", 175_296),
            ("Qwen/Qwen2.5-7B-Instruct", "", 1_096_000),
            ("Qwen/Qwen2.5-7B-Instruct", "--kv-cache-dtype fp8", 2_192_000),
        ],
    )
    def test_tokens(self, model: str, more: str, tokens: int) -> None:
        assert self.served(model, more)["cache_tokens"] == pytest.approx(tokens, rel=0.02)

    @pytest.mark.parametrize(("ranks", "gib"), [(1, 58.11), (2, 63.76), (4, 67.44)])
    def test_ranks(self, ranks: int, gib: float) -> None:
        found = self.served("meta-llama/Llama-3.1-8B-Instruct", f"-tp {ranks}", gpus=ranks)
        assert pool(found) == pytest.approx(gib, rel=0.02)

    @pytest.mark.parametrize(("version", "gib"), [("0.15", 41.94), ("0.16", 41.94), ("0.17", 45.34), ("0.18", 45.23)])
    def test_nothing_is_sorted_since_0_17(self, version: str, gib: float) -> None:
        assert pool(self.served("Qwen/Qwen3-14B", version=version)) == pytest.approx(gib, rel=0.02)

    @pytest.mark.parametrize(
        ("model", "gib"),
        [
            ("google/gemma-2-27b-it", 3.66),
            ("microsoft/phi-4", 1.52),
            ("Qwen/Qwen3-30B-A3B", 2.68),  # beside sampling the experts' workspace stays
        ],
    )
    def test_peaks(self, model: str, gib: float) -> None:
        assert size(self.served(model), "gpu0", "activations") / 1024 == pytest.approx(gib, rel=WITHIN)

    def test_stages_without_the_head_do_not_sample(self) -> None:
        found = self.served("meta-llama/Llama-3.1-8B-Instruct", "-pp 2", gpus=2)
        assert pool(found) == pytest.approx(66.55, rel=0.02)

    def test_windows_hold_what_is_in_flight(self) -> None:
        """At 8192 tokens gemma-3-12b's requests take as much as if it had no windows (max. concurrency +0.00 %)."""
        found = self.served("google/gemma-3-12b-it")
        whole = 48 * 8 * 256 * 2 * 2
        assert found["cache_tokens"] == pytest.approx(pool(found) * 2**30 / whole, rel=0.01)


@pytest.mark.parametrize(
    ("model", "on", "more", "gib", "tokens"),
    [
        # noonghunna/club-3090, issues 642 and 612; pools as logged, both with prefix caching
        (
            "Lorbus/Qwen3.6-27B-int4-AutoRound",
            "2x rtx 3090, ryzen 7 5800x, 64gb",
            "-tp 2 --max-model-len 262144 --kv-cache-dtype fp8_e5m2 --max-num-seqs 2 "
            """--speculative-config '{"method":"mtp","num_speculative_tokens":3}'""",
            11.05,
            623_873,
        ),
        (
            "nvidia/Qwen3.6-35B-A3B-NVFP4",
            "rtx 5090, ryzen 9 9950x, 64gb",
            "--max-model-len 131072 --kv-cache-dtype fp8 --max-num-seqs 1",
            5.98,
            567_978,
        ),
    ],
)
def test_states_at_the_ends_of_pages(model: str, on: str, more: str, gib: float, tokens: int) -> None:
    line = f"vllm serve {model} {more} --max-num-batched-tokens 8192 --kv-cache-memory-bytes {int(gib * 2**30)}"
    asked = [
        as_it_is(f"{line} {switch}", on, "-e", "vllm@0.24")["cache_tokens"]
        for switch in ("--enable-prefix-caching", "")
    ]
    assert asked[0] == pytest.approx(tokens, rel=0.02)
    assert asked[1] > asked[0]


def test_requests_of_deepseek_v4_hold_what_is_in_flight() -> None:
    """vllm-project/vllm, issue 51041: 150 thousand tokens in 7.7 GiB; 54703: blocks of 1,002,240 bytes."""
    line = (
        "vllm serve deepseek-ai/DeepSeek-V4-Flash -tp 2 --kv-cache-dtype fp8 --max-num-batched-tokens 8192 "
        f"--max-model-len 131072 --kv-cache-memory-bytes {int(7.7 * 2**30)}"
    )
    found = as_it_is(line, "2x h20, xeon 8480, 512gb", "-e", "vllm@0.26")
    assert found["cache_tokens"] == pytest.approx(150_000, rel=WITHIN)


class TestOllamasCaches:
    @pytest.mark.parametrize(
        ("version", "line", "gib"),
        [
            ("0.6.0", "OLLAMA_CONTEXT_LENGTH=2048 ollama run gemma3:27b", 992 / 1024),  # ollama/ollama, issue 9685
            ("0.14.3", "OLLAMA_CONTEXT_LENGTH=8192 ollama run glm-4.7-flash", 6.6 + 800 / 1024),  # 13789
            ("0.11.11", "OLLAMA_CONTEXT_LENGTH=131072 ollama run llama3.2:3b-instruct-q4_K_M", 14.0),  # 12305
            ("0.3.4", "OLLAMA_NUM_PARALLEL=2 OLLAMA_CONTEXT_LENGTH=128000 ollama run llama3.1:8b", 31.25),  # 6283
        ],
    )
    def test_sizes(self, version: str, line: str, gib: float) -> None:
        one = "" if "PARALLEL" in line else "OLLAMA_NUM_PARALLEL=1 "
        found = as_it_is(one + line, "rtx 3060 12gb, ryzen 9 7950x, 128gb", "-e", f"ollama@{version}")
        total = sum(size(found, device["device"], "kv") for device in found["memory"])
        assert total / 1024 == pytest.approx(gib, rel=WITHIN)

    def test_gemma_3_in_all(self) -> None:
        """ollama/ollama, issue 9730: 22 to 23 GB at 32 thousand tokens."""
        line = "OLLAMA_FLASH_ATTENTION=1 OLLAMA_NUM_PARALLEL=1 OLLAMA_CONTEXT_LENGTH=32768 ollama run gemma3:12b"
        on = "rtx 3090, ryzen 9 7950x, 64gb"
        assert size(as_it_is(line, on, "-e", "ollama@0.6.0"), "gpu0") * MIB == pytest.approx(22.5e9, rel=WITHIN)
        assert size(as_it_is(line, on), "gpu0") * MIB < 15e9


class TestPoolsByTheEnginesOwnRules:
    def test_a_small_model_on_a_card_of_48_gib(self) -> None:
        """vllm-project/vllm, pull request 57047: 36.88 GiB are 268,560 tokens of 36 layers."""
        line = "vllm serve Qwen/Qwen3-4B-AWQ --max-model-len 2048 --gpu-memory-utilization 0.85"
        found = as_it_is(line, "rtx 6000 ada, epyc 7543, 256gb", "-e", "vllm@0.32")
        assert found["cache_tokens"] == pytest.approx(268_560, rel=0.02)

    def test_sglangs_share_of_an_mi355x(self) -> None:
        """sgl-project/sglang, pull request 18263: 0.911 of the card, 204.63 GiB beside Qwen3-30B-A3B."""
        line = "python -m sglang.launch_server --model-path Qwen/Qwen3-30B-A3B-Instruct-2507"
        found = as_it_is(line, "mi355x, epyc 9575f, 512gb", "-e", "sglang@0.5.20")
        assert pool(found) == pytest.approx(204.63, rel=0.02)

    @pytest.mark.parametrize(("version", "kept_gib"), [("0.4.6", 0.12 * 79.2), ("0.4.9", 10.0), ("0.5.9", 13.0)])
    def test_sglangs_share_by_version(self, version: str, kept_gib: float) -> None:
        """One H100: 0.88; 9.5 GiB and 0.5 for a rank; 512 + 1.5 x 8192 + 2 x 256 + 128 MiB (server_args.py)."""
        line = "python -m sglang.launch_server --model-path Qwen/Qwen3-8B"
        found = as_it_is(line, "h100 sxm, xeon 8480, 256gb", "-e", f"sglang@{version}")
        live = size(found, "gpu0", "kept free", "activations", "cuda graphs") / 1024
        assert live == pytest.approx(kept_gib, rel=WITHIN)

    def test_groups_of_gemma_3_are_filled_up(self) -> None:
        """Ten layers see all, 52 a window: seven groups of ten (kv_cache_utils.py), by which the log divided its pool."""
        line = "vllm serve google/gemma-3-27b-it --max-model-len 8192 --language-model-only"
        found = as_it_is(line, "h100 sxm, xeon 8480, 256gb", "-e", "vllm@0.19")
        assert found["cache_tokens"] == pytest.approx(pool(found) * 2**30 / (70 * 16 * 128 * 2 * 2), rel=0.01)

    def test_an_a100_has_a_small_cards_batch(self) -> None:
        line = "vllm serve Qwen/Qwen3-8B"
        sizes = [
            as_it_is(line, f"{card}, xeon 8480, 256gb", "-e", f"vllm@{version}")["layout"]["batch_tokens"]
            for card, version in (("a100 80gb sxm", "0.19"), ("h100 sxm", "0.19"), ("b200", "0.26"), ("b200", "0.28"))
        ]
        assert sizes == [2048, 8192, 8192, 16384]

    def test_media_that_may_not_come_take_nothing(self) -> None:
        line, on = "vllm serve Qwen/Qwen2.5-VL-7B-Instruct", "h100 sxm, xeon 8480, 256gb"
        assert size(as_it_is(line, on), "gpu0", "pictures") > 100
        assert not size(as_it_is(f"{line} --limit-mm-per-prompt image=0,video=0", on), "gpu0", "pictures")
