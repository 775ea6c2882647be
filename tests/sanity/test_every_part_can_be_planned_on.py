"""One part of every kind gets a plan or a reason, and intervals say what no measurement stands behind."""

from __future__ import annotations

import json

import pytest
from click import Command
from click.testing import CliRunner, Result

from samples import few
from wellfed.catalog.hardware import cpus, gpus
from wellfed.cli.console import console
from wellfed.cli.plan import command as plan_command
from wellfed.cli.run import command as run_command
from wellfed.hardware.parts import CpuSpec, GpuSpec
from wellfed.nouns.plan import Plan
from wellfed.verbs import inputs, planning


def one_of_each_gpu() -> list[GpuSpec]:
    kinds = {(spec.vendor, spec.architecture, spec.form, spec.memory_type): spec for spec in reversed(gpus())}
    return list(kinds.values())


def one_of_each_cpu() -> list[CpuSpec]:
    kinds = {(spec.vendor, spec.architecture, spec.memory_type, spec.sockets_max): spec for spec in reversed(cpus())}
    return list(kinds.values())


@pytest.mark.parametrize("spec", few(one_of_each_gpu(), 3, lambda spec: spec.id))
def test_a_gpu_of_every_kind(spec: GpuSpec) -> None:
    answer = planning.plan("llama-3.2-3b", planning.PlanOptions(on=spec.name))
    plans = answer.ranking.plans
    assert plans or answer.ranking.near_miss or answer.ranking.refused
    assert all(0 < plan.estimate.decode_tok_s.low <= plan.estimate.decode_tok_s.high < 1e5 for plan in plans)
    if not any(plan.layout.gpus for plan in plans):
        assert answer.ranking.refused, "why its GPU is of no use must be told"


@pytest.mark.parametrize("spec", few(one_of_each_cpu(), 3, lambda spec: spec.id))
def test_a_cpu_of_every_kind(spec: CpuSpec) -> None:
    whole = spec.id in {gpu.cpu_id for gpu in gpus() if not gpu.memory_of_host}
    soldered = spec.memory_type.startswith("LPDDR") and not whole
    answer = planning.plan("llama-3.2-3b", planning.PlanOptions(on=f"{spec.name}, 32gb ram" if soldered else spec.name))
    assert answer.ranking.plans or answer.ranking.near_miss


def width(plan: Plan) -> float:
    return plan.estimate.decode_tok_s.high / plan.estimate.decode_tok_s.low


def best(line: str, engine: str = "vllm") -> Plan:
    plans = planning.plan("llama-3.1-8b", planning.PlanOptions(on=line)).ranking.plans
    return next(plan for plan in plans if plan.layout.gpus and plan.layout.engine.value == engine)


def test_a_vendor_without_measurements_has_a_wide_interval_that_says_so() -> None:
    known, unknown = best("h100 sxm"), best("mtt s4000")
    assert width(unknown) > 1.5 * width(known)
    told = [each.text for each in unknown.estimate.assumptions]
    assert any("no measurement of moorethreads GPUs" in text for text in told)
    assert not any("no measurement" in each.text for each in known.estimate.assumptions)


def test_an_unknown_cpu_widens_the_interval_most_where_it_computes() -> None:
    def widths(cpu: str) -> tuple[float, float]:
        on_gpu = best(f"rtx 4090, {cpu}, 64gb ddr4", "llama.cpp")
        alone = planning.plan("llama-3.1-8b", planning.PlanOptions(on=f"{cpu}, 64gb ddr4")).ranking.plans[0]
        return width(on_gpu), width(alone)

    (gpu, cpu), (gpu_unknown, cpu_unknown) = widths("core i5-8400"), widths("unknown cpu with 6 cores")
    assert gpu_unknown > gpu and cpu_unknown > cpu
    assert cpu_unknown / cpu > gpu_unknown / gpu


def run_it(command: Command, *words: str) -> Result:
    console.cache_clear()
    result = CliRunner().invoke(command, words, env={"COLUMNS": "200"})
    console.cache_clear()
    return result


def test_deepseek_r1_on_eight_ascends_by_the_command_line() -> None:
    run = run_it(plan_command, "deepseek-r1", "--on", "8x ascend 910b3", "--json")
    assert run.exit_code == 0, run.output
    plans = json.loads(run.stdout)["plans"]
    serving = next(plan for plan in plans if plan["layout"]["engine"] == "vllm")
    assert serving["fits"] and serving["decode_tok_s"]["high"] > 2 * serving["decode_tok_s"]["low"]


def test_the_reading_of_a_line_stands_above_the_answer() -> None:
    run = run_it(plan_command, "llama-3.1-8b", "--on", "2x a100 40gb")
    head = run.stdout.split("\n\n")[0]
    assert "taken as A100 SXM4 40GB (could also be A100 PCIe 40GB)" in head
    assert "2x EPYC 7763" in head and "no CPU was named" in head


@pytest.mark.parametrize(
    ("line", "expected", "absent"),
    [
        ("8x ascend 910b3", ["quay.io/ascend/vllm-ascend", "/dev/davinci7", "/dev/hisi_hdc"], "nvidia"),
        ("8x k100 ai", ["/dev/mkfd"], "nvidia"),
        ("8x h20", ["vllm/vllm-openai", "nvidia"], "davinci"),
    ],
)
def test_an_export_names_the_vendors_image_and_devices(line: str, expected: list[str], absent: str) -> None:
    run = run_it(run_command, "qwen3-32b", "--engine", "vllm", "--on", line, "--export", "compose")
    assert run.exit_code == 0, run.output
    assert all(word in run.stdout for word in expected), run.stdout
    assert absent not in run.stdout


def test_graphics_inside_the_cpu_share_its_memory_and_stand_back_behind_a_card() -> None:
    alone = inputs.machine("780m, 64gb ddr5-5600")
    assert alone.unified_memory and alone.gpus[0].memory_bytes == alone.memory_bytes
    assert alone.gpus[0].spec is not None
    assert alone.gpus[0].spec.memory_bandwidth_bytes_per_s == alone.memory_bandwidth_bytes_per_s == 89.6e9
    slower = inputs.machine("780m, 32gb ddr5-4800").gpus[0].spec
    assert slower is not None and slower.memory_bandwidth_bytes_per_s == 76.8e9
    beside = planning.plan("llama-3.2-3b", planning.PlanOptions(on="1x rx 7600m xt, 780m, 32gb ddr5"))
    assert {plan.layout.gpus for plan in beside.ranking.plans} <= {0, 1}
    assert any("780M is not used" in each.text for each in beside.assumptions)


@pytest.mark.parametrize(
    ("line", "unified"),
    [
        ("dgx spark", True), ("jetson agx orin 64gb", True), ("strix halo 128gb", True), ("m4 max 128gb", True),
        ("890m, 32gb", True), ("arc 140v, 32gb", True), ("mi300a", True), ("gh200", False), ("gb200", False),
        ("rtx 4090", False), ("epyc 9654", False),
    ],
)  # fmt: skip
def test_one_pool_is_a_property_of_the_machine(line: str, unified: bool) -> None:
    assert inputs.machine(line).unified_memory is unified
