"""Run checks over a machine; one that crashes says so and harms no other."""

from __future__ import annotations

from collections.abc import Iterable

from wellfed.checks.base import Check, skip, stamped, unknown
from wellfed.checks.registry import ALL
from wellfed.checks.remedy import fitted
from wellfed.checks.setting import Setting, setting_of
from wellfed.hardware.machine import Machine
from wellfed.message import message
from wellfed.nouns.estimate import Estimate
from wellfed.nouns.finding import FAULTS, Finding


def run_checks(
    machine: Machine, checks: Iterable[Check] = ALL, estimate: Estimate | None = None
) -> tuple[Finding, ...]:
    """Every check's findings, in the order of `checks`.

    `estimate`: what a plan needs of this machine; checks that can, judge against it.
    """
    setting = setting_of(machine)
    return tuple(finding for check in checks for finding in run_check(machine, check, estimate, setting))


def run_check(
    machine: Machine, check: Check, estimate: Estimate | None = None, setting: Setting | None = None
) -> tuple[Finding, ...]:
    """One check's findings; at least one. An exception inside becomes `unknown` with its error."""
    try:
        if estimate is not None and check.against is not None:
            findings = tuple(check.against(machine, estimate))
        else:
            findings = tuple(check.judge(machine))
    except Exception as error:  # noqa: BLE001  a broken check must not hide the others' findings
        why = message("check.crashed", "the check itself failed: {error}", error=f"{type(error).__name__}: {error}")
        findings = (unknown(why),)
    resolved_setting = setting or setting_of(machine)
    stamps = (stamped(finding, check) for finding in findings or (skip(message("check.nothing", "nothing to judge")),))
    return tuple(fitted(finding, check, resolved_setting) for finding in stamps)


def faults(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The findings that are warnings or failures."""
    return tuple(finding for finding in findings if finding.verdict in FAULTS)
