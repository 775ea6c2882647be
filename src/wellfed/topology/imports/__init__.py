"""Readers of what people paste: one file per format, listed here in the order they are tried."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from wellfed.hardware.machine import Machine


def read_dumps(dumps: Mapping[str, str]) -> Iterator[Machine]:
    """The part of a Machine each dump tells."""
    yield from ()
