"""`wellfed.machine` and `wellfed.model`: what verbs work on, to look at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from wellfed.errors import Misuse
from wellfed.frozen import dataclass
from wellfed.hardware.machine import Machine
from wellfed.library.result import Result, Row
from wellfed.message import message, sentence
from wellfed.verbs import checking
from wellfed.verbs.inputs import NamedModel, pasted
from wellfed.verbs.inputs import model as named


@dataclass(frozen=True, slots=True, repr=False)
class Seen(Result):
    """A machine as `machine` returns it."""

    machine: Machine

    def to_dict(self) -> dict[str, Any]:
        """The document of `wellfed topology --json`."""
        from wellfed.topology.to_json import topology_json

        return topology_json(self.machine)

    def flat(self) -> list[Row]:
        """One row a GPU, or where there is none one a socket."""
        if self.machine.gpus:
            return [
                {
                    "gpu": gpu.name,
                    "data_sheet": gpu.spec.id if gpu.spec else None,
                    "memory_bytes": gpu.memory_bytes,
                    "numa_node": gpu.numa_node,
                    "link_bytes_per_s": gpu.link.bytes_per_s if gpu.link else None,
                }
                for gpu in self.machine.gpus
            ]
        return [
            {
                "socket": s.index,
                "cpu": s.name,
                "cores": s.cores,
                "bandwidth_bytes_per_s": s.memory_bandwidth_bytes_per_s,
            }
            for s in self.machine.sockets
        ]

    def summary(self) -> str:
        """The machine in a line: GPUs, CPUs, memory."""
        from wellfed.documents.machine_line import machine_line

        return machine_line(self.machine)


@dataclass(frozen=True, slots=True, repr=False)
class Named(Result):
    """A model as `model` returns it."""

    text: str
    named: NamedModel

    def to_dict(self) -> dict[str, Any]:
        """The document of `wellfed resolve --json` for this name."""
        from wellfed.resolution import resolve, to_json

        return to_json(resolve([self.text]))

    def flat(self) -> list[Row]:
        """One row: the model."""
        model, weights = self.named.model, self.named.weights
        return [
            {
                "id": model.id,
                "name": model.name,
                "parameters": model.parameters,
                "active_parameters": model.active_parameters,
                "layers": len(model.layers),
                "context": model.context_limit,
                "quantisation": self.named.quantisation.id if self.named.quantisation else None,
                "weight_bytes": weights.total if weights else None,
            }
        ]

    def summary(self) -> str:
        """The model in a line: name and size."""
        model = self.named.model
        return sentence(
            "inputs.b-parameters-b",
            "{model}: {parameters:.3g}B parameters, {active_parameters:.3g}B active",
            model=model.name,
            parameters=model.parameters / 1e9,
            active_parameters=model.active_parameters / 1e9,
        )


def machine(
    on: str | None = None,
    *,
    paste: str | bytes | None = None,
    from_: Path | str | None = None,
) -> Seen:
    """A machine: `on` as `plan` takes it, a `paste` of dumps, or a path (`from_`) to a snapshot; else this one.

    Raises BadInput where nothing is understood, UnknownName for parts in no catalogue, Misuse for two at once.
    """
    return Seen(read(on, paste, from_))


def read(on: str | None, paste: str | bytes | None, path: Path | str | None) -> Machine:
    """The Machine that verbs work on."""
    if sum(value is not None for value in (on, paste, path)) > 1:
        raise Misuse(message("machine.once", "a machine is described, pasted or read from a path: one of them"))
    if paste is not None:
        return pasted(paste.encode() if isinstance(paste, str) else paste)
    return checking.read_machine(on, None if path is None else Path(path))


def model(name: str) -> Named:
    """What is known of a model: a catalogue name, a file or folder, a repository. Raises as `plan`."""
    return Named(name, named(name))
