"""A checked fleet for machines: JUnit XML for CI systems, a textfile for node_exporter."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree

from wellfed.checks.outputs.junit import clean
from wellfed.nouns.finding import Verdict

if TYPE_CHECKING:
    from wellfed.fleet.checked import Fleet, Node
    from wellfed.nouns.finding import Finding


def fleet_junit(fleet: Fleet) -> str:
    """One test case a machine: it fails where it is odd or a check complains, and is an error where it is unread."""
    odd = {o.label: o for build in fleet.builds for o in build.odd}
    suite = ElementTree.Element("testsuite", name="wellfed fleet", tests=str(len(fleet.nodes)))
    failures = errors = 0
    for node in fleet.nodes:
        case = ElementTree.SubElement(suite, "testcase", classname="wellfed.fleet", name=clean(node.label))
        if node.member is None:
            errors += 1
            ElementTree.SubElement(case, "error", message=clean(str(node.why)))
            continue
        complaints = [f"{f.verdict.value} {f.id} {f.subject}: {f.why}" for f in _faults(node)]
        if node.label in odd:
            complaints += [
                f"odd {d.trait.subject} {d.trait.name}: {d.here or 'not there'}, usually {d.usual or 'not there'}"
                for d in odd[node.label].differences
            ]
        if complaints:
            failures += 1
            failure = ElementTree.SubElement(case, "failure", message=clean(complaints[0]))
            failure.text = clean("\n".join(complaints))
    suite.set("failures", str(failures))
    suite.set("errors", str(errors))
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(suite, encoding="unicode") + "\n"


def fleet_prometheus(fleet: Fleet) -> str:
    """Gauges by node: read, odd, faults by verdict, and speed now and mended where a model was priced."""
    odd = {o.label for build in fleet.builds for o in build.odd}
    rows: list[tuple[str, str, list[tuple[str, float]]]] = [
        ("wellfed_fleet_node_read", "1 = a snapshot of this node was read.",
         [(_label(n), float(n.member is not None)) for n in fleet.nodes]),
        ("wellfed_fleet_node_odd", "1 = it differs from its build.",
         [(_label(n), float(n.label in odd)) for n in fleet.nodes if n.member]),
        ("wellfed_fleet_node_faults", "Checks that complain, by verdict.",
         [(f'{_label(n)},verdict="{v.value}"', float(sum(f.verdict is v for f in _faults(n))))
          for n in fleet.nodes if n.member for v in (Verdict.FAIL, Verdict.WARN)]),
        ("wellfed_fleet_node_decode_tokens_per_second", "Decode speed of one user on the node as it is.",
         [(_label(n), n.decode_tok_s) for n in fleet.nodes if n.decode_tok_s is not None]),
        ("wellfed_fleet_node_decode_tokens_per_second_mended", "The same with its faults mended.",
         [(_label(n), n.best_tok_s) for n in fleet.nodes if n.best_tok_s is not None]),
    ]  # fmt: skip
    lines = []
    for name, text, values in rows:
        if values:
            lines += [f"# HELP {name} {text}", f"# TYPE {name} gauge"]
            lines += [f"{name}{{{labels}}} {value:g}" for labels, value in values]
    return "\n".join(lines) + "\n"


def _faults(node: Node) -> list[Finding]:
    return [f for f in node.findings if f.verdict in (Verdict.FAIL, Verdict.WARN)]


def _label(node: Node) -> str:
    name = node.label.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'node="{name}"'
