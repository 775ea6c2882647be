"""How rows of llama.cpp on GPUs are understood."""

from __future__ import annotations

import pytest

from wellfed.accuracy.case import Case, Row, Skipped
from wellfed.accuracy.rows_llamacpp import interpret
from wellfed.catalog.calibration import bundled

BENCH = {
    "engine": "llama.cpp (llama-bench)",
    "engine_version": "b2824 (abcdef12)",
    "model": "Llama-3-8B",
    "quant": "Q4_K_M",
    "gpu": "3090 24GB",
    "gpu_count": "2",
    "cpu": "AMD EPYC 7702P 64-Core Processor (128 threads visible)",
    "ngl_or_offload": "all layers on GPU (-ngl 99)",
    "prompt_len": "0",
    "gen_len": "1024",
    "decode_tok_s": "100.0",
    "oom": "0",
}


def cases(**cells: str) -> list[Case]:
    found = interpret(Row(0, {**BENCH, **cells})) or ()
    return [one for one in found if isinstance(one, Case)]


def test_llama_bench_decodes_from_an_empty_cache_on_an_old_build() -> None:
    fits, speed = cases()
    assert (fits.metric, fits.measured, speed.metric, speed.measured) == ("oom", 0.0, "decode_tok_s", 100.0)
    request = speed.request
    assert request is not None
    assert request.workload.mean_decode_context == 512
    assert (request.layout.gpus, request.layout.flash_attention) == (2, False)
    assert dict(request.layout.options) == {"bench": "1", "build": "b2824"}
    assert request.machine.sockets[0].cpu is not None
    assert speed.group == "GeForce RTX 3090"


def test_out_of_memory_cells_are_predicted_too() -> None:
    (case,) = cases(oom="1", decode_tok_s="", gpu_count="1", quant="F16", model="Llama-3-70B")
    assert (case.metric, case.measured) == ("oom", 1.0)
    assert case.predict(bundled()).value == 1.0


def test_depth_is_context_before_the_first_token() -> None:
    new = {"engine": "llama.cpp", "engine_version": "", "notes": "decode at full context, FA", "gpu_count": "1"}
    (case,) = cases(**new, prompt_len="depth 16384", gen_len="")
    assert case.request is not None
    assert case.request.workload.depth_tokens == 16384
    assert case.request.layout.flash_attention
    assert case.cls == "llama.cpp GPU decode, current builds"


def test_a_small_host_narrows_the_link() -> None:
    pi = {"engine": "ollama/llama.cpp", "engine_version": "", "gpu_count": "1", "prompt_len": "short", "gen_len": ""}
    (case,) = cases(**pi, gpu="Nvidia RTX 3060", cpu="Pi CM5 - 16GB (Nvidia RTX 3060)", quant="ollama default (Q4_K_M)")
    assert case.request is not None
    assert str(case.request.machine.gpus[0].link) == "Gen2 x1"
    assert case.request.weights.quantisation == "q4_k_m"


def test_tables_of_december_2023_split_matrices_over_gpus() -> None:
    (case,) = cases(engine="llama.cpp", engine_version="", source="x (Dec 2023 snapshot)", notes="row-split-era")
    assert case.request is not None
    assert case.request.layout.tensor_parallel == 2
    assert case.cls.endswith("split by rows")


@pytest.mark.parametrize(
    "cells",
    [{"engine": "vllm"}, {"ngl_or_offload": "CPU only"}, {"ngl_or_offload": "ngl=20"}, {"notes": "device GPU/CPU"}],
)
def test_other_rows_are_left_to_others(cells: dict[str, str]) -> None:
    assert interpret(Row(0, {**BENCH, **cells})) is None


def test_machines_over_a_network_are_skipped_with_a_reason() -> None:
    (skipped,) = interpret(Row(0, {**BENCH, "gpu": "Framework Mainboard Cluster (512GB)"})) or ()
    assert isinstance(skipped, Skipped)
    assert "network" in skipped.reason
