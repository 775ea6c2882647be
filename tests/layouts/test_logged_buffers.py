"""Buffers that llama.cpp's builds of 2026 logged, asked for by the command lines that were run."""

from __future__ import annotations

import pytest
from tests.layouts.test_public_troubles import WITHIN, as_it_is, size


class TestExpertsInRamWithLongMicroBatches:
    """ggml-org/llama.cpp, issue 23527 (comment of 2026-05-28): the same line before and after two changes."""

    LINE = (
        "llama-server -m Qwen3.6-35B-A3B-UD-Q4_K_XL.gguf -c 150000 -b 4096 -ub 4096 -fa on -ctk q8_0 -ctv q8_0 "
        "--kv-unified --cpu-moe -np 1 -ngl 99"
    )

    @pytest.mark.parametrize(("build", "card", "host"), [("b9272", 3976, 2408), ("b9470", 1982, 1236)])
    def test_by_build(self, build: str, card: float, host: float) -> None:
        found = as_it_is(self.LINE, "rtx 3080 10gb, ryzen 9 5900x, 64gb", "-e", f"llama.cpp@{build}")
        assert size(found, "gpu0", "compute") == pytest.approx(card, rel=WITHIN)
        assert size(found, "ram", "compute") == pytest.approx(host, rel=0.01)


class TestPredictionLayers:
    """HilbertraumAI/HilbertRaum, issues 318 and 391: build 9849 on an RTX 3090, by Vulkan."""

    LINE = "llama-server --model Qwen3.8-27B-UD-Q4_K_M.gguf -b 2048 -ub 2048 --spec-type draft-mtp --spec-draft-n-max 2"
    ON = "rtx 3090, core i9-9900x, 128gb"

    def test_four_slots_each_with_states_to_fall_back_to(self) -> None:
        found = as_it_is(f"{self.LINE} -c 8192", self.ON, "-e", "llama.cpp@b9849")
        assert size(found, "gpu0", "kv") == pytest.approx(512 + 1795.5, rel=0.001)
        assert size(found, "gpu0", "draft kv") == pytest.approx(32, rel=0.001)
        assert size(found, "gpu0", "draft compute") == pytest.approx(520.06, rel=0.01)
        everything = size(found, "gpu0", "weights", "draft weights", "kv", "compute", "draft kv", "draft compute")
        assert everything == pytest.approx(15_009.2 + 512 + 1795.5 + 568.53 + 552.06, rel=WITHIN)

    def test_one_slot(self) -> None:
        found = as_it_is(f"{self.LINE} -c 32768 -np 1", self.ON, "-e", "llama.cpp@b9849")
        assert size(found, "gpu0", "kv") == pytest.approx(2048 + 448.88, rel=0.001)

    def test_builds_before_drafted_for_one(self) -> None:
        found = as_it_is(f"{self.LINE} -c 8192", self.ON, "-e", "llama.cpp@b9100")
        assert size(found, "gpu0", "kv") == pytest.approx(512 + 448.88, rel=0.001)


def test_windows_are_whole_where_ollama_has_llama_cpp_as_a_library() -> None:
    """`swa_full` of llama_context_default_params (src/llama-context.cpp of ggml-org/llama.cpp, b7000): its own default,
    which llama-server alone turns off."""
    line, on = "OLLAMA_NUM_PARALLEL=2 OLLAMA_CONTEXT_LENGTH=8192 ollama run gemma2:2b", "rx 6600, ryzen 5 5600x, 32gb"
    assert size(as_it_is(line, on, "-e", "ollama@0.13"), "gpu0", "kv") == pytest.approx(2 * 832)
    assert size(as_it_is(line, on, "-e", "ollama@0.31"), "gpu0", "kv") < 2 * 832
    own = as_it_is(
        "OLLAMA_CONTEXT_LENGTH=32768 ollama run gemma3:4b", "rtx 3090, ryzen 9 7950x, 64gb", "-e", "ollama@0.13"
    )
    assert size(own, "gpu0", "kv") < 34 * 4 * 256 * 4 * 32_768 / 2**20 / 2


def test_what_speaks_is_in_no_projector() -> None:
    """ggml-org/llama.cpp, pull request 21489: 2447.80 MiB for Qwen2.5-Omni-3B's towers and what a pass of them takes;
    talker and vocoder are another billion."""
    found = as_it_is(
        "llama-server -hf ggml-org/Qwen2.5-Omni-3B-GGUF -c 4096 -np 1 -ngl 99", "rtx 3090, ryzen 9 7950x, 64gb"
    )
    assert 2447.80 * 0.9 < size(found, "gpu0", "towers") < 2447.80 * 1.05
    served = as_it_is("vllm serve Qwen/Qwen2.5-Omni-7B --max-model-len 4096", "rtx 6000 ada, epyc 7543, 256gb")
    assert size(served, "gpu0", "weights") / 1024 == pytest.approx((7.615616512e9 + 1.3181e9) * 2 / 2**30, rel=WITHIN)


@pytest.mark.parametrize(("tokens", "mib"), [(40_960, 61_807), (4096, 61_807 - 3456)])
def test_a_mixture_in_16_bits(tokens: int, mib: float) -> None:
    """ggml-org/llama.cpp, tools/fit-params/README.md (build 6895): what a card would hold."""
    line = f"llama-server -m Qwen3-30B-A3B-F16.gguf -c {tokens} -ngl 99 -np 1"
    found = as_it_is(line, "h100 sxm, xeon 8480, 256gb", "-e", "llama.cpp@b6895")
    assert size(found, "gpu0", "weights", "kv", "compute") == pytest.approx(mib, rel=0.001)


def test_windows_of_four_slots() -> None:
    """ggml-org/llama.cpp, issue 18996: 384 and 24 MiB of gpt-oss-20b."""
    line, on = "llama-server -m gpt-oss-20b-mxfp4.gguf -c 16384 -ngl 99", "rtx 4060 ti 16gb, ryzen 9 7950x, 64gb"
    assert size(as_it_is(line, on), "gpu0", "kv") == pytest.approx(384 + 24, rel=0.001)


def test_gemma_4_12b() -> None:
    """HilbertraumAI/HilbertRaum, issue 318: projected to use 9226 MiB on a card of 12 GB, four slots over one cache."""
    line = "llama-server -m gemma-4-12b-it-qat-Q4_0.gguf -c 8192 -b 2048 -ub 2048"
    found = as_it_is(line, "rtx 5070, ryzen 9 7900, 64gb", "-e", "llama.cpp@b9900")
    assert size(found, "gpu0", "weights", "kv", "compute") == pytest.approx(9226, rel=WITHIN)


def test_ollama_kept_room_for_all_scores_of_the_largest_picture_while_it_estimated() -> None:
    """`VisionGraphSize` of fs/ggml/ggml.go (ollama/ollama, 0.11.0): 8.7 GiB beside Mistral Small 3.1, whose tower's pass
    takes a few hundred MiB: layers of it stay in RAM on a card that later versions put it on whole."""
    line, on = "OLLAMA_CONTEXT_LENGTH=4096 ollama run mistral-small3.1:24b", "rtx 3090, ryzen 9 7950x, 64gb"
    before, since = (as_it_is(line, on, "-e", f"ollama@{version}") for version in ("0.11.0", "0.13.5"))
    assert 0 < before["layout"]["offload"]["gpu_layers"] < 40
    assert since["layout"]["offload"]["gpu_layers"] is None
