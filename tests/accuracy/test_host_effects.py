"""Pairs of measurements: what prose says of both sides, the predicted ratio, reasons where a layout cannot say it."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from click.testing import CliRunner

from wellfed.accuracy.case import Case, Row, Skipped, read_table
from wellfed.accuracy.host_conditions import Condition, read
from wellfed.accuracy.rows_host_effects import interpret
from wellfed.catalog.calibration import bundled
from wellfed.cli.main import cli
from wellfed.hardware.pcie import PcieLink
from wellfed.nouns.layout import Engine, NumaPolicy

COLUMNS = ("source", "effect", "condition_a", "condition_b", "value_a", "value_b", "unit", "notes")


def pair(**cells: str) -> Row:
    usual = dict.fromkeys(COLUMNS, "") | {
        "source": "made up",
        "value_a": "1.0",
        "value_b": "0.9",
        "unit": "decode tok/s",
    }
    return Row(0, usual | cells)


def ratio(**cells: str) -> float:
    (case,) = interpret(pair(**cells)) or ()
    assert isinstance(case, Case), case
    return case.predict(bundled()).value


def reason(**cells: str) -> str:
    (skip,) = interpret(pair(**cells)) or ()
    assert isinstance(skip, Skipped), skip
    return skip.reason


class TestConditions:
    def test_parts_and_switches(self) -> None:
        said = read(
            "2x RTX 3090 PCIe 4.0 x8, Ryzen 9 5950X, 250 W, ik_llama.cpp, 16 threads, --n-cpu-moe 20", Condition()
        )
        assert said.gpu is not None and said.gpu.id == "rtx-3090" and said.gpus == 2
        assert said.cpu is not None and said.cpu.id == "ryzen-9-5950x"
        assert (said.link, said.watts, said.threads, said.experts_on_cpu) == (PcieLink(4, 8), 250.0, 16, 20)
        assert said.engine is Engine.IK_LLAMA_CPP

    def test_models_with_their_weights(self) -> None:
        said = read("Qwen3-32B Q6_K 25.03 GiB", Condition())
        assert said.model is not None and said.model.id == "qwen3-32b"
        assert said.quantisation is not None and said.quantisation.id == "q6_k"

    def test_an_engines_name_is_no_model(self) -> None:
        assert read("llama.cpp, llama-bench, one card", Condition()).model is None

    @pytest.mark.parametrize(
        ("text", "policy"),
        [
            ("one socket bound: numactl --membind=0", NumaPolicy.ONE_SOCKET),
            ("both sockets, --numa distribute", NumaPolicy.INTERLEAVE),
            ("weights replicated on each NUMA node", NumaPolicy.DUPLICATE),
            ("threads bound only, memory unbound", NumaPolicy.UNBOUND_MEMORY),
        ],
    )
    def test_placement(self, text: str, policy: NumaPolicy) -> None:
        assert read(text, Condition()).numa is policy

    def test_the_second_side_keeps_what_it_does_not_change(self) -> None:
        first = read("RTX 3090, Xeon Gold 6240, graphs off", Condition())
        second = read("graphs on", first)
        assert second.cpu is first.cpu and second.gpu is first.gpu
        assert (first.graphs, second.graphs) == (False, True)


class TestRatios:
    def test_a_slower_host_feeds_less(self) -> None:
        slow = ratio(
            effect="cpu_feed", condition_a="RTX 4090 on Core Ultra 265K", condition_b="same GPU on Raspberry Pi CM5",
            notes="llama3.2:3b (ollama)",
        )  # fmt: skip
        assert 0.5 < slow < 0.95

    def test_less_power_is_slower_and_more_so_for_prompts(self) -> None:
        power = {"effect": "power_cap", "condition_a": "RTX 3090 350 W", "condition_b": "150 W"}
        decode, prefill = (ratio(**power, unit=f"{phase} tok/s") for phase in ("decode", "prefill"))
        assert prefill < decode < 1
        assert ratio(**power | {"condition_b": "340 W"}) > 0.95

    def test_a_narrow_slot_costs_streamed_prefill(self) -> None:
        wide = ratio(
            effect="pcie_width_prefill", condition_a="experts in RAM, PCIe 3.0 x4", condition_b="PCIe 4.0 x16",
            notes="Llama-4 Maverick 4.5bpw", unit="relative prefill",
        )  # fmt: skip
        assert 2 < wide < 8

    def test_the_second_socket(self) -> None:
        both = ratio(
            effect="numa_tok_s", condition_a="dual Xeon 8480+ + RTX 3090, llama.cpp, numactl --membind=0",
            condition_b="both sockets, --numa distribute", notes="Llama-4 Maverick UD-IQ4_XS, experts on CPU",
        )  # fmt: skip
        assert 0.5 < both < 0.95

    def test_more_threads_than_cores_collapse(self) -> None:
        crowded = ratio(
            effect="thread_count",
            condition_a="EPYC 7543, 32 threads",
            condition_b="128 threads",
            notes="Qwen3-32B Q4_K_M",
        )
        assert 0.2 < crowded < 0.7


class TestReasons:
    @pytest.mark.parametrize(
        ("cells", "word"),
        [
            ({"effect": "nccl_tuning"}, "NCCL"),
            ({"effect": "power_cap", "condition_a": "R9700 default", "condition_b": "-75 mV undervolt"}, "undervolt"),
            ({"effect": "power_cap", "condition_a": "RTX 3090 300 W", "value_b": ""}, "no value"),
            ({"effect": "cpu_feed", "condition_a": "some GPU", "condition_b": "another"}, "neither CPU nor GPU"),
            ({"effect": "power_cap", "condition_a": "RTX 3090 300 W", "condition_b": "same"}, "does not say"),
        ],
    )
    def test_what_a_layout_cannot_say(self, cells: dict[str, str], word: str) -> None:
        assert word in reason(**cells)


def test_the_command_reads_pairs(tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerow(pair(effect="power_cap", condition_a="RTX 3090 350 W", condition_b="200 W").cells)
        writer.writerow(pair(effect="nccl_tuning", condition_a="default", condition_b="tuned").cells)
    done = CliRunner().invoke(cli, ["accuracy", str(path), "--json"])
    assert done.exit_code == 0, done.output
    assert '"metric": "ratio"' in done.output and "NCCL" in done.output


@pytest.mark.shared
@pytest.mark.parametrize(("folder", "direction", "third"), [("truth", 0.75, 0.6), ("truth_2026", 0.9, 0.75)])
def test_shared_pairs(shared: Path, folder: str, direction: float, third: float) -> None:
    found = [one for row in read_table(shared / folder / "host_effects.csv") for one in interpret(row) or ()]
    pairs = [one for one in found if isinstance(one, Case) and max(one.measured, 1 / one.measured) > 1.05]
    predicted = [one.predict(bundled()).value for one in pairs]
    right = [(p - 1) * (one.measured - 1) > 0 for one, p in zip(pairs, predicted, strict=True)]
    near = [0.75 < p / one.measured < 4 / 3 for one, p in zip(pairs, predicted, strict=True)]
    assert sum(right) >= direction * len(pairs) > 30
    assert sum(near) >= third * len(pairs)
    assert all(one.reason for one in found if isinstance(one, Skipped))
