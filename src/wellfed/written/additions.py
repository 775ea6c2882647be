"""A parts list with one more part that was named: cards, a CPU, an unknown CPU, memory behind a name."""

from __future__ import annotations

from wellfed.catalog import names
from wellfed.catalog.hardware import Resolved
from wellfed.errors import BadInput
from wellfed.frozen import replace
from wellfed.hardware.parts import CpuSpec, GpuSpec
from wellfed.message import sentence
from wellfed.provenance import Assumption
from wellfed.written.modules import with_size
from wellfed.written.parts_list import GPUS_MAX, SYSTEM_FORMS, Card, PartsList, Seat, UnnamedCpu


def with_memory_of(parts: PartsList, name: str, piece: str) -> PartsList:
    """A CPU has no memory of its own: "epyc 9654 384gb" names the machine's."""
    sizes = [size for size in names.parse(name).hard.memory_gb if size >= 1]
    return replace(parts, memory=with_size(parts.memory, sizes[0], piece)) if sizes else parts


def with_gpus(
    parts: PartsList, gpu: Resolved[GpuSpec], count: int, seat: Seat, notes: tuple[Assumption, ...]
) -> PartsList:
    """The list with `count` more of a card, or of whole systems so many machines. Raises BadInput for too many."""
    if count == 0 or len(parts.cards) + count > GPUS_MAX:
        raise BadInput(
            sentence("written.line.gpus-one-machine", "{count} GPUs in one machine", count=len(parts.cards) + count),
            sentence(
                "written.line.1-several-machines", "1 to {gpus_max}; several machines: add nodes=N", gpus_max=GPUS_MAX
            ),
        )
    if gpu.spec.form in SYSTEM_FORMS:
        return _with_systems(parts, gpu, count, seat)
    return replace(
        parts,
        cards=(*parts.cards, *[Card(gpu.spec, seat)] * count),
        assumptions=(*parts.assumptions, *gpu.assumptions, *notes),
    )


def _with_systems(parts: PartsList, gpu: Resolved[GpuSpec], count: int, seat: Seat) -> PartsList:
    """A part that is a whole system ("2x dgx spark"): so many machines with one each."""
    before = next((card.spec for card in parts.cards if card.spec.form in SYSTEM_FORMS), None)
    if before is not None and before != gpu.spec:
        raise BadInput(
            sentence(
                "written.line.two-systems",
                "{before} and {spec} are two systems",
                before=before.name,
                spec=gpu.spec.name,
            ),
            sentence("written.line.describe-one-time", "describe one at a time"),
        )
    count += parts.count if before is not None else 0
    text, reason = (
        sentence(
            "written.line.machines-one-each", "{count} machines with one {spec} each", count=count, spec=gpu.spec.name
        ),
        sentence("written.line.whole-system", "it is a whole system"),
    )
    return replace(
        parts,
        cards=parts.cards if before is not None else (*parts.cards, Card(gpu.spec, seat)),
        count=max(count, parts.count),
        assumptions=(
            *parts.assumptions,
            *gpu.assumptions,
            *([Assumption(text, reason, reading=True)] if count > 1 else []),
        ),
    )


def with_cpu(parts: PartsList, cpu: Resolved[CpuSpec], count: int, name: str) -> PartsList:
    """The list with a known CPU on `count` more sockets; `name` as it was written. Raises BadInput for another kind."""
    if parts.unnamed_cpu is not None or (parts.cpu is not None and parts.cpu != cpu.spec):
        earlier = parts.cpu.name if parts.cpu else parts.unnamed_cpu.text if parts.unnamed_cpu else "?"
        raise BadInput(
            sentence(
                "written.line.two-kinds-cpu", "two kinds of CPU: {other} and {spec}", other=earlier, spec=cpu.spec.name
            ),
            sentence("written.line.machine-one-kind", "a machine has one kind"),
        )
    sockets = count + (parts.sockets if parts.cpu is not None else 0)
    if not 1 <= sockets <= cpu.spec.sockets_max:
        most = cpu.spec.sockets_max
        raise BadInput(
            sentence("written.line.sockets", "{sockets} sockets of {spec}", sockets=sockets, spec=cpu.spec.name),
            sentence("written.line.one-socket", "it runs in machines of one socket")
            if most == 1
            else sentence("written.line.up-sockets", "it runs in machines of up to {most} sockets", most=most),
        )
    notes = (*parts.assumptions, *cpu.assumptions, *_other_core_count(cpu.spec, name))
    return replace(parts, cpu=cpu.spec, sockets=sockets, assumptions=notes)


def _other_core_count(spec: CpuSpec, name: str) -> tuple[Assumption, ...]:
    query = names.parse(name)
    stated = [count for count in (*query.hard.cores, *query.soft.cores) if count]
    if not stated or spec.cores in stated or spec.threads in stated:
        return ()
    text = sentence(
        "written.line.all-cores",
        "{spec} with all its {cores} cores, not {stated}",
        spec=spec.name,
        cores=spec.cores,
        stated=stated[0],
    )
    return (
        Assumption(
            text,
            sentence(
                "written.line.catalogue-part-so", "the catalogue's part has so many; a share of it is not a machine"
            ),
            reading=True,
        ),
    )


def with_unnamed_cpu(parts: PartsList, unnamed: UnnamedCpu, count: int) -> PartsList:
    """The list with a CPU that no catalogue has, or with its counts alone. Raises BadInput for a second kind."""
    if parts.cpu is not None and unnamed.only_counts:
        text = sentence(
            "written.line.all-cores-2",
            "{cpu} with all its {cores} cores, not {unnamed!r}",
            cpu=parts.cpu.name,
            cores=parts.cpu.cores,
            unnamed=unnamed.text,
        )
        note = Assumption(
            text, sentence("written.line.share-machine", "a share of a machine is not planned"), reading=True
        )
        return replace(parts, assumptions=(*parts.assumptions, note))
    before = parts.unnamed_cpu
    if before is not None and unnamed.only_counts:
        joined = replace(before, cores=before.cores or unnamed.cores, threads=before.threads or unnamed.threads)
        return replace(parts, unnamed_cpu=joined)
    if parts.cpu is not None or (before is not None and before != unnamed):
        earlier = parts.cpu.name if parts.cpu else before.text if before else "?"
        raise BadInput(
            sentence(
                "written.line.two-kinds-cpu-2",
                "two kinds of CPU: {other} and {unnamed}",
                other=earlier,
                unnamed=unnamed.text,
            ),
            sentence("written.line.machine-one-kind", "a machine has one kind"),
        )
    if not 1 <= count <= 8:
        raise BadInput(sentence("written.line.socket-count", "{count} sockets", count=count), "1 to 8")
    return replace(parts, unnamed_cpu=unnamed, sockets=(parts.sockets if before is not None else 0) + count)
