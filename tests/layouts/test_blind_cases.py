"""Commands of the kinds that people ask about, held against arithmetic of their own: sizes of published files, bytes of
cache a token by layers, heads and widths, and what follows for fitting. Written before the answers were looked at.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner

from wellfed.cli.main import cli

KIB, GIB, GB = 2**10, 2**30, 1e9
# KiB of cache a token in 16 bits: 2 x layers x KV heads x width x 2 bytes, or of MLA layers x 576 x 2 bytes.
A_TOKEN = {
    "Qwen3-8B": 144, "Qwen3-14B": 160, "Qwen3-32B": 256, "Qwen3-30B-A3B": 96, "Qwen3-235B-A22B": 188, "Qwen2.5-7B": 56,
    "Qwen2.5-72B": 320, "Llama-3.1-8B": 128, "Llama-3.3-70B": 320, "Llama-3.2-3B": 112, "DeepSeek-R1": 61 * 576 * 2 / 1024,
    "GLM-4.5-Air": 184, "Mistral-Small-3.2-24B": 160, "gpt-oss-120b": 36, "gpt-oss-20b": 24,
}  # fmt: skip
CARD, PAIR = "rtx 4090, ryzen 9 7950x, 128gb", "2x rtx 3090, ryzen 9 5950x, 128gb"
MAC, SPARK = "mac studio m3 ultra 256gb", "dgx spark"
SERVER = "8x h200, 2x xeon 8480, 2tb"


def as_it_is(line: str, on: str, *more: str) -> dict[str, Any]:
    done = CliRunner().invoke(cli, ["plan", "--on", on, "--from-command", line, "--json", *more])
    assert done.exit_code in (0, 1), done.output
    found: dict[str, Any] = json.loads(done.output)["as_it_is"]
    return found


def held(found: dict[str, Any], *names: str) -> float:
    terms = [term for device in found["memory"] for term in device["terms"] if term["name"] in names]
    return float(sum(term["bytes"] for term in terms))


@pytest.mark.parametrize(
    ("line", "on", "name", "tokens", "factor"),
    [
        ("llama-server -m Qwen3-32B-Q4_K_M.gguf -ngl 99 -c 16384 -np 1", CARD, "Qwen3-32B", 16_384, 1),
        ("llama-server -m Qwen3-32B-Q4_K_M.gguf -ngl 99 -c 32768 -np 1 -ctk q8_0 -ctv q8_0", CARD, "Qwen3-32B", 32_768, 17 / 32),
        ("llama-server -m Qwen3-32B-Q4_K_M.gguf -ngl 99 -c 32768 -np 1 -ctk q8_0 -ctv q4_0", CARD, "Qwen3-32B", 32_768, 13 / 32),
        ("llama-server -m Qwen3-30B-A3B-Q4_K_M.gguf -ngl 99 -c 65536 -np 4", CARD, "Qwen3-30B-A3B", 65_536, 1),
        ("llama-server -m GLM-4.5-Air-Q4_K_M.gguf -ngl 99 -c 32768 -np 1 --cpu-moe", CARD, "GLM-4.5-Air", 32_768, 1),
        ("llama-server -m Qwen3-235B-A22B-Q4_K_M.gguf -ngl 99 -c 32768 -np 1 -ot exps=CPU", CARD, "Qwen3-235B-A22B", 32_768, 1),
        ("llama-server -m DeepSeek-R1-Q4_K_M.gguf -ngl 99 -c 65536 -np 1 -ot exps=CPU", CARD, "DeepSeek-R1", 65_536, 1),
        ("llama-server -m Llama-3.3-70B-Q4_K_M.gguf -ngl 99 -c 8192 -np 1", PAIR, "Llama-3.3-70B", 8192, 1),
        ("llama-server -m Llama-3.1-8B-Q4_K_M.gguf -ngl 99 -c 131072 -np 1 -nkvo", CARD, "Llama-3.1-8B", 131_072, 1),
        ("llama-cli -m Llama-3.2-3B-Q8_0.gguf -ngl 0 -c 16384", CARD, "Llama-3.2-3B", 16_384, 1),
        ("OLLAMA_NUM_PARALLEL=4 OLLAMA_CONTEXT_LENGTH=8192 ollama run qwen3:14b", CARD, "Qwen3-14B", 4 * 8192, 1),
        ("mlx_lm.server --model mlx-community/Qwen3-14B-4bit", MAC, "Qwen3-14B", 8192, 1),
        ("llama-server -m Qwen2.5-72B-Instruct-Q4_K_M.gguf -ngl 99 -c 32768 -np 1", SPARK, "Qwen2.5-72B", 32_768, 1),
        ("vllm serve Qwen/Qwen3-8B --max-model-len 32768", CARD, "Qwen3-8B", 32_768, 1),
        ("vllm serve Qwen/Qwen3-8B --max-model-len 32768 --kv-cache-dtype fp8", CARD, "Qwen3-8B", 32_768, 1 / 2),
        ("vllm serve Qwen/Qwen2.5-7B-Instruct --max-model-len 16K", CARD, "Qwen2.5-7B", 16_384, 1),
        ("vllm serve mistralai/Mistral-Small-3.2-24B-Instruct-2506 -tp 2 --max-model-len 16384", PAIR, "Mistral-Small-3.2-24B", 16_384, 1),
        ("vllm serve deepseek-ai/DeepSeek-R1 -tp 8 --max-model-len 65536", SERVER, "DeepSeek-R1", 65_536, 8),
        ("python -m sglang.launch_server --model-path Qwen/Qwen3-32B --tp 2 --context-length 32768", SERVER, "Qwen3-32B", 32_768, 1),
        ("trtllm-serve nvidia/Llama-3.3-70B-Instruct-FP8 --tp_size 2 --max_seq_len 32768", SERVER, "Llama-3.3-70B", 32_768, 1),
        ("lmdeploy serve api_server Qwen/Qwen3-14B --session-len 16384 --quant-policy 4", CARD, "Qwen3-14B", 16_384, 9 / 32),
    ],
)  # fmt: skip
def test_bytes_of_cache(line: str, on: str, name: str, tokens: int, factor: float) -> None:
    """Of serving engines: of one sequence, on all ranks that a command uses."""
    found = as_it_is(line, on)
    assert found["context"] in (tokens, tokens // 4)
    assert held(found, "kv") == pytest.approx(A_TOKEN[name] * KIB * tokens * factor, rel=0.05)


@pytest.mark.parametrize(
    ("line", "on", "gb"),
    [
        ("llama-server -m Qwen3-32B-Q4_K_M.gguf -ngl 99 -c 4096", CARD, 19.76),
        ("llama-server -m Llama-3.3-70B-Instruct-Q4_K_M.gguf -ngl 99 -c 4096", PAIR, 42.52),
        ("llama-server -m Qwen3-30B-A3B-Q4_K_M.gguf -ngl 99 -c 4096", CARD, 18.56),
        ("llama-server -m gpt-oss-120b-mxfp4.gguf -ngl 99 -c 4096 --cpu-moe", CARD, 63.39),
        ("llama-server -m gpt-oss-20b-mxfp4.gguf -ngl 99 -c 4096", CARD, 12.11),
        ("llama-server -m Qwen3-8B-Q8_0.gguf -ngl 99 -c 4096", CARD, 8.71),
        ("llama-server -m Llama-3.1-8B-Instruct-Q4_K_M.gguf -ngl 20 -c 4096", CARD, 4.92),
        ("llama-server -m Mistral-Small-3.2-24B-Instruct-2506-Q4_K_M.gguf -ngl 99 -c 4096", CARD, 14.33),
        ("llama-server -m Qwen3-14B-Q4_K_M.gguf -ngl 99 -c 4096", CARD, 9.00),
        ("llama-server -m DeepSeek-R1-Q4_K_M.gguf -ngl 99 -c 4096 --cpu-moe", "rtx 4090, epyc 9354, 12x64gb ddr5-4800", 404.4),
        ("llama-server -m Qwen2.5-72B-Instruct-Q4_K_M.gguf -ngl 99 -c 4096", SPARK, 47.42),
        ("vllm serve meta-llama/Llama-3.1-8B-Instruct --max-model-len 8192", CARD, 16.06),
        ("vllm serve Qwen/Qwen3-32B-AWQ --max-model-len 4096", CARD, 19.3),
        ("mlx_lm.server --model mlx-community/Llama-3.3-70B-Instruct-4bit", MAC, 39.7),
    ],
)  # fmt: skip
def test_bytes_of_weights(line: str, on: str, gb: float) -> None:
    """Published sizes of files: GPUs and RAM together (tied embeddings are loaded twice where layers are on GPUs)."""
    assert held(as_it_is(line, on), "weights") == pytest.approx(gb * GB, rel=0.05)


@pytest.mark.parametrize(
    ("line", "on", "fits"),
    [
        ("llama-server -m Qwen3-32B-Q4_K_M.gguf -ngl 99 -c 8192 -np 1", CARD, True),  # 18.4 + 2 + 0.8 of 23.7 GiB
        ("llama-server -m Qwen3-32B-Q4_K_M.gguf -ngl 99 -c 32768 -np 1", CARD, False),  # 18 + 8
        ("llama-server -m Llama-3.3-70B-Q4_K_M.gguf -ngl 99 -c 8192 -np 1", PAIR, True),  # 39.6 + 2.5 of 47.4
        ("llama-server -m Llama-3.3-70B-Q4_K_M.gguf -ngl 99 -c 32768 -np 1", PAIR, False),  # 39.6 + 10
        ("llama-server -m gpt-oss-20b-mxfp4.gguf -ngl 99 -c 131072 -np 1", "rtx 4060 ti 16gb, ryzen 5 5600, 32gb", True),
        ("llama-server -m Qwen3-30B-A3B-Q4_K_M.gguf -ngl 99 -c 8192", "rtx 4060 ti 16gb, ryzen 5 5600, 32gb", False),
        ("llama-server -m Qwen3-30B-A3B-Q4_K_M.gguf -c 8192", "rtx 4060 ti 16gb, ryzen 5 5600, 32gb", True),  # --fit
        ("vllm serve Qwen/Qwen3-14B --max-model-len 4096", CARD, False),  # 27.5 GiB of weights
        ("vllm serve Qwen/Qwen3-14B --max-model-len 4096 --quantization fp8", CARD, True),
        ("vllm serve Qwen/Qwen3-14B --max-model-len 4096 --cpu-offload-gb 12", CARD, True),
        ("vllm serve openai/gpt-oss-120b --max-model-len 8192", SPARK, True),
        ("vllm serve deepseek-ai/DeepSeek-R1 -tp 8 --max-model-len 8192", "8x h100 sxm, 2x xeon 8480, 2tb", False),
        ("vllm serve deepseek-ai/DeepSeek-R1 -tp 8 --max-model-len 131072", SERVER, True),
        ("OLLAMA_CONTEXT_LENGTH=8192 ollama run llama3.3:70b", "mac mini m4 pro 64gb", True),  # 39.6 + 2.5 of 48
        ("ollama run llama3.3:70b", "mac mini m4 pro 64gb", False),  # 131,072 tokens by its VRAM: 40 GiB more
        ("mlx_lm.server --model mlx-community/Llama-3.3-70B-Instruct-4bit", "mac mini m4 pro 24gb", False),
        ("python main.py --model-dir m --model-name Qwen3-32B-exl3-4.0bpw --max-seq-len 32768 --cache-mode Q4", CARD, True),
        ("python main.py --model-dir m --model-name Qwen3-32B-exl3-4.0bpw --max-seq-len 40960", CARD, False),  # 15 + 10
        ("python -m sglang.launch_server --model-path Qwen/Qwen3-32B", CARD, False),
        ("python -m sglang.launch_server --model-path Qwen/Qwen3-32B --tp 2", SERVER, True),
        ("llama-server -m gpt-oss-120b-mxfp4.gguf -ngl 99 -c 131072", "ryzen ai max+ 395, 64gb", False),
    ],
)  # fmt: skip
def test_whether_it_fits(line: str, on: str, fits: bool) -> None:
    assert as_it_is(line, on)["fits"] is fits
