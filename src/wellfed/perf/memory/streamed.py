"""Models larger than memory: llama.cpp maps its file, the system keeps as many pages of experts as there is room for.

Only routed experts are let go of: what every token reads stays. `streamed` is an option of the layout, so that a plan
says that it is one; launches need nothing, as files are mapped by themselves (not with `--no-mmap`).
"""

from __future__ import annotations

from wellfed.frozen import replace
from wellfed.message import sentence
from wellfed.nouns.estimate import Memory
from wellfed.nouns.layout import Layout
from wellfed.nouns.plan import Request
from wellfed.perf.memory.held import weight_sums
from wellfed.perf.memory.kv import option
from wellfed.perf.memory.share import Share
from wellfed.units import GIB

STREAMED = ("streamed", "1")
_LEAST_SHARE = 0.05  # of the experts, without which nothing moves: assumed
_KEPT_FREE_BYTES = GIB  # of RAM, for the system's own reading ahead (assumed)


def is_streamed(layout: Layout) -> bool:
    """Whether experts may stay on disk until a token asks for them."""
    return option(layout, STREAMED[0]) == STREAMED[1]


def unstreamed(request: Request) -> Request:
    """The same request with everything in memory."""
    options = tuple(pair for pair in request.layout.options if pair != STREAMED)
    return replace(request, layout=replace(request.layout, options=options))


def from_disk(shares: tuple[Share, ...], request: Request) -> tuple[Share, ...]:
    """The shares with as much of RAM's experts as fits beside everything else."""
    if not is_streamed(request.layout):
        return shares
    return tuple(_fitted(share, request) if share.device == "ram" else share for share in shares)


def _fitted(share: Share, request: Request) -> Share:
    room, context = share.room_bytes, request.workload.context
    if room is None:
        return share
    missing = share.grown_bytes(context, request.layout.slots(request.workload.concurrency)) - room
    if missing <= 0:
        return share
    routed = weight_sums(request.weights).routed[-1]
    kept_out = min(missing + _KEPT_FREE_BYTES, (1 - _LEAST_SHARE) * routed)
    note = sentence("streamed.note", "{size:.0f} GiB of experts are read from disk when needed", size=kept_out / GIB)
    fixed = tuple(
        replace(term, bytes=max(0.0, term.bytes - kept_out), note=note) if term.name == "weights" else term
        for term in share.fixed
    )
    return replace(share, fixed=fixed)


def on_disk_bytes(in_memory: Memory, streamed: Memory) -> float:
    """Bytes of experts that are not in memory, from the ledgers with and without streaming."""

    def weights(memory: Memory) -> float:
        terms = [term for device in memory.devices if device.device == "ram" for term in device.terms]
        return sum(term.bytes for term in terms if term.name == "weights")

    return max(0.0, weights(in_memory) - weights(streamed))
