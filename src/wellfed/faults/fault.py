"""One fault, and its two kinds of evidence."""

from __future__ import annotations

from wellfed.frozen import dataclass


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that is wrong, by whatever it is seen.

    `states` are ids of checks that see it on a machine at rest, the nearest first; `behaviours` ids of diagnoses that
    see what it does to a running engine. `remedy` is what mends it, in a sentence; commands and price are the check's.
    """

    id: str
    title: str
    remedy: str
    states: tuple[str, ...]
    behaviours: tuple[str, ...] = ()
