"""What a launch needs of the machine as it is now: its huge pages, and the faults that will cost it speed."""

from __future__ import annotations

from dataclasses import replace

from wellfed.engines.spec import LaunchSpec
from wellfed.errors import BadInput
from wellfed.message import sentence
from wellfed.nouns.plan import Plan
from wellfed.verbs.commands import (
    READS_GGUF,
)


def in_huge_pages(plan: Plan, spec: LaunchSpec) -> LaunchSpec:
    """The launch with its memory in explicit huge pages of its nodes. Raises BadInput for engines that use none."""
    from wellfed.launch import pages

    if plan.layout.engine not in READS_GGUF:
        raise BadInput(
            sentence(
                "running.huge-pages-llama", "--huge-pages is for llama.cpp, not for {engine}", engine=plan.layout.engine
            ),
            sentence("running.start-without", "start without it"),
        )
    pages.ensure_usable()
    ram = next((device for device in plan.estimate.memory.devices if device.device == "ram"), None)
    size = sum(term.bytes - term.late_bytes for term in ram.terms) if ram else 0.0
    nodes = spec.binding.nodes or (plan.machine.numa_nodes[0].os_index if plan.machine.numa_nodes else 0,)
    return replace(
        spec,
        argv=(*spec.argv, *(() if pages.FLAG in spec.argv else (pages.FLAG,))),
        environment={**spec.environment, **pages.ENVIRONMENT},
        huge_pages={node: pages.pages_for(size / len(nodes)) for node in nodes},
    )


def costly_findings(plan: Plan, least: float = 0.03) -> tuple[str, ...]:
    """Faults of this machine that cost this plan more than `least` of its decode or prefill speed."""
    from wellfed.nouns.finding import Verdict
    from wellfed.verbs.checking import check_plan

    costly = []
    for finding in check_plan(plan).findings:
        cost = finding.cost
        if cost is None or finding.verdict not in (Verdict.WARN, Verdict.FAIL):
            continue
        lost = max(
            cost.decode_tok_s / plan.estimate.decode_tok_s.value, cost.prefill_tok_s / plan.estimate.prefill_tok_s.value
        )
        if lost > least:
            costly.append(
                sentence(
                    "running.costs-here-see",
                    "{subject}: {why}; costs {lost:.0%} here; see `wellfed check` ({finding})",
                    subject=finding.subject,
                    why=finding.why,
                    lost=lost,
                    finding=finding.id,
                )
            )
    return tuple(costly)
