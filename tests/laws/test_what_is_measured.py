"""What measurements bound: shares of peaks, vendors that were measured, rooms that are none, cores of two kinds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from wellfed.catalog.calibration import bundled
from wellfed.catalog.generations import cpu_of_generation
from wellfed.hardware.machine import Socket
from wellfed.nouns.layout import Engine
from wellfed.nouns.workload import Workload
from wellfed.perf.numa import cpu_share
from wellfed.perf.serving.knobs import MOST_OF_THE_UNITS, bounded
from wellfed.perf.serving.room import room

from .points import estimated, on_cpu, request


@pytest.mark.parametrize("share", [0.01, 0.2, 0.5, 0.72, 1.3, 5.0])
def test_a_share_of_a_peak_saturates_below_what_single_products_reach(share: float) -> None:
    found = bounded("dense_rate", share)
    assert found < 0.8 and found <= min(share, MOST_OF_THE_UNITS)
    if share <= 0.2:
        assert found == pytest.approx(share, rel=0.01)
    assert bounded("request_s", share) == share


@pytest.mark.parametrize("card", ["rx 7900 xtx", "arc b580"])
def test_vendors_with_rows_are_not_doubted(card: str) -> None:
    found = estimated(request(f"{card}, ryzen 9 7950x, 2x32GB ddr5-5200", "qwen3-8b"))
    assert not any("no measurement" in assumption.text for assumption in found.assumptions)
    assert found.decode_tok_s.high / found.decode_tok_s.low < 3


def test_a_vendor_without_rows_is() -> None:
    known = bundled()
    without = replace(known, support={key: rows for key, rows in known.support.items() if "vendor" not in key})
    from wellfed.perf.estimate import estimate

    asked = request("rx 7900 xtx, ryzen 9 7950x, 2x32GB ddr5-5200", "qwen3-8b")
    doubted, trusted = estimate(asked, without), estimate(asked, known)
    assert doubted.decode_tok_s.high / doubted.decode_tok_s.low > 1.5 * (
        trusted.decode_tok_s.high / trusted.decode_tok_s.low
    )


def test_no_room_for_a_prompt_is_not_room_for_all() -> None:
    load = Workload("long", concurrency=100, prompt_tokens=100_000, output_tokens=100, requests=100)
    asked = request(
        "a100 80gb, epyc 7543", "qwen3-32b", "bf16", load, engine=Engine.VLLM, max_sequences=256, kv_type="f16"
    )
    space = room(asked)
    assert space.cached == 0 and space.slots == space.start_slots == 1
    assert estimated(asked).tpot_s.value < 1


def test_efficiency_cores_work_where_threads_are_left_for_them() -> None:
    few, all_of_them = (
        cpu_share(asked.machine, asked.layout)
        for asked in (on_cpu("core i9-14900k, 2x32GB ddr5-5600", threads=count) for count in (8, 24))
    )
    assert few.busy == 8
    assert 8 < all_of_them.busy < 24


def test_a_start_of_all_at_once_is_waited_for_where_prefill_has_gpus_of_its_own() -> None:
    def first(requests: int | None) -> float:
        load = Workload("x", concurrency=256, prompt_tokens=2048, output_tokens=256, requests=requests)
        asked = request(
            "8x h100 sxm, 2x xeon platinum 8480+", "llama-3.1-70b", "fp8", load, engine=Engine.SGLANG, gpus=8,
            tensor_parallel=4, prefill_gpus=4, max_sequences=256, kv_type="fp8",
        )  # fmt: skip
        return estimated(asked).ttft_s.value

    assert first(256) > 1.05 * first(None)


@pytest.mark.parametrize(
    ("text", "architecture", "cores"),
    [
        ("Google Cloud Arm instance (Axion presumed), 16 vCPU", "neoverse-v2", 16),
        ("dual Intel Xeon with AMX (SPR or later)", "sapphire-rapids", None),
        ("Intel Coffee Lake-S desktop", "skylake", None),
        ("EPYC (Genoa), 32 vCPU", "zen4", 16),
    ],
)
def test_a_generation_stands_for_its_middle_part(text: str, architecture: str, cores: int | None) -> None:
    part = cpu_of_generation(text)
    assert part is not None and part.stands_for_unknown
    assert part.architecture == architecture
    assert cores is None or part.cores == cores
    assert Socket(0, part).cpu is part


@pytest.mark.parametrize("text", ["some computer", "RTX 4090", ""])
def test_no_generation_is_no_part(text: str) -> None:
    assert cpu_of_generation(text) is None
