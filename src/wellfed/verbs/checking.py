"""The verbs that judge a machine: read it, check it, price what is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from wellfed.checks.places import cards
from wellfed.checks.pricing import Priced, as_is, price, unpriced
from wellfed.checks.registry import select
from wellfed.checks.run import run_checks
from wellfed.errors import BadInput, Unsupported, WellfedError
from wellfed.frozen import dataclass
from wellfed.hardware.machine import Machine, Origin
from wellfed.message import Amount, Listing, Message, message, sentence
from wellfed.nouns.finding import Cost, Finding
from wellfed.nouns.workload import PRESETS, Workload
from wellfed.verbs import inputs, planning

if TYPE_CHECKING:
    from wellfed.nouns.estimate import Estimate
    from wellfed.nouns.layout import Layout
    from wellfed.nouns.plan import Plan
    from wellfed.planner.search import Search
    from wellfed.topology.picture import Box

SLIGHT = 0.002  # differences that do not count
DIFFERENT = 0.05  # of RAM: nodes and total that differ by more are told


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check found. `plan` is the plan the costs are of; None without a model, or when none fits."""

    machine: Machine
    findings: tuple[Finding, ...]
    together: Cost | None = None
    plan: Plan | None = None
    no_price: Message | None = None  # why nothing could be priced


def read_machine(on: str | None = None, path: Path | None = None) -> Machine:
    """The machine of a line, TOML file or build (`on`), of a snapshot, dump or folder of them (`path`), or this one.

    Raises BadInput where there is nothing to read or nothing is understood, UnknownName for parts in no catalogue.
    """
    if on is not None and path is not None:
        raise BadInput(
            sentence(
                "checking.machine-either", "a machine is either described (--on) or read from a path (--from), not both"
            )
        )
    return inputs.machine(on) if path is None else inputs.captured(path)


def draw(machine: Machine) -> Box:
    """The machine as nested boxes, marked with the checks that complain of them."""
    from wellfed.topology.picture import picture

    return picture(machine, run_checks(machine))


def under_load(machine: Machine) -> Machine:
    """This machine with its GPUs' links as they are while data is copied. Raises NoGpu where that cannot be done."""
    from wellfed.bench.awake import links_under_load
    from wellfed.checks.mend import awakened

    return awakened(machine, links_under_load())


def check(
    machine: Machine,
    model: str | None = None,
    workload: Workload = PRESETS["chat"],
    only: Sequence[str] = (),
    ignore: Sequence[str] = (),
) -> Checked:
    """Run the checks; with a model, price every fault for it. Raises UnknownName for ids and models not known."""
    checks = select(only, ignore)
    if model is None:
        return Checked(machine, run_checks(machine, checks))
    if (why := no_price(machine)) is not None:
        inputs.model(model)  # a name that nobody knows is an error, whatever the machine
        return Checked(machine, unpriced(run_checks(machine, checks), why).findings, no_price=why)
    pricer = Pricer.of(machine, model, workload)
    findings = run_checks(machine, checks, pricer.plan.estimate if pricer.plan else None)
    priced: Priced = price(machine, findings, checks, pricer)
    return Checked(machine, priced.findings, priced.together, pricer.plan)


def no_price(machine: Machine) -> Message | None:
    """Why no speed of this machine can be told: a GPU without data sheet, RAM or CPU that nobody told."""
    nameless = [gpu for gpu in cards(machine) if gpu.spec is None]
    if nameless:
        names = tuple(dict.fromkeys(gpu.name or "?" for gpu in nameless))
        return message("price.gpu-unknown", "no data sheet for the GPU ({names})", names=Listing(names))
    if machine.origin is not Origin.DUMP:
        return None
    if machine.memory_bytes is None and not any(gpu.spec and gpu.spec.unified_memory for gpu in machine.gpus):
        return message("price.ram-unknown", "how much RAM the machine has is not told")
    if not machine.gpus and not any(socket.cpu for socket in machine.sockets):
        return message("price.cpu-unknown", "neither a GPU nor a CPU with a data sheet is told")
    return None


def check_plan(plan: Plan) -> Checked:
    """The checks of a plan's machine, each fault with its cost for that plan."""
    from wellfed.nouns.plan import Request
    from wellfed.perf.estimate import estimate

    def again(machine: Machine) -> Estimate:
        if plan.layout.gpus > max(1, machine.count) * len(machine.gpus):
            raise Unsupported(sentence("checking.plan-gpus-cannot", "this plan's GPUs cannot all be used as they are"))
        request = Request(machine, plan.model, plan.weights, plan.layout, plan.workload)
        return estimate(request, inputs.calibration(machine=plan.machine))

    checks = select()
    findings = run_checks(plan.machine, checks, plan.estimate)
    priced = price(plan.machine, findings, checks, again)
    return Checked(plan.machine, priced.findings, priced.together, plan)


@dataclass(frozen=True, slots=True)
class Pricer:
    """An estimator: the speed of the best layout, engine and weights being those of the machine as it is.

    A repaired machine runs the same layout, or a better one of the same engine and weights where the repair makes room
    for it (more layers on the GPU, more GPUs in a group): the better one in every respect, so that no repair costs.
    """

    search: Search
    plan: Plan | None

    @classmethod
    def of(cls, machine: Machine, model: str, workload: Workload) -> Pricer:
        """Plan `model` on the machine as it performs now. Raises what `plan` raises."""
        from wellfed.planner.answer import answer

        performing = as_is(machine, select())
        search, _ = planning.search(model, planning.PlanOptions(workload=workload), performing)
        best = answer(search, with_upgrades=False).ranking.best
        if best is None:
            search = replace(search, goal=replace(search.goal, least_quality_bits=0.0))
            best = answer(search, with_upgrades=False).ranking.best
        return cls(search, best)

    def __call__(self, machine: Machine) -> Estimate:
        """The estimate on `machine`. Raises Unsupported where no layout fits."""
        same = self._same_layout(machine)
        if self.plan is not None and same is not None and machine == self.plan.machine:
            return same
        again = self._planned_again(machine)
        if same is not None and (again is None or not _better(again, same)):
            return same
        if again is None:
            raise Unsupported(sentence("checking.no-layout-model", "no layout of this model fits"))
        return again

    def _same_layout(self, machine: Machine) -> Estimate | None:
        from wellfed.nouns.plan import Request
        from wellfed.perf.estimate import estimate

        if self.plan is None:
            return None
        request = Request(machine, self.plan.model, self.plan.weights, self.plan.layout, self.plan.workload)
        try:
            return estimate(request, self.search.calibration)
        except WellfedError:
            return None

    def _planned_again(self, machine: Machine) -> Estimate | None:
        goal = self.search.goal
        if self.plan is not None:
            layout: Layout = self.plan.layout
            goal = replace(goal, engines=(layout.engine,), quantisations=(layout.quantisation,))
        best = replace(self.search, machine=machine, goal=goal).run().best
        return best.estimate if best else None


def _better(new: Estimate, old: Estimate) -> bool:
    """Better in one respect, and worse in none; what is loaded once for good speed may take longer."""
    gains = (
        new.decode_tok_s.value / old.decode_tok_s.value,
        new.prefill_tok_s.value / old.prefill_tok_s.value,
        old.ttft_s.value / new.ttft_s.value,
    )
    loading = (old.load_s / new.load_s) if old.load_s and new.load_s else 1.0
    if max(gains) <= 1 + SLIGHT:
        return min(gains) >= 1 - SLIGHT and loading > 1 + SLIGHT
    return min(gains) >= 1 - SLIGHT


def header(machine: Machine) -> tuple[Message, ...]:
    """What kind of machine it is and what was read of it; what a dump lacks."""
    from wellfed.checks.setting import setting_of
    from wellfed.topology.readers.refusal import without_gpu

    lacking = without_gpu(machine)
    return (*setting_of(machine).words, *totals_differ(machine), *([lacking] if lacking else []))


def totals_differ(machine: Machine) -> tuple[Message, ...]:
    """RAM in all against the sum of its NUMA nodes, where they do not agree (a part that is offline or reserved)."""
    sizes = [node.memory_bytes for node in machine.numa_nodes if not node.gpu_memory]
    known_sizes = [size for size in sizes if size is not None]
    if machine.memory_bytes is None or not known_sizes or len(known_sizes) != len(sizes):
        return ()
    gap = abs(machine.memory_bytes - sum(known_sizes))
    if gap <= machine.memory_bytes * DIFFERENT:
        return ()
    return (
        message(
            "header.totals",
            "RAM in all is {total}, its NUMA nodes have {nodes}: they do not agree",
            total=Amount(machine.memory_bytes, "B"),
            nodes=Amount(sum(known_sizes), "B"),
        ),
    )


def snapshot(out: Path) -> tuple[int, tuple[str, ...]]:
    """Write what can be read of this machine to `out`: the file's bytes, and what could not be read and why."""
    from wellfed.topology.collect import collect
    from wellfed.topology.machine import parse
    from wellfed.topology.snapshot_io import save

    collected = collect()
    save(collected, out)
    gaps = parse(collected).unknown
    return out.stat().st_size, tuple(f"{source}: " + why for source, why in sorted(gaps.items()))
