"""One noun for a fault: what checks and diagnoses say of it is said once, and each leads to the other."""

from __future__ import annotations

import ast
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from check_cases import CASES
from click.testing import CliRunner

import wellfed
from wellfed.checks.base import Check, fault_of, warn
from wellfed.checks.registry import ALL
from wellfed.checks.run import run_check
from wellfed.cli.main import cli
from wellfed.faults.fault import MENDED, Fault
from wellfed.faults.registry import ALL as FAULTS
from wellfed.faults.registry import SYMPTOMS, of_behaviour, of_state
from wellfed.faults.steps import by_hand, command, complete, shown
from wellfed.hardware.machine import Machine, Origin
from wellfed.nouns.finding import FAULTS as BAD
from wellfed.nouns.finding import Remedy, Safety, Verdict
from wellfed.verbs.explaining import explained
from wellfed.verbs.promises import mending
from wellfed.watching.registry import ALL as RULES
from wellfed.watching.rules.base import Kind, remedies_of

SOURCE = Path(wellfed.__file__).parent
SELECTED = re.compile(r"wellfed check[^`]*--select ([\w,*-]+)")
ILL = [each for each in RULES if each.kind is Kind.ILL]
STEPS = {"plain", "by_hand", "command", "on_boot", "Remedy"}
SHELF = Check(
    id="shelf-door",
    title="The shelf's door is closed",
    severity=Verdict.WARN,
    reads="the door",
    rule="closed",
    judge=lambda machine: [warn("shelf", "open", "open", "closed")],
    why="Dust.",
)


def trees(folder: Path) -> list[tuple[str, ast.Module]]:
    return [(path.name, ast.parse(path.read_text(encoding="utf-8"))) for path in sorted(folder.glob("*.py"))]


def sentences(folder: Path) -> set[str]:
    """Every sentence that the files of a folder may say."""
    found = set()
    for _, tree in trees(folder):
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("message", "sentence"):
                found |= {each.value for each in node.args[1:2] if isinstance(each, ast.Constant)}
    return found


def test_no_sentence_is_written_twice() -> None:
    rooms = [sentences(SOURCE / room) for room in ("checks/rules", "watching/rules", "faults")]
    for n, room in enumerate(rooms):
        assert room and not any(room & other for other in rooms[n + 1 :])


@pytest.mark.parametrize("check", ALL, ids=lambda each: each.id)
def test_every_check_belongs_to_one_fault_that_tells_why(check: Check) -> None:
    assert len(of_state(check.id)) == 1
    assert fault_of(check) is of_state(check.id)[0]
    assert not check.why and check.fault is None


@pytest.mark.parametrize("rule", RULES, ids=lambda each: each.id)
def test_every_diagnosis_of_an_ill_belongs_to_a_fault_or_says_why_not(rule) -> None:
    if rule.kind is Kind.HEALTHY:
        assert not of_behaviour(rule.id)
    else:
        assert bool(of_behaviour(rule.id)) != (rule.id in SYMPTOMS)


def test_faults_name_what_there_is() -> None:
    states, behaviours = {each.id for each in ALL}, {each.id for each in ILL}
    for fault in FAULTS:
        assert set(fault.states) <= states and set(fault.behaviours) <= behaviours
        assert fault.states or fault.behaviours
        assert fault.title and fault.why and fault.remedies
    assert set(SYMPTOMS) <= behaviours


@pytest.mark.parametrize("folder", ["checks/rules", "watching/rules"])
def test_remedies_are_made_where_faults_are(folder: str) -> None:
    made = [
        f"{name}: {ast.unparse(node)[:60]}"
        for name, tree in trees(SOURCE / folder)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in STEPS
        if name not in {"healthy.py", "start_slow.py", "decode_slow.py"}  # limits and symptoms: no fault's
    ]
    assert not made


@pytest.mark.parametrize("check", ALL, ids=lambda each: each.id)
def test_a_checks_remedies_are_its_faults_filled_in_for_the_machine(check: Check) -> None:
    fault = of_state(check.id)[0]
    told = [(each.safety, each.reach, _pattern(each)) for each in fault.remedies]
    bad = 0
    for make, change in CASES[check.id]["bad"]:
        found = [each for each in check.judge(change(make())) if each.verdict in BAD]
        for remedy in (remedy for finding in found for remedy in finding.remedies):
            bad += 1
            assert any(
                (remedy.safety, remedy.reach) == (safety, reach) and pattern.fullmatch(remedy.text)
                for safety, reach, pattern in told
            ), remedy.text
        for finding in run_check(change(make()), check):
            assert finding.remedies or finding.verdict not in BAD
            assert not any("{" in line for line in finding.fix)
    assert bad or all(complete(each) for each in fault.remedies)


def _pattern(remedy: Remedy) -> re.Pattern[str]:
    template = remedy.message.template if remedy.message else remedy.text
    mark = "# " if remedy.text.startswith("#") and not template.startswith("#") else ""
    return re.compile(".+".join(re.escape(part) for part in re.split(r"\{\w+\}", mark + template)))


@pytest.mark.parametrize("rule", ILL, ids=lambda each: each.id)
def test_a_diagnosis_takes_its_remedies_from_its_faults(rule) -> None:
    faults = of_behaviour(rule.id)
    assert {each.text for each in rule.fix} <= {each.text for fault in faults for each in fault.remedies} or not faults
    assert remedies_of(rule) or rule.id == "stopped"  # whose remedy names the process


@pytest.mark.parametrize("fault", FAULTS, ids=lambda each: each.id)
def test_a_fault_is_priced_as_it_says(fault: Fault) -> None:
    for check in (each for each in ALL if each.id in fault.states):
        assert (check.price is None and check.repair is not None) or fault.price is not MENDED
        assert fault.price.is_estimated or (check.price is None and check.effect is None)


def test_what_a_diagnosis_costs_is_what_its_checks_price() -> None:
    assert mending()["pcie-bound"] == {"pcie-width", "pcie-speed", "pcie-chipset", "pcie-shared-uplink"}
    unpriced = {state for fault in FAULTS if not fault.price.is_estimated for state in fault.states}
    assert not unpriced & {id for ids in mending().values() for id in ids}


@pytest.mark.parametrize("rule", [each for each in RULES if SELECTED.search(each.then)], ids=lambda each: each.id)
def test_the_checks_that_a_diagnosis_sends_to_are_its_faults(rule) -> None:
    states = [state for fault in of_behaviour(rule.id) for state in fault.states]
    for word in SELECTED.search(rule.then)[1].split(","):
        assert [state for state in states if state == word or (word[-1] == "*" and state.startswith(word[:-1]))]


def test_a_check_of_another_package_brings_its_own_why_or_its_own_fault() -> None:
    box = Machine("box", Origin.LIVE)
    assert fault_of(SHELF) is None and not run_check(box, SHELF)[0].remedies
    dust = Fault("dust", "Dust", "It gets in.", (by_hand("Close it."), command("close {door}")), ("shelf-door",))
    finding = run_check(box, replace(SHELF, fault=dust))[0]
    assert finding.fix == ("# Close it.",) and finding.remedies[0].safety is Safety.BY_HAND


def test_a_finding_with_remedies_of_its_own_keeps_them() -> None:
    own = replace(SHELF, id="thp", judge=lambda machine: [warn("shelf", "open", fix=["slam"])])
    assert run_check(Machine("box", Origin.LIVE), own)[0].fix == ("slam",)


class TestExplain:
    @pytest.mark.parametrize("check", ALL, ids=lambda each: each.id)
    def test_a_check_by_id_or_code_with_what_sees_it_at_work(self, check: Check) -> None:
        by_id, by_code = explained(check.id), explained(check.code.lower())
        assert by_code == tuple(each for each in by_id if check in each.checks)
        assert {rule.id for each in by_code for rule in each.rules} == set(by_code[0].fault.behaviours)

    @pytest.mark.parametrize("rule", RULES, ids=lambda each: each.id)
    def test_a_diagnosis_with_the_checks_that_see_it_at_rest(self, rule) -> None:
        told = explained(rule.id)
        assert told
        states = {state for fault in of_behaviour(rule.id) for state in fault.states}
        assert states <= {check.id for each in told for check in each.checks}

    def test_what_is_no_fault_says_why(self) -> None:
        (told,) = explained("start-slow")
        assert told.fault is None and told.why_none is SYMPTOMS["start-slow"]
        assert not explained("no-such-id")

    def test_by_the_door(self) -> None:
        done = CliRunner().invoke(cli, ["explain", "gpu-low-clocks"])
        assert done.exit_code == 0
        assert {"gpu-memory-clock", "gpu-power-limit", "gpu-low-clocks"} <= set(re.findall(r"[\w-]+", done.output))
        told = json.loads(CliRunner().invoke(cli, ["explain", "swap", "--json"]).output)
        (fault,) = told["faults"]
        assert [each["id"] for each in fault["checks"]] == ["swap"]
        assert [each["id"] for each in fault["diagnoses"]] == ["swapping"]
        assert fault["priced"] is False and {each["safety"] for each in fault["remedies"]} == {"safe", "by hand"}

    def test_a_term_and_a_fault_of_one_name_are_both_told(self) -> None:
        told = json.loads(CliRunner().invoke(cli, ["explain", "NUMA", "--json"]).output)
        assert told["terms"] and not told["faults"]


def test_both_pages_tell_the_fault_and_lead_to_each_other() -> None:
    docs = SOURCE.parents[1] / "docs"
    watch = (docs / "watch.md").read_text(encoding="utf-8")
    for fault in FAULTS:
        pages = [(docs / "checks" / f"{id}.md").read_text(encoding="utf-8") for id in fault.states]
        for page in pages:
            assert str(fault.title) in page and str(fault.why) in page
            assert all(shown(each).text.removeprefix("# ") in page for each in fault.remedies)
            assert all(f"[`{id}`](../watch.md#" in page for id in fault.behaviours)
        if fault.behaviours:
            assert str(fault.title) in watch and str(fault.why) in watch
            assert all(f"[`{id}`](checks/{id}.md)" in watch for id in fault.states)
