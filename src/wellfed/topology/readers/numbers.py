"""Values as nvidia-smi writes them; every form of "not available" is None."""

from __future__ import annotations

import re

_ABSENT = re.compile(
    r"^\[?\s*(n/?a|not supported|unknown( error)?|err!?|requested functionality has been deprecated|"
    r"insufficient permissions|gpu is lost|gpu access blocked.*|not available.*|)\s*\]?$",
    re.IGNORECASE,
)
# Bytes, by the standards' names (IEC 80000-13): these tools write MiB where they mean it.
_UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "KB": 1000, "MB": 10**6, "GB": 10**9}


def not_na(text: str | None) -> str | None:
    """The text, or None for N/A and its relatives."""
    if text is None or _ABSENT.match(text.strip()):
        return None
    return text.strip()


def quantity(text: str | None) -> float | None:
    """The leading number of `250.00 W`, `16x`, `1590 MHz`."""
    match = re.match(r"[xX]?\s*(-?\d+(?:\.\d+)?)", not_na(text) or "")
    return float(match[1]) if match else None


def count(text: str | None) -> int | None:
    """The leading number as an integer."""
    value = quantity(text)
    return None if value is None else int(value)


def size(text: str | None) -> int | None:
    """Bytes of `15360 MiB`."""
    match = re.match(r"(\d+(?:\.\d+)?)\s*([KMG]?i?B)", not_na(text) or "")
    return round(float(match[1]) * _UNITS[match[2]]) if match else None


def power_of_1024(unit: str) -> int:
    """Bytes of a unit of a tool that counts by 1024 whatever it writes: M, MB and MiB are 2^20, B is 1."""
    return 1 << 10 * "BKMGT".index(unit[0])


def switch(text: str | None) -> bool | None:
    """Enabled, Yes and Active are True; Disabled, No and Not Active False; anything else None."""
    word = (not_na(text) or "").lower()
    if word in ("enabled", "yes", "active", "1", "true", "on"):
        return True
    return False if word in ("disabled", "no", "not active", "none", "0", "false", "off") else None
