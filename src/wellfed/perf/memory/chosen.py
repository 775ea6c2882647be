"""The machine as a layout sees it: with the GPUs that it uses, where not all are alike."""

from __future__ import annotations

from wellfed.frozen import replace
from wellfed.hardware.machine import Machine
from wellfed.hardware.selection import alike, selected
from wellfed.nouns.layout import Layout
from wellfed.nouns.plan import Request
from wellfed.perf.identity import per_object
from wellfed.perf.memory.remote import joined

_MEMO_SIZE = 64  # requests whose choice is kept, assumed enough for one search
_are_alike = per_object(alike)
_memo: dict[tuple[int, tuple[int, ...]], tuple[Machine, Machine]] = {}


def narrowed(request: Request) -> Request:
    """The request on the GPUs of its layout: those it names, else the first ones. On a machine of equal GPUs of which
    none are named it is as it was. GPUs of RPC servers stand in front of the machine's own.
    """
    if request.layout.options:
        request = joined(request)
    machine, layout = request.machine, request.layout
    if not machine.gpus or not layout.gpus or (not layout.devices and _are_alike(machine)):
        return request
    chosen = positions(machine, layout)
    if chosen == tuple(range(len(machine.gpus))):
        return request
    return replace(request, machine=_selected(machine, chosen))


def positions(machine: Machine, layout: Layout) -> tuple[int, ...]:
    """Where the GPUs stand that a layout uses on each machine: by the numbers it names, else the first ones."""
    by_number = {gpu.index: position for position, gpu in enumerate(machine.gpus)}
    chosen = tuple(by_number[number] for number in layout.devices if number in by_number)
    return chosen or tuple(range(min(layout.gpus, len(machine.gpus))))


def _selected(machine: Machine, chosen: tuple[int, ...]) -> Machine:
    key = (id(machine), chosen)
    cached = _memo.get(key)
    if cached is None or cached[0] is not machine:
        if len(_memo) >= _MEMO_SIZE:
            _memo.clear()
        cached = _memo[key] = (machine, selected(machine, chosen))
    return cached[1]
