"""All faults, and where each check and each diagnosis belongs."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from wellfed.faults import cards, cpus, links, memory, network, numa, serving
from wellfed.faults.fault import Fault
from wellfed.message import Message, message

ALL: tuple[Fault, ...] = (*cards.ALL, *links.ALL, *memory.ALL, *numa.ALL, *cpus.ALL, *network.ALL, *serving.ALL)

# Diagnoses that are no fault's, with the reason.
SYMPTOMS: Mapping[str, Message] = {
    "start-slow": message(
        "fault.symptom-start",
        "what a user notices, whatever makes requests wait: watched from afar, the fault is not seen",
    ),
    "decode-slow": message(
        "fault.symptom-decode",
        "what a user notices, whatever slows the engine: watched from afar, the fault is not seen",
    ),
}


def of_behaviour(id: str) -> tuple[Fault, ...]:
    """The faults that may be behind a diagnosis, the nearest first; empty for symptoms and healthy limits."""
    return _by_evidence()[1].get(id, ())


def of_state(id: str) -> tuple[Fault, ...]:
    """The faults that a check sees, the nearest first; empty for checks of other packages."""
    return _by_evidence()[0].get(id, ())


def fault(id: str) -> Fault | None:
    """The fault of that id."""
    return next((candidate for candidate in ALL if candidate.id == id), None)


@cache
def _by_evidence() -> tuple[Mapping[str, tuple[Fault, ...]], Mapping[str, tuple[Fault, ...]]]:
    states: dict[str, tuple[Fault, ...]] = {}
    behaviours: dict[str, tuple[Fault, ...]] = {}
    for fault in ALL:
        for id in fault.states:
            states[id] = (*states.get(id, ()), fault)
        for id in fault.behaviours:
            behaviours[id] = (*behaviours.get(id, ()), fault)
    return states, behaviours
