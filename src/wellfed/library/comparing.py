"""`wellfed.compare`: the same model on several machines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from wellfed.errors import Misuse
from wellfed.frozen import dataclass
from wellfed.library import options
from wellfed.library.planning import plan_row
from wellfed.library.result import Result, Row
from wellfed.message import message, sentence
from wellfed.nouns.workload import Workload
from wellfed.verbs import comparing
from wellfed.verbs.planning import PlanOptions

if TYPE_CHECKING:
    from wellfed.planner.compare import Compared


@dataclass(frozen=True, slots=True, repr=False)
class Comparison(Result):
    """The answer of `compare`, in the order of the machines."""

    model: str
    machines: tuple[Compared, ...]

    def to_dict(self) -> dict[str, Any]:
        """The document of `wellfed compare --json`."""
        from wellfed.documents.comparison import compare_json

        return compare_json(self.machines)

    def flat(self) -> list[Row]:
        """One row a machine; without a plan its columns are None."""
        planned = [plan_row(row.plan) for row in self.machines if row.plan]
        empty = dict.fromkeys(planned[0] if planned else ("fits",))
        return [
            {
                "machine": row.machine.name,
                "power_w": row.power.total_w,
                "tokens_per_joule": row.tokens_per_joule,
                "weakest": row.weakest.part if row.weakest else None,
                **({**empty, "fits": False} if row.plan is None else plan_row(row.plan)),
            }
            for row in self.machines
        ]

    def summary(self) -> str:
        """The machine with the most tokens/s for a user."""
        able = [row for row in self.machines if row.plan is not None]
        if not able:
            return sentence(
                "comparing.fits-none-machines",
                "{value}: fits on none of {count} machines",
                value=self.model,
                count=len(self.machines),
            )
        best = max(able, key=lambda row: 0.0 if row.plan is None else row.plan.estimate.total_tok_s.value)
        return sentence(
            "comparing.fastest-machines",
            "{value}: fastest of {count} machines is {machine}",
            value=self.model,
            count=len(self.machines),
            machine=best.machine.name,
        )


def compare(
    machines: Sequence[str],
    *,
    model: str,
    workload: Workload | str = "chat",
    concurrency: int | None = None,
    quant: options.Names = (),
) -> Comparison:
    """The best plan of the same model on each machine, with power and the weakest part. Raises as `plan`."""
    if isinstance(machines, str) or not machines:
        raise Misuse(message("compare.machines", "machines are a list of one or more"))
    load = options.workload(workload, concurrency=concurrency)
    request = PlanOptions(workload=load, quantisations=options.several(quant))
    return Comparison(model, tuple(comparing.compare(machines, model, request)))
