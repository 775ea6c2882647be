"""What the pages of checks and of diagnoses both say of a fault, and how each leads to the other."""

from __future__ import annotations

import re
from collections.abc import Iterable

from wellfed.faults.fault import LIFTED, Fault
from wellfed.faults.registry import SYMPTOMS, of_behaviour
from wellfed.faults.steps import shown
from wellfed.nouns.finding import Remedy
from wellfed.watching.registry import ALL as RULES
from wellfed.watching.rules.base import Rule, remedies_of


def heading(rule: Rule) -> str:
    """A diagnosis's heading on the page of `watch`."""
    return f"`{rule.id}`: {rule.title}"


def link_to_rule(id: str, page: str) -> str:
    """A link to a diagnosis on that page."""
    rule = next(each for each in RULES if each.id == id)
    return f"[`{id}`]({page}#{_slug(heading(rule))})"


def link_to_check(id: str, folder: str) -> str:
    """A link to a check's page in that folder."""
    return f"[`{id}`]({folder}/{id}.md)"


def _slug(title: str) -> str:
    """The anchor that GitHub makes of a heading."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def steps(remedies: Iterable[Remedy]) -> str:
    """Remedies as a list, each with its safety."""
    return "".join(f"- {step(each)}\n" for each in remedies)


def step(remedy: Remedy) -> str:
    """One remedy with its safety."""
    text = shown(remedy).text
    return text[2:] if text.startswith("# ") else f"`{text}` ({remedy.safety.value})"


def price(fault: Fault) -> str:
    """How it is priced, or why not."""
    return str(fault.price.how) if fault.price.is_estimated else f"None: {fault.price.how}."


def evidence_at_work(fault: Fault, page: str) -> str:
    """The diagnoses that see it, with links."""
    if not fault.behaviours:
        return "Nothing that `wellfed watch` reads shows it.\n"
    return f"`wellfed watch` sees it as {', '.join(link_to_rule(id, page) for id in fault.behaviours)}.\n"


def remedies_shown(rule: Rule) -> tuple[Remedy, ...]:
    """What to do about a diagnosis; of no process yet."""
    faults = of_behaviour(rule.id)
    return remedies_of(rule) or (faults[0].remedies if faults else ())


def behind(rule: Rule) -> list[str]:
    """Lines of the page of `watch`: the faults behind a diagnosis, and the checks that see them at rest."""
    lines = []
    for fault in of_behaviour(rule.id):
        seen = ", ".join(link_to_check(id, "checks") for id in fault.states)
        lines.append(f"- fault `{fault.id}`: {fault.title}. {fault.why}")
        lines.append(f"  - at rest: {seen}" if seen else "  - at rest: no check sees it")
        if fault.price is not LIFTED:
            lines.append(f"  - price: {price(fault)}")
    if rule.id in SYMPTOMS:
        lines.append(f"- no fault of its own: {SYMPTOMS[rule.id]}")
    return lines
