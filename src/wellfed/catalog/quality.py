"""How good models are at a use: one named benchmark a use, the same for all models, with source and date (data)."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from wellfed.frozen import dataclass

_FILE = Path(__file__).parent / "data" / "quality.toml"


@dataclass(frozen=True, slots=True)
class Quality:
    """A published score of a model on a benchmark, higher is better, in the benchmark's own unit."""

    value: float
    benchmark: str
    source: str
    date: str


@cache
def _tables() -> Mapping[str, Any]:
    return tomllib.loads(_FILE.read_text(encoding="utf-8")) if _FILE.is_file() else {}


def benchmark_of(use: str) -> str | None:
    """The one benchmark of a use (chat, code, agent, rag, long); None where none is bundled."""
    name = _tables().get("uses", {}).get(use)
    return None if name is None else str(name)


def benchmarks_of(use: str) -> tuple[str, ...]:
    """All of a use, the usual one first."""
    usual = benchmark_of(use)
    return (*((usual,) if usual else ()), *_tables().get("others", {}).get(use, ()))


@cache
def _rows(benchmark: str) -> Mapping[str, Mapping[str, Any]]:
    """Value, source and date by model: of boards that are one source, and of figures that each have their own."""
    tables = _tables()
    rows = {name: row[benchmark] for name, row in tables.get("models", {}).items() if benchmark in row}
    origin = tables.get("benchmarks", {}).get(benchmark, {})
    scores = tables.get("scores", {}).get(benchmark, {})
    return rows | {name: {"value": value, **origin} for name, value in scores.items()}


def quality(model_id: str, use: str, named: str | None = None) -> Quality | None:
    """The model's score on the use's benchmark, or the one that is `named`; None where it is not known."""
    benchmark = named or benchmark_of(use)
    if benchmark is None:
        return None
    row = _rows(benchmark).get(model_id)
    return None if row is None else Quality(float(row["value"]), benchmark, str(row["source"]), str(row["date"]))


def scored_models(use: str) -> tuple[str, ...]:
    """Models with a score for the use, best first."""
    rows = _rows(benchmark_of(use) or "")
    return tuple(sorted(rows, key=lambda name: -rows[name]["value"]))


def quantisation_loss(quantisation: str) -> float | None:
    """The share of a benchmark's score that weights of this type lose on average (0.01 = 1 %); None: not known."""
    loss = _tables().get("losses", {}).get(quantisation.lower())
    return None if loss is None else float(loss["loss"])
