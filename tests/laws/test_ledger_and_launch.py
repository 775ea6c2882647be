"""What the ledger assumed is what the command line says: read back from it, engine by engine."""

from __future__ import annotations

from typing import Any

import pytest

from wellfed.engines.spec import Endpoint
from wellfed.launch.programs import Program
from wellfed.nouns.layout import Engine, Offload
from wellfed.nouns.plan import Request
from wellfed.nouns.workload import Workload
from wellfed.verbs import running

from .points import CARD, hybrid, planned, request

LOAD = Workload(concurrency=3, prompt_tokens=3000, output_tokens=500)


def flags(asked: Request) -> dict[str, str]:
    """Each flag and the word after it."""
    words = running.launch_spec(planned(asked), Program(("engine",), "test"), "/models/m", Endpoint()).argv
    return {word: after for word, after in zip(words, (*words[1:], ""), strict=True) if word.startswith("--")}


@pytest.mark.parametrize("engine", [Engine.LLAMA_CPP, Engine.IK_LLAMA_CPP])
@pytest.mark.parametrize(("layers", "told"), [(None, "999"), (0, "0"), (1, "1"), (20, "20"), (32, "32"), (33, "33")])
def test_layers_on_the_gpu(engine: Engine, layers: int | None, told: str) -> None:
    assert flags(request(CARD, engine=engine, offload=Offload(gpu_layers=layers)))["--n-gpu-layers"] == told


@pytest.mark.parametrize(("slots", "kv_type"), [(1, "f16"), (4, "q8_0")])
def test_slots_context_and_cache(slots: int, kv_type: str) -> None:
    asked = request(CARD, load=LOAD, max_sequences=slots, kv_type=kv_type, ubatch_tokens=1024, batch_tokens=2048)
    said = flags(asked)
    count = int(said["--parallel"])
    assert count == (slots if slots > 1 else LOAD.concurrency)
    (card, *_) = planned(asked).estimate.memory.devices
    cache = sum(term.bytes for term in card.terms if term.name == "kv")
    width = {"f16": 2.0, "q8_0": 34 / 32}[said.get("--cache-type-k", "f16")]
    assert cache == pytest.approx(int(said["--ctx-size"]) * 2 * 32 * 8 * 128 * width)
    assert said["--ubatch-size"] == "1024"
    assert said["--batch-size"] == "2048"


@pytest.mark.parametrize(
    ("engine", "names"),
    [
        (Engine.VLLM, ("--max-model-len", "--max-num-seqs", "--max-num-batched-tokens", "--tensor-parallel-size")),
        (Engine.SGLANG, ("--context-length", "--max-running-requests", "--chunked-prefill-size", "--tp-size")),
        (Engine.TENSORRT_LLM, ("--max_seq_len", "--max_batch_size", "--max_num_tokens", "--tp_size")),
    ],
)
def test_serving_engines(engine: Engine, names: tuple[str, ...]) -> None:
    layout: dict[str, Any] = {
        "tensor_parallel": 2,
        "gpus": 2,
        "kv_type": "fp8",
        "max_sequences": 96,
        "batch_tokens": 4096,
    }
    said = flags(request("2x h100 sxm, epyc 9654", kind="fp8", load=LOAD, engine=engine, **layout))
    assert [said[name] for name in names] == ["3500", "96", "4096", "2"]
    if engine is not Engine.TENSORRT_LLM:  # its cache's type is in a file of options
        assert said["--kv-cache-dtype"].startswith("fp8")


def test_ktransformers() -> None:
    asked = hybrid("rtx 4090, epyc 9654, 12x64GB ddr5-4800", load=LOAD, engine=Engine.KTRANSFORMERS, gpus=1,
                   max_sequences=4, batch_tokens=2048)  # fmt: skip
    said = flags(asked)
    names = ("--context-length", "--max-running-requests", "--chunked-prefill-size")
    assert [said[name] for name in names] == ["3500", "4", "2048"]
    assert "--kt-weight-path" in said


@pytest.mark.parametrize("engine", [Engine.LLAMA_CPP, Engine.IK_LLAMA_CPP])
def test_experts_in_ram(engine: Engine) -> None:
    asked = hybrid("rtx 4090, epyc 9654, 12x64GB ddr5-4800", load=LOAD, engine=engine, gpus=1)
    words = running.launch_spec(planned(asked), Program(("engine",), "test"), "/models/m", Endpoint()).argv
    assert any(word in ("--cpu-moe", "--n-cpu-moe", "-ot", "--override-tensor") for word in words), words
    card = planned(asked).estimate.memory.devices[0]
    held = sum(term.bytes for term in card.terms if term.name == "weights")
    assert held < 0.2 * asked.weights.total
