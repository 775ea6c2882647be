"""The same model on several machines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from wellfed.progress import tell
from wellfed.verbs import planning
from wellfed.verbs.planning import PlanOptions

if TYPE_CHECKING:
    from wellfed.planner.compare import Compared


def compare(machines: Sequence[str], model_name: str, options: PlanOptions = PlanOptions()) -> list[Compared]:
    """The best plan of the same model on each machine."""
    from wellfed.planner.compare import Compared
    from wellfed.planner.power import power
    from wellfed.planner.sensitivity import sensitivities

    comparison: list[Compared] = []
    for text in machines:
        answer = planning.plan(model_name, replace(options, on=text))
        best = answer.ranking.best
        search = answer.search
        weakest = sensitivities(best, search.estimate) if best else ()
        tell("machines", len(comparison) + 1, len(machines))
        comparison.append(Compared(text, search.machine, best, answer.verdict.why, power(search.machine), weakest))
    return comparison
