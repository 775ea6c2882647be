"""One noun for a fault: what a check and a diagnosis say of it is said once, and each leads to the other."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import wellfed
from wellfed.checks.registry import ALL
from wellfed.faults.registry import ALL as FAULTS
from wellfed.faults.registry import of_behaviour
from wellfed.watching.registry import ALL as RULES

SOURCE = Path(wellfed.__file__).parent
SELECTED = re.compile(r"wellfed check[^`]*--select ([\w,*-]+)")


def sentences(folder: Path) -> set[str]:
    """Every sentence that the files of a folder may say."""
    found = set()
    for path in folder.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("message", "sentence"):
                found |= {each.value for each in node.args[1:2] if isinstance(each, ast.Constant)}
    return found


def test_no_sentence_is_written_twice():
    at_rest, at_work = sentences(SOURCE / "checks" / "rules"), sentences(SOURCE / "watching" / "rules")
    assert at_rest and at_work and not at_rest & at_work


def test_faults_name_what_there_is():
    states, behaviours = {each.id for each in ALL}, {each.id for each in RULES}
    for fault in FAULTS:
        assert set(fault.states) <= states and set(fault.behaviours) <= behaviours and fault.states


def test_a_third_of_the_diagnoses_have_a_check():
    assert len([rule for rule in RULES if of_behaviour(rule.id)]) >= 12


@pytest.mark.parametrize("rule", [each for each in RULES if SELECTED.search(each.then)], ids=lambda each: each.id)
def test_the_checks_that_a_diagnosis_sends_to_are_its_faults(rule):
    fault = of_behaviour(rule.id)
    assert fault is not None
    for word in SELECTED.search(rule.then)[1].split(","):
        mine = [state for state in fault.states if state == word or (word[-1] == "*" and state.startswith(word[:-1]))]
        assert mine, (rule.id, word)
