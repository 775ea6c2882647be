"""How good models are at a use: one named benchmark a use, the same for all models, with source and date (data)."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

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


def quality(model_id: str, use: str) -> Quality | None:
    """The model's score on the use's benchmark; None where it is not known."""
    benchmark = benchmark_of(use)
    found = _tables().get("models", {}).get(model_id, {}).get(benchmark) if benchmark else None
    if found is None:
        return None
    return Quality(float(found["value"]), str(benchmark), str(found["source"]), str(found["date"]))


def scored_models(use: str) -> tuple[str, ...]:
    """Models with a score for the use, best first."""
    benchmark = benchmark_of(use)
    scores = {name: row[benchmark]["value"] for name, row in _tables().get("models", {}).items() if benchmark in row}
    return tuple(sorted(scores, key=lambda name: -scores[name]))


def quantisation_loss(quantisation: str) -> float | None:
    """The share of a benchmark's score that weights of this type lose on average (0.01 = 1 %); None: not known."""
    found = _tables().get("losses", {}).get(quantisation.lower())
    return None if found is None else float(found["loss"])
