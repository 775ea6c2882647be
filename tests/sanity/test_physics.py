"""No plan outruns its hardware: over the catalogue's GPUs, models and formats, in samples."""

from __future__ import annotations

import math

import pytest

from samples import few
from wellfed.catalog.hardware import gpus
from wellfed.catalog.model_tables import model_ids
from wellfed.catalog.models import Task, entry
from wellfed.hardware.parts import GpuSpec
from wellfed.models.counts import counts
from wellfed.models.quantisation_names import quantisations
from wellfed.nouns.layout import ALL_GPU, Layout
from wellfed.nouns.plan import Plan
from wellfed.planner.ranking import Ranking
from wellfed.verbs import inputs, planning

HOST = "epyc 9355, 12x64GB ddr5-6000"
GPUS = gpus()[::9]


def ranking(model: str, on: str, *kinds: str) -> Ranking:
    asked, _ = planning.search(model, planning.PlanOptions(on=on, quantisations=kinds), inputs.machine(on))
    return asked.run()


def line(gpu: GpuSpec, count: int) -> str:
    return gpu.id if gpu.form in {"soc", "superchip"} else f"{count}x {gpu.id}, {HOST}"


def hold(plan: Plan) -> None:
    """What must be so of every plan."""
    estimate = plan.estimate
    for one in (estimate.ttft_s, estimate.tpot_s, estimate.prefill_tok_s, estimate.total_tok_s):
        assert 0 < one.low <= one.value <= one.high < math.inf
    assert all(0 <= term.seconds < math.inf for term in (*estimate.decode, *estimate.prefill))
    assert estimate.memory.fits is not False
    layout = plan.layout
    assert layout.gpus <= len(plan.machine.gpus) * plan.machine.count
    if layout.offload == ALL_GPU and layout.gpus and plan.machine.gpus[0].spec:
        under_the_roof(plan, plan.machine.gpus[0].spec)


def under_the_roof(plan: Plan, gpu: GpuSpec) -> None:
    """Decode reads the weights it needs once a step, which may bring several drafted tokens; prefill computes with them."""
    guess = plan.layout.speculation
    a_step = 1.0 if guess is None else guess.acceptance_length
    assert plan.estimate.decode_tok_s.value <= a_step * most_decode(plan.layout, plan, gpu)
    peaks = (gpu.peak.fp32, gpu.peak.fp16, gpu.peak.bf16, gpu.peak.fp8, gpu.peak.fp4, gpu.peak.int8)
    body = plan.model.active_parameters - 2 * plan.model.vocabulary * plan.model.hidden  # one head for a whole prompt
    if any(peaks) and body > 0:
        asked = 2 * body * plan.estimate.prefill_tok_s.value
        assert asked <= max(peak for peak in peaks if peak) * plan.layout.gpus


def most_decode(layout: Layout, plan: Plan, gpu: GpuSpec) -> float:
    """Tokens/s if all GPUs of a group did nothing but read what one token needs."""
    share = (
        plan.model.active_parameters / counts(plan.model).parameters * 0.9
    )  # embeddings are looked up, types are mixed
    needed = (plan.weights.total - plan.weights.towers) * share  # a token that is written passes no tower
    return gpu.memory_bandwidth_bytes_per_s * layout.tensor_parallel / needed


@pytest.mark.parametrize("gpu", few(GPUS, 21, lambda gpu: gpu.id))
@pytest.mark.parametrize("model", ["deepseek-r1:7b", "deepseek-r1"])
def test_every_gpu_keeps_to_its_data_sheet(gpu: GpuSpec, model: str) -> None:
    for count in (1, 8):
        for plan in ranking(model, line(gpu, count)).plans:
            hold(plan)


WRITERS = [one for one in model_ids() if entry(one).task not in (Task.EMBEDDING, Task.RERANKER)]


@pytest.mark.parametrize("model", few(WRITERS[::24], 4))
def test_every_model_is_planned_everywhere(model: str) -> None:
    for on in ("rtx 4090, ryzen 9 7950x, 64GB", "mac studio m3 ultra 512gb", "epyc 9654"):
        for plan in ranking(model, on).plans:
            hold(plan)


@pytest.mark.parametrize("kind", few([one.id for one in quantisations()[::5]], 3))
def test_every_format_is_planned_or_refused_with_a_reason(kind: str) -> None:
    for model in ("qwen3-30b-a3b", "llama 3.1 8b"):
        found = ranking(model, "b200, 2x xeon 8480+", kind)
        assert found.plans or found.refused
        for plan in found.plans:
            hold(plan)


@pytest.mark.parametrize("name", few(["rtx 3090", "h100 sxm", "mi300x", "rtx pro 6000 workstation"], 2))
def test_more_gpus_are_not_absurdly_slower(name: str) -> None:
    one, many = (
        max(plan.estimate.total_tok_s.value for plan in ranking("r1:7b", f"{count}x {name}, {HOST}").plans)
        for count in (1, 8)
    )
    assert many > 0.95 * one
