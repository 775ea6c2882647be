"""Whole machines for a model, within a budget."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from wellfed.planner.goal import Goal
from wellfed.verbs import inputs, planning
from wellfed.verbs.planning import PlanOptions

if TYPE_CHECKING:
    from wellfed.planner.market import Market


def buy(
    model_name: str,
    options: PlanOptions = PlanOptions(),
    prices: Path | None = None,
    budget: float | None = None,
    most_power_w: float | None = None,
    keep: int = 12,
) -> Market:
    """Whole machines for the model, best first. Without latency targets: 10 s to the first token, 100 ms for each."""
    from wellfed.catalog.prices import load_prices
    from wellfed.models.quantisation_names import quantisation
    from wellfed.planner.market import Demand, market

    named_model = inputs.model(model_name)
    workload, _ = planning.within(options.workload, named_model.model)
    if workload.ttft_target_s is None and workload.tpot_target_s is None:
        workload = replace(workload, ttft_target_s=10.0, tpot_target_s=0.1)
    goal = Goal(
        objective=options.objective,
        least_quality_bits=4.0 if options.least_quality_bits is None else options.least_quality_bits,
        engines=options.engines,
        quantisations=tuple(quantisation(name).id for name in options.quantisations),
    )
    money = load_prices(prices) if prices else None
    demand = Demand(named_model.model, workload, goal, quantisation, inputs.calibration(), money, budget, most_power_w)
    return market(demand, keep)
