"""The clock that a core keeps now, from a few milliseconds of a chain that no core can shorten: MD5.

MD5 is 64 steps for 64 bytes, and each needs the result of the one before it: a function of it, two additions and a
rotation, all of one cycle (R. Rivest, RFC 1321). Units that could work side by side stay idle, so that x86 cores of all
makers take about as many cycles a byte. Time is the thread's own CPU time: what others take is not counted.
"""

from __future__ import annotations

import hashlib
import platform
import time
from statistics import median

_CYCLES_PER_BYTE = 4.95  # OpenSSL's on x86-64, held against `kernels.chain`; by its steps alone 4.5 to 5
_BURSTS, _BYTES = 12, 2**20  # about a millisecond each
_PLAUSIBLE_HZ = (0.4e9, 7e9)


def burst_clock_hz() -> float | None:
    """Cycles a second of the core this runs on, give or take a tenth; None off x86-64, or where MD5 is not allowed."""
    if platform.machine() not in ("x86_64", "AMD64"):
        return None
    block = bytes(_BYTES)
    try:
        clock = median(_CYCLES_PER_BYTE * _BYTES / _hash_s(block) for _ in range(_BURSTS))
    except (ValueError, ZeroDivisionError):
        return None
    return clock if _PLAUSIBLE_HZ[0] <= clock <= _PLAUSIBLE_HZ[1] else None


def _hash_s(block: bytes) -> float:
    begin = time.thread_time()
    hashlib.md5(block, usedforsecurity=False)
    return time.thread_time() - begin
