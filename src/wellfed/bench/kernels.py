"""STREAM-like kernels and a clock, compiled: sum (read), copy and triad over doubles, without the interpreter's lock.

numba with fast-math reaches what C STREAM does where huge pages back the arrays (J. McCalpin's STREAM counts bytes the
same way: read 8, copy 16, triad 24 per element, write-allocate not counted).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

CYCLES_PER_STEP = 6  # of `chain`: each of its shifts and exclusive ors waits for the one before, a cycle each
BYTES_PER_ELEMENT = {"read": 8, "copy": 16, "triad": 24}


def plain() -> dict[str, Callable[..., Any]]:
    """The kernels read, copy and triad with numpy alone; triad needs two passes there, so it reads low."""
    import numpy as np

    def triad(a: Any, b: Any, c: Any) -> float:
        np.multiply(b, 3.0, out=c)
        np.add(a, c, out=c)
        return 0.0

    def copy(a: Any, b: Any, c: Any) -> float:
        np.copyto(c, a)
        return 0.0

    return {"read": lambda a, b, c: float(np.add.reduce(a)), "copy": copy, "triad": triad}


def compiled() -> dict[str, Callable[..., Any]]:
    """name -> kernel(a, b, c): each works on arrays of float64. Raises ImportError without numba."""
    import numba

    kernel: Any = numba.njit(nogil=True, fastmath=True, boundscheck=False)

    @kernel
    def read(a: Any, b: Any, c: Any) -> float:
        total = 0.0
        for i in range(a.shape[0]):
            total += a[i]
        return total

    @kernel
    def copy(a: Any, b: Any, c: Any) -> float:
        for i in range(a.shape[0]):
            c[i] = a[i]
        return 0.0

    @kernel
    def triad(a: Any, b: Any, c: Any) -> float:
        for i in range(a.shape[0]):
            c[i] = a[i] + 3.0 * b[i]
        return 0.0

    return {"read": read, "copy": copy, "triad": triad}


def chain() -> Callable[[int], int]:
    """chain(steps): a xorshift generator (G. Marsaglia, 2003), whose time is cycles alone. ImportError: no numba."""
    import numba
    import numpy as np

    kernel: Any = numba.njit(nogil=True, boundscheck=False)
    shift_left, shift_right, last = np.uint64(13), np.uint64(7), np.uint64(17)

    @kernel
    def run(steps: int) -> Any:
        x = np.uint64(88172645463325252)
        for _ in range(steps):
            x ^= x << shift_left
            x ^= x >> shift_right
            x ^= x << last
        return x

    return lambda steps: int(run(steps))
