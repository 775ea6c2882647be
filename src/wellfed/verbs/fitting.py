"""Which models a machine serves well."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from wellfed.errors import BadInput
from wellfed.message import listed, sentence
from wellfed.verbs import inputs

if TYPE_CHECKING:
    from wellfed.hardware.machine import Machine
    from wellfed.planner.fit import Fit


def fit(on: str | None = None, use: str = "chat", top: int = 10, whole_families: bool = False, users: int = 1) -> Fit:
    """The models of the catalogue that a machine serves well, best first. Raises BadInput for an unknown use."""
    return fit_on(inputs.machine(on), use, top, whole_families, users)


def fit_on(machine: Machine, use: str = "chat", top: int = 10, whole_families: bool = False, users: int = 1) -> Fit:
    """The same for a machine at hand."""
    from wellfed.planner.fit import USES, fit
    from wellfed.planner.usable import usable

    if use not in USES:
        raise BadInput(
            sentence("fitting.no-such-use", "no such use: {use!r}", use=use),
            sentence("fitting.one", "one of {uses}", uses=listed(USES)),
        )
    usable_machine = usable(machine)
    wanted = USES[use]
    if users > 1:
        wanted = replace(wanted, workload=replace(wanted.workload, concurrency=users))
    return fit(usable_machine, wanted, inputs.calibration(machine=usable_machine), top, whole_families)
