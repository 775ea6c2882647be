"""A machine's own measurement is evidence, not gospel: what speaks against a measured bandwidth."""

from __future__ import annotations

from collections.abc import Sequence

from wellfed.message import Amount, Message, message

_LEAST_SHARE, _MOST_SHARE = 0.25, 1.05  # of the theoretical bandwidth (assumed: see below)
_BUSY_CORES, _BUSY_SHARE, _STEADY = 0.3, 0.1, 1.35  # assumed: what an idle desktop does is a tenth of a core


def doubt(
    read: float, theory: float | None, foreign_cores: float | None, threads: int, bursts: Sequence[float] = ()
) -> Message | None:
    """Why a measured bandwidth is not the machine's: others were at work, or it is not what such memory can be.

    Sustained reads reach 60 to 95 % of channels x MT/s x 8 bytes, on the worst machines of the tables a third of it.
    """
    if theory is not None and not _LEAST_SHARE * theory <= read <= _MOST_SHARE * theory:
        template = "{read} is {share} of what this memory can do ({theory})"
        return message(
            "bench.memory.implausible",
            template,
            read=Amount(read, "B/s"),
            share=Amount(read / theory, "%"),
            theory=Amount(theory, "B/s"),
        )
    if foreign_cores is not None and foreign_cores > max(_BUSY_CORES, _BUSY_SHARE * threads):
        template = "other programs kept {cores} cores busy meanwhile"
        return message("bench.memory.busy", template, cores=Amount(round(foreign_cores, 1), ""))
    if bursts and max(bursts) > _STEADY * sorted(bursts)[len(bursts) // 2]:
        template = "short bursts differ, from {least} to {most}: somebody else uses the memory"
        return message(
            "bench.memory.unsteady", template, least=Amount(min(bursts), "B/s"), most=Amount(max(bursts), "B/s")
        )
    return None
