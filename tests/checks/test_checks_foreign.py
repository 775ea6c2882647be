"""Checks of other packages: found when asked for by name, never in the way of ours."""

from __future__ import annotations

from dataclasses import replace
from importlib import metadata

import pytest

from wellfed.checks import registry
from wellfed.checks.base import passed
from wellfed.checks.registry import ALL, check, foreign, select
from wellfed.checks.run import run_checks
from wellfed.errors import UnknownName
from wellfed.faults.registry import ALL as FAULTS
from wellfed.faults.registry import of_behaviour, of_state
from wellfed.hardware.machine import Machine, Origin

SHELF = replace(ALL[0], id="shelf-door", code="SHF-01", judge=lambda machine: [passed("shelf", "closed")], repair=None)


class Point:
    def __init__(self, value: object) -> None:
        self._value = value

    def load(self) -> object:
        if isinstance(self._value, Exception):
            raise self._value
        return self._value


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    asked: list[str] = []

    def points(group: str) -> list[Point]:
        asked.append(group)
        return [Point(ImportError("broken")), Point((SHELF, replace(SHELF, id=ALL[0].id))), Point("no check")]

    monkeypatch.setattr(metadata, "entry_points", points)
    foreign.cache_clear()
    yield asked
    foreign.cache_clear()


def test_a_check_of_another_package_is_found_by_its_name(installed: list[str]) -> None:
    assert check("shelf-door") is SHELF
    assert select(["shelf-*"]) == (SHELF,)
    found = run_checks(Machine("box", Origin.LIVE), select(["shelf-door"]))
    assert [(finding.id, finding.code, finding.verdict.value) for finding in found] == [
        ("shelf-door", "SHF-01", "pass")
    ]


def test_other_packages_are_looked_for_only_on_demand(installed: list[str]) -> None:
    select(), select(["pcie-*"]), check("acs")
    assert installed == []
    with pytest.raises(UnknownName):
        check("no-such-check")
    assert installed == [registry.GROUP]


def test_a_built_in_check_cannot_be_replaced(installed: list[str]) -> None:
    assert foreign() == (SHELF,)


def test_codes_and_faults_are_unambiguous() -> None:
    assert len({each.code for each in ALL}) == len(ALL) and all(each.code for each in ALL)
    assert len({fault.id for fault in FAULTS}) == len(FAULTS)
    for fault in FAULTS:
        assert all(fault in of_state(id) for id in fault.states)
        assert all(fault in of_behaviour(id) for id in fault.behaviours)
