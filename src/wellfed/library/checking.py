"""`wellfed.check`: what is wrong with a machine, what it costs, how to mend it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from wellfed.frozen import dataclass
from wellfed.library import inputs, options
from wellfed.library.result import Result, Row
from wellfed.message import sentence
from wellfed.nouns.workload import Workload
from wellfed.verbs import checking
from wellfed.verbs import inputs as described
from wellfed.verbs.checking import Checked


@dataclass(frozen=True, slots=True, repr=False)
class Diagnosed(Result):
    """The answer of `check`."""

    checked: Checked

    def to_dict(self) -> dict[str, Any]:
        """The document of `wellfed check --json`."""
        from wellfed.documents.findings import check_document

        return check_document(self.checked)

    def flat(self) -> list[Row]:
        """One row a finding; costs in tokens/s and s."""
        return [
            {
                "id": finding.id,
                "verdict": finding.verdict.value,
                "subject": finding.subject,
                "measured": finding.measured,
                "wanted": finding.wanted,
                "decode_tok_s_cost": finding.cost.decode_tok_s if finding.cost else None,
                "why": finding.why,
            }
            for finding in self.checked.findings
        ]

    def summary(self) -> str:
        """How many findings have each verdict."""
        from wellfed.checks.outputs.summary import counts

        numbers = ", ".join(f"{count} {name}" for name, count in counts(self.checked.findings).items() if count)
        return f"{self.checked.machine.name}: {numbers or sentence('checking.nothing-checked', 'nothing was checked')}"


def check(
    on: str | None = None,
    *,
    paste: str | bytes | None = None,
    from_: Path | str | None = None,
    model: str | None = None,
    workload: Workload | str = "chat",
    users: int | None = None,
    nodes: int | None = None,
    network: str | None = None,
    select: options.Names = (),
    ignore: options.Names = (),
) -> Diagnosed:
    """What is wrong between CPU, memory, PCIe, NUMA and GPUs, priced for `model` where one is named, with remedies.

    The machine is described (`on`), pasted, read from a path (`from_`), or this one. Raises as `machine` and `plan`.
    """
    options.in_range("users", users, 1, 100_000)
    options.in_range("nodes", nodes, 1, 512)
    machine = inputs.read(on, paste, from_)
    if nodes or network:
        machine = described.joined(machine, nodes, network)
    load = options.workload(workload)
    load = load if users is None else replace(load, concurrency=users)
    return Diagnosed(checking.check(machine, model, load, options.several(select), options.several(ignore)))
