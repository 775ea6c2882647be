"""One pool of memory is one pool, for every engine: what GPU and CPU of it take together must fit it together."""

from __future__ import annotations

from wellfed.hardware.machine import Machine
from wellfed.nouns.estimate import MemoryTerm
from wellfed.nouns.plan import Request
from wellfed.perf.identity import per_object
from wellfed.perf.memory.devices import unified
from wellfed.perf.memory.share import Growth, Named, Share

NOTE = "unified memory"


def one_pool(shares: tuple[Share, ...], request: Request) -> tuple[Share, ...]:
    """The shares, with what GPUs without memory of their own hold entered in RAM's ledger, too.

    A GPU's own ledger stays: a system may let it hold less than all (Apple's wired limit). Engines that keep nothing
    in RAM have no ledger of it; there the GPU's, which is of the pool less what the system keeps, says it all.
    """
    if not _shares_ram(request.machine):
        return shares
    ram = next((share for share in shares if share.device == "ram"), None)
    inside = [share for share in shares if share is not ram and _is_unified(share, request)]
    if ram is None or not inside or any(term.note == NOTE for term in ram.fixed):
        return shares
    fixed = [*ram.fixed, *(_as_ram(share, term) for share in inside for term in share.fixed)]
    pooled = Share("ram", tuple(fixed), _together(ram.growth, inside), ram.capacity_bytes, ram.free_bytes, caches=True)
    return tuple(pooled if share is ram else share for share in shares)


@per_object
def _shares_ram(machine: Machine) -> bool:
    return any(unified(gpu) for gpu in machine.gpus)


def _is_unified(share: Share, request: Request) -> bool:
    index = share.device.removeprefix("gpu")
    gpus = [gpu for gpu in request.machine.gpus if not gpu.server]  # others' memory is in another machine
    return index.isdecimal() and int(index) < len(gpus) and unified(gpus[int(index)])


def _as_ram(share: Share, term: MemoryTerm) -> MemoryTerm:
    return MemoryTerm("ram", f"{share.device} {term.name}", term.bytes, NOTE)


def _together(ram_growth: Growth, others: list[Share]) -> Growth:
    def growth(context: int, count: int) -> tuple[Named, ...]:
        theirs = ((share.device, term) for share in others for term in share.growth(context, count))
        return (*ram_growth(context, count), *((f"{device} {name}", size, NOTE) for device, (name, size, _) in theirs))

    return growth
