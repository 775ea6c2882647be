"""Seconds until an engine answers, against published starts and by what must hold."""

from __future__ import annotations

import csv
import json
import math
import re
import statistics
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.laws.points import CARD, on_cpu, planned, request

from wellfed.hardware.machine import Disk
from wellfed.nouns.estimate import Source, total_seconds
from wellfed.nouns.layout import Engine
from wellfed.nouns.plan import Plan
from wellfed.perf.load import start, starts
from wellfed.planner.start import start_words, starts_of

FILE = "load_times.csv"
MODELS = {
    "RedHatAI/Qwen3-14B-FP8-dynamic": ("qwen3-14b", "fp8"),
    "RedHatAI/gemma-3-12b-it-FP8-dynamic": ("gemma-3-12b", "fp8"),
    "RedHatAI/gemma-3-27b-it-FP8-dynamic": ("gemma-3-27b", "fp8"),
    "meta-llama/Meta-Llama-3.1-8B-Instruct": ("llama-3.1-8b", "bf16"),
    "cpatonn/Qwen3-Coder-30B-A3B-Instruct-GPTQ-4bit": ("qwen3-coder-30b-a3b", "int4"),
    "openai/gpt-oss-20b": ("gpt-oss-20b", "mxfp4"),
}


def _rows(shared: Path) -> Iterator[tuple[Plan, float]]:
    with (shared / "truth_2026" / FILE).open(encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            total = row["seconds_total_until_ready"]
            if row["engine"] != "vllm" or row["model"] not in MODELS or not total.isdigit():
                continue
            name, kind = MODELS[row["model"]]
            count, card = re.match(r"(\d)x ([^(]+)", row["gpus"]).groups()  # type: ignore[union-attr]
            ranks = int(count)
            laid = {"engine": Engine.VLLM, "gpus": ranks, "tensor_parallel": ranks, "max_sequences": 4}
            card = card.replace("R9700 32GB", "r9700").strip()
            yield planned(request(f"{count}x {card}, ryzen 9 7950x, 128gb", name, kind, **laid)), float(total)


@pytest.mark.shared
def test_published_starts_lie_in_the_range(shared: Path) -> None:
    held = [(starts_of(plan)[0].ready_s, seconds) for plan, seconds in _rows(shared)]
    assert len(held) >= 35
    inside = sum(ready.low <= seconds <= ready.high for ready, seconds in held)
    bias = statistics.median(math.log(ready.value / seconds) for ready, seconds in held)
    assert inside >= 0.75 * len(held)
    assert abs(bias) < 0.25


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [
        (request("rx 9060 xt 16gb, ryzen 9 7950x, 64gb", "qwen3.5-35b-a3b", "q4_k_m"), 7.5),
        (request("8x h200, 2x epyc 9654", "deepseek-r1", "fp8", engine=Engine.VLLM, gpus=8, tensor_parallel=8,
                 max_sequences=64), 150.0),
    ],
)  # fmt: skip
def test_known_starts_are_no_longer_thirty_times_too_short(asked: object, seconds: float) -> None:
    ready = starts_of(planned(asked))[0].ready_s  # type: ignore[arg-type]
    assert ready.low / 1.3 <= seconds <= ready.high * 1.3


def test_shards_of_r1_at_about_three_a_second() -> None:
    """163 shards of 688 GB in about 55 s on 8x H200: reading, single experts' tensors and the copy together."""
    plan = planned(request("8x h200, 2x epyc 9654", "deepseek-r1", "fp8", engine=Engine.VLLM, gpus=8,
                           tensor_parallel=8, max_sequences=64))  # fmt: skip
    terms = starts_of(plan)[0].terms
    seconds = total_seconds(term for term in terms if term.name in {"read", "tensors", "copy"})
    assert 40 <= seconds <= 75


def test_parts_add_up_and_slower_places_take_longer() -> None:
    plan = planned(request(CARD))
    memory = plan.estimate.memory
    ready = {}
    for source in Source:
        row = start(plan.machine, plan.model, plan.layout, memory, source)
        assert row is not None
        assert total_seconds(row.terms) == pytest.approx(row.ready_s.value)
        assert row.ready_s.low < row.ready_s.value < row.ready_s.high
        ready[source] = row.ready_s.value
    order = [Source.PAGE_CACHE, Source.NVME, Source.NETWORK, Source.SSD, Source.USB, Source.HDD]
    assert [ready[source] for source in order] == sorted(ready.values())
    assert plan.estimate.load_s == pytest.approx(ready[Source.PAGE_CACHE])


def test_the_disk_that_holds_the_models_is_the_one_told() -> None:
    plan = planned(request(CARD))
    slow = replace(plan.machine, disks=(Disk("sda", "hdd", holds_models=True),))
    rows = starts(slow, plan.model, plan.layout, plan.estimate.memory)
    assert [row.source for row in rows] == [Source.PAGE_CACHE, Source.HDD, Source.NETWORK]
    said = str(start_words(replace(plan, machine=slow)))
    assert "a hard disk" in said


def test_repacking_takes_its_time() -> None:
    """One thread repacks 19 GB in 11.9 s."""
    plan = planned(on_cpu("epyc 9655", "qwen3-32b"))
    (repack,) = (term for term in starts_of(plan)[0].terms if term.name == "repack")
    assert 8 <= repack.seconds <= 13


def test_plan_tells_starts_as_json() -> None:
    from wellfed.cli.main import cli

    shown = CliRunner().invoke(cli, ["plan", "qwen3-8b", "--on", CARD, "--top", "1", "--json"])
    (plan,) = json.loads(shown.stdout)["plans"]
    assert [row["source"] for row in plan["starts"]] == ["page cache", "nvme", "network"]
    first = plan["starts"][0]["ready_s"]
    assert first["low"] < first["value"] < first["high"]
    assert plan["load_s"] == pytest.approx(first["value"])
