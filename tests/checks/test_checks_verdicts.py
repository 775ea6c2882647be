"""Every check gives every verdict it should, and a repair mends what it claims to."""

from __future__ import annotations

import pytest
from check_cases import CASES
from check_machines import board, every_finding, healthy, judged, one_socket

from wellfed.checks.registry import ALL, check
from wellfed.checks.run import faults, run_checks
from wellfed.hardware.machine import Machine, Origin
from wellfed.nouns.finding import FAULTS, Verdict

EVERY = [
    pytest.param(id, wanted, make, change, id=f"{id}-{wanted}-{at}")
    for id, verdicts in CASES.items()
    for wanted, cases in verdicts.items()
    for at, (make, change) in enumerate(cases)
]
BAD = [param for param in EVERY if param.values[1] == "bad"]
ORDER = (Verdict.FAIL, Verdict.WARN, Verdict.UNKNOWN, Verdict.PASS, Verdict.SKIP)


def worst(id: str, machine: Machine) -> Verdict:
    """The worst verdict of a check; a skip on one subject shows only where no other subject has a fault."""
    found = {finding.verdict for finding in judged(machine, id)}
    return next(verdict for verdict in ORDER if verdict in found)


@pytest.mark.parametrize(("id", "wanted", "make", "change"), EVERY)
def test_verdict(id, wanted, make, change):
    found = judged(change(make()), id)
    verdicts = {finding.verdict.value for finding in found}
    assert not any("check itself failed" in finding.why for finding in found)
    if wanted == "bad":
        assert verdicts & {"warn", "fail"}
    elif wanted == "unknown":
        assert "unknown" in verdicts and not verdicts & {"warn", "fail"}
    elif wanted == "pass":
        assert verdicts == {"pass"}
    else:
        assert "skip" in verdicts and verdicts <= {"skip", "pass"}


def test_every_check_has_every_kind_of_case():
    assert set(CASES) == {each.id for each in ALL}
    assert all(set(verdicts) == {"pass", "bad", "unknown", "skip"} for verdicts in CASES.values())


@pytest.mark.parametrize(("id", "wanted", "make", "change"), BAD)
def test_faults_say_what_is_wanted_and_what_to_do(id, wanted, make, change):
    for finding in faults(judged(change(make()), id)):
        assert finding.id == id
        assert finding.why and finding.measured and finding.wanted and finding.refs
        assert finding.fix or "emulated" in finding.why


@pytest.mark.parametrize(("id", "wanted", "make", "change"), BAD)
def test_no_verdict_is_worse_than_the_declared_severity(id, wanted, make, change):
    assert ORDER.index(worst(id, change(make()))) >= ORDER.index(check(id).severity)


@pytest.mark.parametrize(("id", "wanted", "make", "change"), BAD)
def test_a_repaired_machine_has_the_fault_no_more(id, wanted, make, change):
    broken = change(make())
    repair = check(id).repair
    assert repair is not None
    assert not faults(judged(repair(broken), id))


@pytest.mark.parametrize(("id", "wanted", "make", "change"), BAD)
def test_a_repair_breaks_nothing_else(id, wanted, make, change):
    broken = change(make())
    before = {(finding.id, finding.subject) for finding in faults(every_finding(broken))}
    after = {(finding.id, finding.subject) for finding in faults(every_finding(check(id).repair(broken)))}
    assert after <= before


@pytest.mark.parametrize("make", [healthy, board, one_socket])
@pytest.mark.parametrize("each", ALL, ids=lambda each: each.id)
def test_repairing_a_healthy_machine_changes_no_verdict(each, make):
    machine = make()
    verdicts = [finding.verdict for finding in every_finding(machine) if finding.verdict in FAULTS]
    assert not verdicts
    assert not faults(every_finding(each.repair(machine)))


@pytest.mark.parametrize("origin", list(Origin))
def test_a_machine_of_which_nothing_is_known_passes_nothing(origin):
    found = run_checks(Machine("?", origin))
    assert {finding.verdict for finding in found} <= {Verdict.UNKNOWN, Verdict.SKIP}
    assert {finding.id for finding in found} == {each.id for each in ALL}


def test_a_check_that_crashes_is_unknown_and_harms_no_other():
    from dataclasses import replace

    def broken(machine):
        raise KeyError("channel 7")

    checks = (replace(ALL[0], judge=broken), ALL[1])
    first, *others = run_checks(healthy(), checks)
    assert first.verdict is Verdict.UNKNOWN and "channel 7" in first.why and first.id == ALL[0].id
    assert {other.verdict for other in others} == {Verdict.PASS}
