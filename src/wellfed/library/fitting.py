"""`wellfed.fit`: which models a machine serves well."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wellfed.frozen import dataclass
from wellfed.library import options
from wellfed.library.planning import plan_line, plan_row
from wellfed.library.result import Result, Row
from wellfed.message import sentence
from wellfed.verbs import fitting

if TYPE_CHECKING:
    from wellfed.planner.fit import Fit

USES = ("chat", "code", "agent", "rag", "long")


@dataclass(frozen=True, slots=True, repr=False)
class Fitted(Result):
    """The answer of `fit`."""

    answer: Fit

    def to_dict(self) -> dict[str, Any]:
        """The document of `wellfed fit --json`."""
        from wellfed.documents.fittings import fit_json

        return fit_json(self.answer)

    def flat(self) -> list[Row]:
        """One row a model, best first, with its best plan."""
        return [
            {
                "model": row.model_id,
                "quality": None if row.quality is None else row.quality.value,
                "quick": row.quick,
                "max_context": row.max_context,
                **plan_row(row.plan),
            }
            for row in self.answer.rows
        ]

    def summary(self) -> str:
        """The best model with its plan."""
        rows = self.answer.rows
        if not rows:
            return sentence(
                "fitting.no-model-catalogue", "{use}: no model of the catalogue fits", use=self.answer.use.name
            )
        return sentence(
            "fitting.best",
            "{use}: {plan} is best of {count}; {plan2}",
            use=self.answer.use.name,
            plan=rows[0].plan.model.name,
            count=len(rows),
            plan2=plan_line(rows[0].plan),
        )


def fit(
    on: str | None = None, *, for_: str = "chat", benchmark: str | None = None, top: int = 10, all: bool = False
) -> Fitted:
    """The models of the catalogue that a machine serves well, best first; `all`: every one, not one of each family.

    Raises Misuse for a use that there is not, UnknownName and BadInput for the machine.
    """
    options.in_range("top", top, 1)
    return Fitted(fitting.fit(on, options.one_of(for_, USES, "for"), top, all, benchmark=benchmark))
