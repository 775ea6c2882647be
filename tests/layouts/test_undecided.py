"""What is not decided yet is a value of its own, and a pin decides it."""

from __future__ import annotations

from datetime import date

import pytest

from wellfed.engines.setters_local import cpu_moe, gpu_layers
from wellfed.nouns.layout import SOME_EXPERTS, SOME_LAYERS, AsManyAsFit, Engine, Layout, Offload
from wellfed.planner.kinds import Kind, kind_of


def layout(offload: Offload, built: str | None = None) -> Layout:
    return Layout(Engine.IK_LLAMA_CPP, "q4_k_m", offload=offload, options=() if built is None else (("built", built),))


@pytest.mark.parametrize("offload", [SOME_LAYERS, SOME_EXPERTS])
def test_as_many_as_fit_lies_on_both(offload: AsManyAsFit) -> None:
    assert kind_of(layout(offload)) is Kind.BOTH
    assert offload != Offload()


@pytest.mark.parametrize("offload", [SOME_LAYERS, SOME_EXPERTS])
def test_a_pinned_number_decides(offload: AsManyAsFit) -> None:
    assert gpu_layers("7")(layout(offload)).offload == Offload(gpu_layers=7)
    assert cpu_moe("3")(layout(offload)).offload == Offload(cpu_expert_layers=3)


def test_all_layers_on_gpus_leave_their_experts_to_be_divided() -> None:
    assert gpu_layers("999")(layout(SOME_EXPERTS)).offload == SOME_EXPERTS
    assert gpu_layers("999")(layout(SOME_LAYERS)).offload == Offload()


@pytest.mark.parametrize(
    ("built", "before"),
    [("2025-05-31", True), ("2025-06-01", False), ("", False), (None, False)],
)
def test_a_build_that_is_not_told_is_the_current_one(built: str | None, before: bool) -> None:
    assert layout(Offload(), built).is_built_before(date(2025, 6, 1)) is before
