"""How many layouts a search looks at, and how long it takes: python benchmarks/search_size.py [NAME ...]

Prints one line a case: layouts considered, plans that fit, seconds of the search and of the whole answer (upgrades,
host). The seconds are this machine's; layouts do not depend on it.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass

from wellfed.planner.answer import answer
from wellfed.verbs import inputs, planning


@dataclass(frozen=True, slots=True)
class Case:
    """What is planned where."""

    name: str
    model: str
    on: str
    nodes: int | None = None
    network: str | None = None


CASES = (
    Case("7b", "qwen2.5-7b", "rtx 4090, ryzen 9 7950x, 64gb"),
    Case("r1", "deepseek-r1", "8x h200, 2x xeon 8480, 2tb"),
    Case("r1-nodes", "deepseek-r1", "8x h100 sxm, 2x xeon 8480, 2tb", 3, "400Gb"),
    Case("pcie", "qwen3-30b-a3b", "8x rtx 3090, epyc 7763, 512gb"),
    Case("unequal", "llama-3.3-70b", "rtx 5090, 3x rtx 3090, epyc 7763, 512gb"),
)


@dataclass(frozen=True, slots=True)
class Measured:
    """One case's search."""

    considered: int
    plans: int
    search_s: float
    answer_s: float


def measured(case: Case) -> Measured:
    """Search and answer once each, after everything is loaded."""
    where = inputs.machine(case.on, case.nodes, case.network)
    options = planning.PlanOptions(on=case.on, nodes=case.nodes, network=case.network)
    search, assumptions = planning.search(case.model, options, where)
    begun = time.perf_counter()
    ranking = search.run()
    searched = time.perf_counter()
    answer(search, assumptions)
    return Measured(ranking.considered, len(ranking.plans), searched - begun, time.perf_counter() - searched)


def main(names: list[str]) -> None:
    """The cases of these names, or all."""
    for case in CASES:
        if not names or case.name in names:
            found = measured(case)
            print(
                f"{case.name:9} {found.considered:6} layouts {found.plans:6} fit  search {found.search_s:6.2f} s  "
                f"whole answer {found.answer_s:6.2f} s   {case.model} on {case.nodes or 1}x {case.on}"
            )


if __name__ == "__main__":
    main(sys.argv[1:])
