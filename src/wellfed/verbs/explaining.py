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
    named = fault(word)
    if named is not None:
        return (_whole(named),)
    seen = dict.fromkeys((*(_of_check(each) for each in _checks(word)), *of_behaviour(word)))
    if seen:
        return tuple(_whole(each) for each in seen)
    return tuple(Explained(None, (), (rule,), SYMPTOMS.get(rule.id)) for rule in RULES if rule.id == word)


def _checks(word: str) -> tuple[Check, ...]:
    return tuple(each for each in (CHECKS + _foreign(word)) if word in (each.id, each.code.lower()))


def _foreign(word: str) -> tuple[Check, ...]:
    """Checks of other packages, looked for only where no word of ours is meant."""
    known = {each.id for each in CHECKS} | {each.code.lower() for each in CHECKS} | {each.id for each in RULES}
    return () if word in known else foreign()


def _of_check(found: Check) -> Fault:
    return fault_of(found) or Fault(found.id, found.title, found.why, (), (found.id,))


def _whole(found: Fault) -> Explained:
    rules = tuple(rule for rule in RULES if rule.id in found.behaviours)
    return Explained(found, tuple(check(id) for id in found.states), rules)


def document(told: Explained) -> dict[str, Any]:
    """For `--json`."""
    found = told.fault
    return {
        "fault": None if found is None else found.id,
        "title": None if found is None else found.title,
        "why": found.why if found else str(told.why_none or "") or None,
        "remedies": [
            {"text": each.text, "safety": each.safety.value} for each in map(shown, found.remedies if found else ())
        ],
        "priced": found.price.known if found else None,
        "price": str(found.price.how) if found else None,
        "checks": [
            {"id": each.id, "code": each.code, "title": each.title, "rule": each.rule, "reads": each.reads}
            for each in told.checks
        ],
        "diagnoses": [
            {"id": each.id, "title": each.title, "rule": each.rule, "reads": each.reads} for each in told.rules
        ],
    }
