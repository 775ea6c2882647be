"""Findings as JUnit XML, for CI systems: fail and warn are failures, unknown and skip are skipped."""

from __future__ import annotations

import re
from collections.abc import Iterable
from xml.etree import ElementTree

from wellfed.checks.outputs.summary import counts
from wellfed.nouns.finding import Finding, Verdict

_NOT_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit_xml(machine: str, findings: Iterable[Finding]) -> str:
    """One test case per finding; class name = check id, name = subject."""
    all_findings = tuple(findings)
    number = counts(all_findings)
    suite = ElementTree.Element(
        "testsuite",
        name=clean(f"wellfed check {machine}".strip()),
        tests=str(len(all_findings)),
        failures=str(number["fail"] + number["warn"]),
        errors="0",
        skipped=str(number["skip"] + number["unknown"]),
    )
    for finding in all_findings:
        _case(suite, finding)
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def junit_error(kind: str, message: str, hint: str | None) -> str:
    """The document of a check that could not be made: one test case with an error."""
    suite = ElementTree.Element("testsuite", name="wellfed check", tests="1", failures="0", errors="1", skipped="0")
    case = ElementTree.SubElement(suite, "testcase", classname="wellfed.check", name="read")
    ElementTree.SubElement(case, "error", type=kind, message=clean(message)).text = clean(hint or "")
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _case(suite: ElementTree.Element, finding: Finding) -> None:
    case = ElementTree.SubElement(suite, "testcase", classname=f"wellfed.{finding.id}", name=clean(finding.subject))
    text = clean(detail(finding))
    if finding.verdict in (Verdict.FAIL, Verdict.WARN):
        ElementTree.SubElement(case, "failure", type=finding.verdict.value, message=clean(finding.why)).text = text
    elif finding.verdict in (Verdict.SKIP, Verdict.UNKNOWN):
        ElementTree.SubElement(case, "skipped", message=clean(f"{finding.verdict.value}: {finding.why}"))


def detail(finding: Finding) -> str:
    """Measured, wanted and fix, a line each."""
    lines = [f"measured: {finding.measured}"] if finding.measured else []
    lines += [f"wanted: {finding.wanted}"] if finding.wanted else []
    return "\n".join([*lines, *finding.fix])


def clean(text: str) -> str:
    """Without characters that XML 1.0 forbids."""
    return _NOT_XML.sub("?", text)
