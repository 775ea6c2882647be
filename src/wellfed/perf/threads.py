"""How many threads to decode with. More is not better: past the memory's bandwidth, each adds to every barrier."""

from __future__ import annotations

from dataclasses import replace

from wellfed.nouns.calibration import Calibration
from wellfed.nouns.estimate import total_seconds
from wellfed.nouns.plan import Request
from wellfed.perf.cpu import cpu_terms
from wellfed.perf.hybrid import split_works
from wellfed.perf.numa import cpu_share
from wellfed.perf.ops import Step

_WORTH = 1.02  # speed-up: more threads that gain less than this are left to others (assumed)


def best_threads(request: Request, calibration: Calibration) -> int | None:
    """Threads that decode fastest on the sockets the layout uses; None when the CPUs have no part in it.

    Eighths of the physical cores are tried, fewest first. Prefill is different: it wants every core.
    """
    free = replace(request.layout, threads=None)
    works = split_works(request, Step.decode(1, max(1.0, request.workload.mean_decode_context))).cpu
    if not works:
        return None
    cores = int(cpu_share(request.machine, free).cores)
    tried = sorted({max(1, round(cores * part / 8)) for part in range(1, 9)})

    def seconds(count: int) -> float:
        return total_seconds(cpu_terms(works, request.machine, replace(free, threads=count), calibration))

    best, least = tried[0], seconds(tried[0])
    for count in tried[1:]:
        run_s = seconds(count)
        if run_s * _WORTH < least:
            best, least = count, run_s
    return best
