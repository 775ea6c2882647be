"""Units: GB is 10^9 bytes, GiB is 2^30; inside, everything is bytes, seconds, bytes/s, FLOP/s.

`None` means unknown and is written `?`.
"""

from __future__ import annotations

from wellfed.patterns import regex

KB, MB, GB, TB = 10**3, 10**6, 10**9, 10**12
KIB, MIB, GIB, TIB = 2**10, 2**20, 2**30, 2**40
TFLOP = 10**12

_FACTORS = {
    "": 1, "b": 1, "k": KB, "kb": KB, "m": MB, "mb": MB, "g": GB, "gb": GB, "t": TB, "tb": TB,
    "kib": KIB, "mib": MIB, "gib": GIB, "tib": TIB,
}  # fmt: skip
_QUANTITY = regex(r"^\s*([0-9]*\.?[0-9]+)\s*([a-zA-Z]*)\s*$")


def parse_bytes(text: str) -> int:
    """Bytes in `text`: "24GB" is 24e9, "24GiB" is 24 * 2^30. Raises ValueError on anything else."""
    match = _QUANTITY.match(text)
    if match is None or match[2].lower() not in _FACTORS:
        raise ValueError(f"not a size: {text!r}")
    return round(float(match[1]) * _FACTORS[match[2].lower()])


def format_bytes(count: float | None) -> str:
    """GiB with two decimals below 10, one below 1000; MiB below half a GiB; `?` when unknown."""
    if count is None:
        return "?"
    if abs(count) < GIB / 2:
        return f"{count / MIB:.0f} MiB"
    gib = count / GIB
    return f"{gib:.2f} GiB" if abs(gib) < 10 else f"{gib:.1f} GiB" if abs(gib) < 1000 else f"{gib:.0f} GiB"


def format_bandwidth(bytes_per_s: float | None) -> str:
    """GB/s (10^9) with three significant digits, TB/s from 10 000 GB/s on."""
    if bytes_per_s is None:
        return "?"
    gb = bytes_per_s / GB
    return f"{gb / 1000:.3g} TB/s" if gb >= 10_000 else f"{gb:.0f} GB/s" if gb >= 100 else f"{gb:.3g} GB/s"


def format_seconds(seconds: float | None) -> str:
    """Seconds with a fitting unit: us, ms, s, min."""
    if seconds is None:
        return "?"
    if seconds < 1e-3:
        return f"{seconds * 1e6:.3g} us"
    if seconds < 1:
        return f"{seconds * 1e3:.3g} ms"
    return f"{seconds:.3g} s" if seconds < 600 else f"{seconds / 60:.3g} min"


def format_rate(per_second: float | None) -> str:
    """A rate with three significant digits and no exponent."""
    if per_second is None:
        return "?"
    if per_second >= 100:
        return f"{per_second:,.0f}"
    return f"{per_second:.3g}"
