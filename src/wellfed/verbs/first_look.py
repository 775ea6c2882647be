"""The first look at this machine: what fits best, and what is wrong with it, priced for that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wellfed.errors import WellfedError
from wellfed.frozen import dataclass
from wellfed.nouns.finding import Verdict

if TYPE_CHECKING:
    from wellfed.hardware.machine import Machine
    from wellfed.nouns.finding import Finding
    from wellfed.planner.fit import Fit

SHOWN = 3  # models, and faults


@dataclass(frozen=True, slots=True)
class FirstLook:
    """`faults` are dearest first; those that cost nothing that is known stand last."""

    machine: Machine
    fit: Fit
    faults: tuple[Finding, ...]
    use: str
    users: int

    @property
    def commands(self) -> tuple[str, ...]:
        """What to type to go on: the best model started, its plan, the faults with their fixes."""
        if not self.fit.rows:
            return ("wellfed up demo", "wellfed fit --all", "wellfed check")
        best = self.fit.rows[0].model_id
        several = f" --concurrency {self.users}" if self.users > 1 else ""
        return (f"wellfed up {best}{several}", f"wellfed plan {best}{several}", f"wellfed check --model {best}")


def first_look(use: str = "chat", users: int = 1, on: str | None = None) -> FirstLook:
    """This machine (or `on` another) with its faults, and the models that it serves well to so many users."""
    from wellfed.checks.run import run_checks
    from wellfed.verbs import checking, fitting, inputs

    machine = inputs.machine(on)
    fit = fitting.fit(machine, use, SHOWN, users=users)
    try:
        checked = checking.check_plan(fit.rows[0].plan) if fit.rows else None
    except WellfedError:
        checked = None
    findings = run_checks(machine) if checked is None else checked.findings
    faults = [finding for finding in findings if finding.verdict in {Verdict.FAIL, Verdict.WARN}]
    return FirstLook(machine, fit, tuple(sorted(faults, key=_cheapness)), use, users)


def _cheapness(finding: Finding) -> tuple[float, bool]:
    cost = finding.cost
    return -(cost.decode_tok_s if cost else 0.0), finding.verdict is not Verdict.FAIL
