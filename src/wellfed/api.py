"""The library's verbs. The command line and programs call these; each returns values and prints nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from wellfed.calibration import Calibration
from wellfed.errors import BadInput
from wellfed.hardware.machine import Machine
from wellfed.layout import Engine
from wellfed.planner.goal import Goal, Objective
from wellfed.workload import PRESETS, Workload

if TYPE_CHECKING:
    from wellfed.accuracy.report import Report
    from wellfed.planner.answer import Answer


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """What `plan` is asked besides the model. `least_quality_bits` None: 4 bits, fewer only when nothing fits."""

    on: str | None = None
    nodes: int | None = None
    network: str | None = None
    objective: Objective = Objective.LATENCY
    workload: Workload = PRESETS["chat"]
    sweep: bool = False
    least_quality_bits: float | None = None
    engines: tuple[Engine, ...] = ()
    quantisations: tuple[str, ...] = ()


def machine(on: str | None = None, nodes: int | None = None, network: str | None = None) -> Machine:
    """The machine that `on` describes (a line, a TOML file, build:NAME, a snapshot); None is this one."""
    if on is None:
        found = _live()
    else:
        from wellfed.catalog.machines import machine as described

        found = described(on)
    if nodes is not None or network is not None:
        from wellfed.catalog.machines import network_bytes_per_s

        found = replace(
            found,
            count=nodes or found.count,
            network_bytes_per_s=network_bytes_per_s(network) if network else found.network_bytes_per_s,
        )
    return found


def _live() -> Machine:
    from wellfed.catalog.hardware import cpu_or_none, gpu_or_none
    from wellfed.topology.machine import live

    return live(gpu_spec=gpu_or_none, cpu_spec=cpu_or_none)


def calibration(path: Path | None = None) -> Calibration:
    """The bundled calibration, with the file's values in place of its own."""
    from wellfed.catalog.calibration import bundled, load, merged

    return bundled() if path is None else merged([bundled(), load(path)])


def plan(model: str, options: PlanOptions = PlanOptions()) -> Answer:
    """Rank every sensible layout of `model`. Raises UnknownName, BadInput, Unsupported."""
    from wellfed.modelfiles.load import load_model
    from wellfed.planner.answer import answer
    from wellfed.planner.search import Search

    loaded = load_model(model)
    quantisations = options.quantisations or ((loaded.quantisation.id,) if loaded.quantisation else ())
    goal = Goal(
        objective=options.objective,
        least_quality_bits=4.0 if options.least_quality_bits is None else options.least_quality_bits,
        engines=options.engines,
        quantisations=quantisations,
    )
    search = Search(
        machine=machine(options.on, options.nodes, options.network),
        model=loaded.model,
        workload=_bounded(options.workload, loaded.model.context_limit),
        goal=goal,
        calibration=calibration(),
        quantisation=_quantisation,
        sweep=options.sweep,
        file_weights=loaded.weights,
    )
    found = answer(search, loaded.assumptions + search.machine.assumptions)
    if found.ranking.plans or options.least_quality_bits is not None or options.quantisations:
        return found
    coarser = answer(replace(search, goal=replace(goal, least_quality_bits=0.0)), found.assumptions)
    return coarser if coarser.ranking.plans else found
