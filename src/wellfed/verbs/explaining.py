"""The verb that tells a fault whole: why it matters, what mends it, how it is priced, and its two kinds of evidence."""

from __future__ import annotations

from typing import Any

from wellfed.checks.base import Check, fault_of
from wellfed.checks.registry import ALL as CHECKS
from wellfed.checks.registry import check, foreign
from wellfed.faults.fault import Fault
from wellfed.faults.registry import SYMPTOMS, fault, of_behaviour
from wellfed.faults.steps import shown
from wellfed.frozen import dataclass
from wellfed.message import Message
from wellfed.watching.registry import ALL as RULES
from wellfed.watching.rules.base import Rule


@dataclass(frozen=True, slots=True)
class Explained:
    """A fault with what sees it. `fault` is None where nothing is wrong: a symptom, or a healthy limit."""

    fault: Fault | None
    checks: tuple[Check, ...]
    rules: tuple[Rule, ...]
    why_none: Message | None = None


def explained(id: str) -> tuple[Explained, ...]:
    """The faults of that id, or those that the check (id or code) or the diagnosis of that id sees; none: unknown."""
    word = id.strip().lower()
    by_id = fault(word)
    if by_id is not None:
        return (_explained(by_id),)
    seen = dict.fromkeys((*(_of_check(fault) for fault in _checks(word)), *of_behaviour(word)))
    if seen:
        return tuple(_explained(fault) for fault in seen)
    return tuple(Explained(None, (), (rule,), SYMPTOMS.get(rule.id)) for rule in RULES if rule.id == word)


def _checks(word: str) -> tuple[Check, ...]:
    return tuple(check for check in (CHECKS + _foreign(word)) if word in (check.id, check.code.lower()))


def _foreign(word: str) -> tuple[Check, ...]:
    """Checks of other packages, looked for only where no word of ours is meant."""
    check_names = (
        {check.id for check in CHECKS} | {check.code.lower() for check in CHECKS} | {rule.id for rule in RULES}
    )
    return () if word in check_names else foreign()


def _of_check(check: Check) -> Fault:
    return fault_of(check) or Fault(check.id, check.title, check.why, (), (check.id,))


def _explained(fault: Fault) -> Explained:
    rules = tuple(rule for rule in RULES if rule.id in fault.behaviours)
    return Explained(fault, tuple(check(id) for id in fault.states), rules)


def document(explained: Explained) -> dict[str, Any]:
    """What `explain --json` prints."""
    fault = explained.fault
    return {
        "fault": None if fault is None else fault.id,
        "title": None if fault is None else fault.title,
        "why": fault.why if fault else str(explained.why_none or "") or None,
        "remedies": [
            {"text": remedy.text, "safety": remedy.safety.value}
            for remedy in map(shown, fault.remedies if fault else ())
        ],
        "priced": fault.price.is_estimated if fault else None,
        "price": str(fault.price.how) if fault else None,
        "checks": [
            {"id": check.id, "code": check.code, "title": check.title, "rule": check.rule, "reads": check.reads}
            for check in explained.checks
        ],
        "diagnoses": [
            {"id": rule.id, "title": rule.title, "rule": rule.rule, "reads": rule.reads} for rule in explained.rules
        ],
    }
