"""What every verb works on: a machine, a model, a calibration."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from wellfed.errors import BadInput
from wellfed.frozen import dataclass, replace
from wellfed.hardware.machine import Machine
from wellfed.message import message
from wellfed.nouns.calibration import Calibration
from wellfed.plain_file import is_there

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wellfed.models.model import Model
    from wellfed.models.quantisation import Quantisation
    from wellfed.models.weights import Weights
    from wellfed.provenance import Assumption
    from wellfed.topology.snapshot import Snapshot
    from wellfed.written.saved import Value


def machine(on: str | None = None, nodes: int | None = None, network: str | None = None) -> Machine:
    """The machine that `on` describes (a line, a TOML file, build:NAME, a snapshot, a kept name); None is this one."""
    if on is not None and not on.strip():
        raise BadInput(
            message("machine.empty", "no machine is named"),
            message(
                "machine.empty.hint", "a line such as 'rtx 4090, ryzen 9 7950x, 64gb'; without --on it is this one"
            ),
        )
    if on is not None:
        from wellfed.written.saved import machine_of

        if (saved := machine_of(on.strip())) is not None:
            on, nodes, network = str(saved["on"]), nodes or _count(saved), network or _rate(saved)
    if on is not None and not _is_capture(on):
        from wellfed.written.machines import machine as described

        return described(on, nodes, network)
    seen = _live() if on is None else captured(Path(on))
    if nodes is None and network is None:
        return seen
    return joined(seen, nodes, network)


def joined(machine: Machine, nodes: int | None, network: str | None) -> Machine:
    """So many of that machine, joined by a network of that rate. Raises BadInput for a rate that is none."""
    from wellfed.written.settings import network_between

    count = nodes or machine.count
    rate = machine.network_bytes_per_s if network is None else network_between(count, network)
    return replace(machine, count=count, network_bytes_per_s=rate)


def _count(saved: Mapping[str, Value]) -> int | None:
    return int(saved["nodes"]) if "nodes" in saved else None


def _rate(saved: Mapping[str, Value]) -> str | None:
    return str(saved["network"]) if "network" in saved else None


def _live() -> Machine:
    from wellfed.catalog.core_signatures import with_known_cores
    from wellfed.catalog.hardware import cpu_or_none, gpu_or_none
    from wellfed.topology.machine import live

    return _with_measured_memory(with_known_cores(live(gpu_spec=gpu_or_none, cpu_spec=cpu_or_none)))


def captured(path: Path) -> Machine:
    """The machine of a snapshot, a pasted dump, a folder of dumps, or a captured /sys and /proc; `-`: standard input.

    Raises BadInput where there is nothing to read, or nothing in it is understood.
    """
    from wellfed.topology.snapshot_io import load

    return _understood(load(path), path.name)


def pasted(content: bytes, name: str = "paste") -> Machine:
    """The machine of what somebody pasted or sent: a dump, or a snapshot's archive. Raises BadInput as `captured`."""
    from io import BytesIO

    from wellfed.topology.snapshot_io import load_stream

    return _understood(load_stream(BytesIO(content), name), name)


def _understood(snapshot: Snapshot, name: str) -> Machine:
    """Raises BadInput where nothing in it is understood."""
    from wellfed.catalog.core_signatures import with_known_cores
    from wellfed.catalog.hardware import cpu_or_none, gpu_or_none
    from wellfed.topology.machine import parse
    from wellfed.topology.readers.refusal import refuse_unread

    read = with_known_cores(parse(snapshot, gpu_spec=gpu_or_none, cpu_spec=cpu_or_none))
    refuse_unread(read, name)
    return read


def _is_capture(on: str) -> bool:
    return is_there(on) and not on.endswith(".toml")


def _with_measured_memory(machine: Machine) -> Machine:
    """This machine with the bandwidth and clock of its own calibration, or else of the last `wellfed bench memory`."""
    from wellfed.bench.store import last_memory, own_for

    measured_here = own_for(machine)
    figures = last_memory(machine) if measured_here is None else measured_here.memory
    return machine if figures is None else figures.of(machine)


def calibration(path: Path | None = None, machine: Machine | None = None) -> Calibration:
    """The bundled calibration, with the values of a file, or of `machine`'s own calibration, in place of its own."""
    from wellfed.catalog.calibration import bundled, load, merged

    if path is not None:
        return merged([bundled(), load(path)])
    from wellfed.bench.store import own_for

    measured_here = own_for(machine) if machine is not None else None
    return bundled() if measured_here is None else merged([bundled(), measured_here.calibration])


@dataclass(frozen=True, slots=True)
class NamedModel:
    """A model as asked for: with its files' exact weights or a quantisation where the name said one."""

    model: Model
    weights: Weights | None = None
    quantisation: Quantisation | None = None
    assumptions: tuple[Assumption, ...] = ()


def model(text: str) -> NamedModel:
    """The model that `text` names: a file or folder, a catalogue name (with a quantisation or not), a repository.

    `identity.identify` tells the order. Raises UnknownName with near matches, BadInput for damaged files, Unsupported
    for unknown architectures, and for models and formats of which only the size is known.
    """
    from wellfed.identity import identify

    named_model = identify(text, hub="huggingface")
    return NamedModel(named_model.planned(), named_model.weights, named_model.quantisation, named_model.assumptions)
