"""Which interpreters read a table, and in what order."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from wellfed.accuracy.case import Interpreter, Row, read_table


def interpreters() -> Sequence[Interpreter]:
    """All of them; the first that knows a row has it."""
    from wellfed.accuracy import (
        rows_host_effects,
        rows_hybrid,
        rows_llamacpp,
        rows_memory,
        rows_mlperf,
        rows_serving,
    )

    return (
        rows_host_effects.interpret,
        rows_memory.interpret,
        rows_mlperf.interpret,
        rows_serving.interpret,
        rows_llamacpp.interpret,
        rows_hybrid.interpret,
    )


def rows_of(path: Path) -> list[Row]:
    """Every row of the table at `path`."""
    return list(read_table(path))
