"""Which CPU to put GPUs behind."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wellfed.planner.answer import Answer
    from wellfed.planner.which_cpu import WhichCpu


def which(answer: Answer, prices: Path | None = None) -> WhichCpu | None:
    """The cheapest, or least, CPU for the answer's best plan; None where there is no plan on cards.

    Raises BadInput for a damaged file of prices.
    """
    from wellfed.catalog.hardware import cpus
    from wellfed.catalog.prices import load_prices
    from wellfed.planner.which_cpu import which_cpu

    best = answer.ranking.best
    if best is None or not best.layout.gpus:
        return None
    return which_cpu(best, answer.search.calibration, cpus(), load_prices(prices) if prices else None)
