"""What serving engines logged of their memory in public reports, asked by the command line that was typed there.

Within 5 % unless a case says otherwise; each is of a kind: a profile run, what is beside torch, what a driver keeps.
"""

from __future__ import annotations

import json
import shlex
from typing import Any

import pytest
from click.testing import CliRunner
from tests.layouts.test_public_troubles import WITHIN, as_it_is, pool, size

from wellfed.cli.main import cli

DESK = "ryzen 9 7950x, 64gb"
SERVER = "2x xeon 8480, 2tb"


def gib(found: dict[str, Any], *names: str) -> float:
    """GiB of the first GPU's terms."""
    return size(found, "gpu0", *names) / 1024


class TestWhatAQuestionDoesNotBring:
    """A plan without pictures counts what its launch line has loaded."""

    H100 = "h100 sxm, xeon 8480, 256gb"

    def planned(self, engine: str, *more: str, model: str = "qwen3.6-27b") -> tuple[dict[str, Any], str]:
        words = ["plan", model, "-e", engine, "--on", self.H100, *more]
        done = CliRunner().invoke(cli, [*words, "--json"])
        assert done.exit_code == 0, done.output
        plan = json.loads(done.stdout)["plans"][0]
        lines = [step["command"] for step in json.loads(done.stdout)["plans"][0]["next"] if "serve" in step["command"]]
        return plan, next(line for line in lines if not line.startswith("wellfed"))

    @pytest.mark.parametrize(
        ("engine", "words"),
        [
            ("vllm", ["--language-model-only"]),
            ("vllm@0.32", ["--language-model-only"]),
            ("vllm@0.14", ["--limit-mm-per-prompt", '{"image": 0, "video": 0}']),
        ],
    )
    def test_towers_are_left_away_where_the_engine_can(self, engine: str, words: list[str]) -> None:
        plan, line = self.planned(engine)
        typed = shlex.split(line)
        at = typed.index(words[0])
        assert typed[at : at + len(words)] == words
        read = as_it_is(line, self.H100, "-e", engine)
        for name in ("weights", "activations", "kept free"):
            assert size(read, "gpu0", name) == pytest.approx(size(plan, "gpu0", name), rel=0.001)
        assert not size(read, "gpu0", "pictures") and not size(plan, "gpu0", "pictures")

    @pytest.mark.parametrize("engine", ["vllm@0.9", "sglang"])
    def test_else_they_are_counted_with_what_is_kept_for_them(self, engine: str) -> None:
        plan, line = self.planned(engine, "-q", "fp8")
        assert "language-model-only" not in line and "limit-mm" not in line
        read = as_it_is(line, self.H100, "-e", engine)
        for name in ("weights", "pictures", "kept free"):
            assert size(read, "gpu0", name) == pytest.approx(size(plan, "gpu0", name), rel=0.001)
        if engine.startswith("vllm"):
            assert size(plan, "gpu0", "pictures") > 500

    def test_what_somebody_pins_stands(self) -> None:
        plan, line = self.planned("vllm", "--set", 'limit-mm-per-prompt={"image": 2}')
        assert "--language-model-only" not in line and '{"image": 2}' in line
        assert size(plan, "gpu0", "pictures") > 0

    def test_models_that_see_nothing_need_no_word(self) -> None:
        _, line = self.planned("vllm", model="qwen3-8b")
        assert "language-model-only" not in line

    def test_questions_with_pictures_load_towers(self) -> None:
        plan, line = self.planned("vllm", "--images", "1")
        assert "--language-model-only" not in line and size(plan, "gpu0", "pictures") > 0


class TestTheFirstEngineOfVllm:
    def test_it_sorts_what_it_samples_from(self) -> None:
        """vllm-project/vllm, pull request 10511: 14.96 GiB of weights, 1.26 of activations."""
        found = as_it_is("vllm serve meta-llama/Meta-Llama-3-8B", f"h100 sxm, {SERVER}", "-e", "vllm@0.6.5")
        assert gib(found, "weights") == pytest.approx(14.96, rel=0.01)
        assert gib(found, "activations") == pytest.approx(1.26, rel=WITHIN)

    def test_on_the_first_rank_of_two_cards(self) -> None:
        """vllm-project/vllm, issue 13061: 131,072 tokens are more than the 81,536 of the cache."""
        line = "vllm serve deepseek-ai/DeepSeek-R1-Distill-Qwen-14B -tp 2 --gpu-memory-utilization 0.98"
        found = as_it_is(line, f"2x rtx 4090, {DESK}", "-e", "vllm@0.7.2")
        assert found["fits"] is False
        assert found["cache_tokens"] == pytest.approx(81_536, rel=WITHIN)

    def test_as_many_sequences_as_are_said(self) -> None:
        """vllm-project/vllm, issue 17327: 5.34 GiB of cache beside 15.68 of weights."""
        line = "VLLM_USE_V1=0 vllm serve nytopop/Qwen3-30B-A3B.w4a16 --gpu-memory-utilization 0.9 --max-num-seqs 8"
        found = as_it_is(line, f"rtx 3090, {DESK}", "-e", "vllm@0.8.5")
        assert gib(found, "weights") == pytest.approx(15.68, rel=0.01)
        assert pool(found) == pytest.approx(5.34, rel=WITHIN)

    def test_a_variable_chooses_the_engine(self) -> None:
        line, on = "vllm serve Qwen/Qwen3-8B --max-model-len 40000", f"rtx 4090, {DESK}"
        batches = [
            as_it_is(f"{chosen} {line}", on, "-e", f"vllm@{version}")["layout"]["batch_tokens"]
            for version, chosen in (
                ("0.8.5", ""), ("0.8.5", "VLLM_USE_V1=0"), ("0.7.3", ""), ("0.7.3", "VLLM_USE_V1=1"),
            )
        ]  # fmt: skip
        assert batches == [2048, 512, 512, 2048]


class TestTowersOfQwen:
    """Positions are stretched to the largest picture, whole on every rank: more than the blocks need."""

    def test_two_rtx_3090(self) -> None:
        """mitchross/talos-argocd-proxmox, pull request 1995: 302,921 tokens in 4.99 GiB a card."""
        line = (
            "vllm serve Qwen/Qwen3.8-27B-FP8 -tp 2 --gpu-memory-utilization 0.92 --kv-cache-dtype fp8_e4m3 "
            "--enable-prefix-caching --max-num-batched-tokens 8192 --max-num-seqs 2 --max-model-len 131072"
        )
        found = as_it_is(line, f"2x rtx 3090, {DESK}", "-e", "vllm@0.26")
        assert pool(found) == pytest.approx(4.99, rel=WITHIN)
        assert found["cache_tokens"] == pytest.approx(302_921, rel=0.06)  # newer drivers leave 23.56 GiB of a 3090

    def test_two_rtx_5090(self) -> None:
        """noonghunna/club-3090, issue 1087: 31.4 GiB a card, a peak of 1.59 with 0.13 for graphs, 12.26 of cache."""
        line = (
            "vllm serve Qwen/Qwen3.8-27B-FP8 -tp 2 --gpu-memory-utilization 0.92 --kv-cache-dtype fp8 "
            "--enable-prefix-caching --max-num-batched-tokens 8192 --max-num-seqs 2 --max-model-len 262144 "
            """--speculative-config '{"method":"mtp","num_speculative_tokens":3}'"""
        )
        found = as_it_is(line, f"2x rtx 5090, {DESK}", "-e", "vllm@0.27")
        assert found["memory"][0]["capacity_bytes"] / 2**30 == pytest.approx(31.4, rel=0.005)
        assert gib(found, "activations", "pictures") == pytest.approx(1.59 - 0.13, rel=0.02)
        assert pool(found) == pytest.approx(12.26, rel=WITHIN)
        consumed = gib(found, "weights", "draft weights", "engine context")  # the tower is divided with the model
        assert consumed == pytest.approx(15.03, rel=0.01)
        assert gib(found, "cuda graphs") == pytest.approx(0.13, rel=0.2)

    def test_each_has_it_whole_by_data(self) -> None:
        line, on = "vllm serve Qwen/Qwen3.8-27B-FP8 -tp 2 --max-model-len 8192", f"2x rtx 5090, {DESK}"
        divided, whole = (as_it_is(f"{line} {mode}", on) for mode in ("", "--mm-encoder-tp-mode data"))
        tower = gib(whole, "weights") - gib(as_it_is(f"{line} --language-model-only", on), "weights")
        assert gib(whole, "weights") - gib(divided, "weights") == pytest.approx(tower / 2, rel=0.001)

    def test_tiles_scales_on_cards_without_fp8(self) -> None:
        """noonghunna/club-3090, pull request 1139: 15.25 GiB of weights and the like on 3090s, 15.03 on 5090s."""
        line = "vllm serve Qwen/Qwen3.8-27B-FP8 -tp 2 --max-model-len 8192"
        older, newer = (gib(as_it_is(line, f"2x {card}, {DESK}"), "weights") for card in ("rtx 3090", "rtx 5090"))
        assert older - newer == pytest.approx(15.25 - 15.03, rel=0.25)


class TestExpertsThatRanksDivideWhole:
    @pytest.mark.parametrize(("share", "size_gib"), [("", 48.66), ("--gpu-memory-utilization 0.95", 55.65)])
    def test_each_computes_the_tokens_of_all(self, share: str, size_gib: float) -> None:
        """vllm-project/recipes, pull request 12: eight copies of attention, 262,144 tokens (62 GiB) do not fit."""
        line = f"vllm serve Qwen/Qwen3-Coder-480B-A35B-Instruct-FP8 -dp 8 --enable-expert-parallel {share}"
        found = as_it_is(line, f"8x h20 141gb, {SERVER}", "-e", "vllm@0.10.1")
        assert pool(found) == pytest.approx(size_gib, rel=WITHIN)
        assert gib(found, "kv") == pytest.approx(62.0, rel=0.01)
        assert found["fits"] is False


class TestDeepseekV4:
    @pytest.mark.parametrize(("tokens", "peak"), [(8224, 5.30), (2048, 1.39)])
    def test_its_streams_are_alive(self, tokens: int, peak: float) -> None:
        """MiaAI-Lab/DeepSeek-v4-Flash-One-DGX-Spark, issue 4."""
        line = f"vllm serve deepseek-ai/DeepSeek-V4-Flash --max-num-seqs 1 --max-num-batched-tokens {tokens}"
        found = as_it_is(f"{line} --kv-cache-dtype fp8 --max-model-len 262144", "dgx spark")
        assert gib(found, "activations") == pytest.approx(peak, rel=0.07)

    def test_on_two_gh200(self) -> None:
        """vllm-project/vllm, issue 44376: 5.44 GiB are too little for 30,000 tokens; offline, 16,384 tokens a pass."""
        line = (
            "vllm serve deepseek-ai/DeepSeek-V4-Flash -tp 2 --enable-expert-parallel --max-num-batched-tokens 16384 "
            "--max-model-len 30000 --gpu-memory-utilization 0.95 --kv-cache-dtype fp8"
        )
        found = as_it_is(line, "2x gh200 96gb", "-e", "vllm@0.22")
        assert found["fits"] is False
        assert pool(found) == pytest.approx(5.44, rel=0.07)  # whole experts are counted as parts of all


def test_ranks_behind_a_switch_before_0_18() -> None:
    """vllm-project/vllm, issue 21348: 8.11 GiB beside Qwen3-235B-A22B-FP8 on four H100 (0.9.2, with LMCache)."""
    line = "vllm serve Qwen/Qwen3-235B-A22B-FP8 --tensor-parallel-size 4"
    found = as_it_is(line, f"4x h100 sxm, {SERVER}", "-e", "vllm@0.9.2")
    assert pool(found) == pytest.approx(8.11, rel=0.06)


@pytest.mark.parametrize(
    ("line", "on", "version", "weights"),
    [
        # vllm-project/vllm, pull request 14447; issues 15676, 17469; HabanaAI/vllm-fork, issue 809
        ("cognitivecomputations/DeepSeek-R1-AWQ -tp 16", "16x rtx 3090", "0.8.3", 21.21),
        ("google/gemma-3-27b-it -tp 4", "4x rtx 4090", "0.8.2", 13.1665),
        ("Qwen/Qwen3-30B-A3B -tp 4", "4x rtx 4090", "0.8.5", 14.2474),
        ("deepseek-ai/DeepSeek-R1 -tp 8", "8x h200", "0.7.3", 79.41),
        ("google/gemma-3-4b-it", "b200", "0.10.0", 8.58),  # pull request 21489, with angles of stretched positions
    ],
)
def test_weights_of_a_rank(line: str, on: str, version: str, weights: float) -> None:
    found = as_it_is(f"vllm serve {line}", f"{on}, {SERVER}", "-e", f"vllm@{version}")
    assert gib(found, "weights") == pytest.approx(weights, rel=0.02)


def test_a_million_tokens_of_mistral_small_4() -> None:
    """kaito-project/kaito, issue 2132: 22.5 GiB for the model's 1,048,576 tokens, so many as it takes unasked."""
    found = as_it_is("vllm serve mistralai/Mistral-Small-4-119B-2603 -tp 2", f"2x h100 nvl, {SERVER}")
    assert found["context"] == 1_048_576
    assert gib(found, "kv") == pytest.approx(22.5, rel=0.01)


class TestLatentsThatAreAbsorbed:
    """Their up projections are copied in 16 bits, by heads."""

    def test_ktransformers_in_sglang(self) -> None:
        """kvcache-ai/ktransformers, issue 1804: 13.06 GiB a card with two experts of each layer; 0.65 for 10,000 tokens."""
        line = (
            "python -m sglang.launch_server --model deepseek-ai/DeepSeek-V3 --kt-weight-path /w --kt-method AMXINT8 "
            "--kt-num-gpu-experts 2 --kt-cpuinfer 80 --kt-threadpool-count 2 --tensor-parallel-size 2 "
            "--chunked-prefill-size 4096 --context-length 10000 --max-running-requests 1"
        )
        found = as_it_is(line, f"2x rtx 6000 ada, {SERVER}", "-e", "sglang@0.5.6")
        assert gib(found, "weights") == pytest.approx(13.06, rel=0.03)
        assert gib(found, "kv") == pytest.approx(0.65, rel=0.02)

    def test_copies_of_attention_have_all_heads(self) -> None:
        line = "vllm serve deepseek-ai/DeepSeek-R1 --enable-expert-parallel --max-model-len 8192"
        on = f"8x h200, {SERVER}"
        heads = 61 * 128 * (128 + 128) * 512 * 2 / 2**30
        whole, divided = (as_it_is(f"{line} {degrees}", on) for degrees in ("-dp 8", "-tp 8"))
        expanded = as_it_is(
            f"{line} -tp 8", on, "-e", "vllm@0.6.6"
        )  # which cached keys and values, and absorbed nothing
        assert gib(divided, "weights") - gib(expanded, "weights") == pytest.approx(heads / 8, rel=0.01)
        assert gib(whole, "weights") - gib(divided, "weights") > heads * 7 / 8


@pytest.mark.parametrize(("share", "flag"), [(0.8, ""), (0.5, "--cache-max-entry-count 0.5")])
def test_lmdeploy_takes_its_share_of_what_is_free(share: float, flag: str) -> None:
    """Of what the driver calls free once weights are there: a process's context is gone from it, too
    (`_get_free_gpu_mems` and `_update_num_gpu_blocks` of lmdeploy/pytorch/engine/executor/base.py,
    https://github.com/InternLM/lmdeploy/blob/1263d5cd889b7ad500e85b8eb20401327a4516ab/lmdeploy/pytorch/engine/executor/base.py).
    """
    found = as_it_is(f"lmdeploy serve api_server Qwen/Qwen3-8B {flag}", "a100 80gb sxm, epyc 7763, 512gb")
    card = found["memory"][0]["capacity_bytes"] / 2**30
    free = card - gib(found, "weights") - gib(found, "engine context")
    assert 0.3 < gib(found, "engine context") < 0.7
    assert pool(found) == pytest.approx(share * free, rel=0.005)


def test_tensorrt_llms_cache_leaves_a_context() -> None:
    """Its fraction is of what the driver calls free, in which a process's context is no more."""
    line = "trtllm-serve meta-llama/Llama-2-7b-chat-hf --max_batch_size 1 --max_num_tokens 4096"
    found = as_it_is(line, "a100 80gb sxm, epyc 7763, 512gb")
    used = sum(gib(found, name) for name in ("weights", "engine context", "activations", "cuda graphs"))
    assert pool(found) == pytest.approx(0.9 * (found["memory"][0]["capacity_bytes"] / 2**30 - used), rel=0.005)
    assert 0.3 < gib(found, "engine context") < 0.7
