"""What may be said of a hostile input: refused, a value within bounds, or the truth; and never, whatever it is."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from typing import Any

from attack.sandbox import Said

MOST_S, MOST_PEAK_BYTES = 5.0, 300 * 10**6
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
Judge = Callable[[Said], str]


def always(said: Said) -> str:
    """What no input may do: escape, hang, eat the machine, reach the terminal, end with a strange status."""
    if said.escaped:
        return said.escaped
    if said.seconds > MOST_S:
        return f"it took {said.seconds:.1f} s"
    if said.peak_bytes > MOST_PEAK_BYTES:
        return f"it took {said.peak_bytes / 1e6:.0f} MB"
    if said.status not in (0, 1, 2):
        return f"exit status {said.status}"
    if _CONTROL.search(said.shown) or _CONTROL.search(said.message.replace("\r", "")):
        return f"a control character is printed: {said.shown[-300:]!r} {said.message[:300]!r}"
    return ""


def refused(said: Said) -> str:
    """Exit 2, or a refusal within the answer, with words."""
    if said.status == 2:
        return "" if said.message.strip() or said.shown.strip() else "refused without a word"
    return "" if _refusals(said.out) else f"taken: {said.out[:300]}"


def _refusals(out: str) -> bool:
    value = document(out)
    names = value.get("names") if isinstance(value, dict) else None
    return bool(names) and all("error" in name for name in names)


def document(out: str) -> Any:
    """The JSON of an answer; None where there is none. Raises ValueError for NaN and its like, which are no JSON."""
    text = out.strip()
    return json.loads(text, parse_constant=_no_constant) if text.startswith(("{", "[")) else None


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON")


def _numbers(value: Any, path: str = "") -> Iterator[tuple[str, float]]:
    if isinstance(value, bool):
        return
    if isinstance(value, int | float):
        yield path, float(value)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _numbers(item, f"{path}.{key}")
    elif isinstance(value, list):
        for item in value:
            yield from _numbers(item, path)


def sane(said: Said) -> str:
    """An answer's JSON, if any, is JSON, and holds numbers alone that are finite."""
    if said.status == 2:
        return refused(said)
    try:
        value = document(said.out)
    except ValueError as error:
        return f"no JSON: {error}: {said.out[-200:]!r}"
    odd = [(path, number) for path, number in _numbers(value) if not math.isfinite(number)]
    return f"{odd[0]}" if odd else ""


def either(may: Callable[[Any], str]) -> Judge:
    """Refused, or an answer that `may` has nothing against."""

    def judge(said: Said) -> str:
        wrong = sane(said)
        if wrong or said.status == 2 or _refusals(said.out):
            return wrong
        value = document(said.out)
        return may(value) if value is not None else ""

    return judge
