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


def fit(
    on: str | Machine | None = None,
    use: str = "chat",
    top: int = 10,
    whole_families: bool = False,
    users: int = 1,
    benchmark: str | None = None,
) -> Fit:
    """The models of the catalogue that a machine serves well, best first; `benchmark`: by another than the use's own.

    `on`: a machine, or how it is written; None is this one. Raises BadInput for an unknown use, or a benchmark that the
    use has not.
    """
    from wellfed.planner.fit import USES
    from wellfed.planner.fit import fit as fitted
    from wellfed.planner.usable import usable

    if use not in USES:
        raise BadInput(
            sentence("fitting.no-such-use", "no such use: {use!r}", use=use),
            sentence("fitting.one", "one of {uses}", uses=listed(USES)),
        )
    usable_machine = usable(inputs.machine(on) if on is None or isinstance(on, str) else on)
    wanted = USES[use]
    if benchmark is not None:
        wanted = replace(wanted, benchmark=_benchmark(use, benchmark))
    if users > 1:
        wanted = replace(wanted, workload=replace(wanted.workload, concurrency=users))
    return fitted(usable_machine, wanted, inputs.calibration(machine=usable_machine), top, whole_families)


def _benchmark(use: str, name: str) -> str:
    """A benchmark of the use by its name in any case. Raises BadInput for another."""
    from wellfed.catalog.quality import benchmarks_of

    benchmarks = benchmarks_of(use)
    for benchmark in benchmarks:
        if benchmark.lower() == name.strip().lower():
            return benchmark
    problem = sentence("fitting.no-such-benchmark", "no scores of {name!r} for {use}", name=name, use=use)
    raise BadInput(problem, sentence("fitting.benchmarks", "one of {names}", names=listed(benchmarks)))
