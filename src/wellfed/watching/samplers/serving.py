"""What vLLM's and SGLang's `/metrics` have in common: tables of names, read into the same figures.

Several schedulers behind one server (data parallelism) are added up. Ranks of one scheduler that tell the same thing
twice count once, and so does a total beside its parts by priority.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from wellfed.frozen import dataclass
from wellfed.watching.sample import Engine
from wellfed.watching.samplers.prometheus import Found, Series, series

_SAME_SCHEDULER = frozenset({"tp_rank", "pp_rank", "moe_ep_rank", "pid"})


@dataclass(frozen=True, slots=True)
class Metric:
    """A name, and the labels that a value under it must have."""

    name: str
    labels: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Dialect:
    """An engine's names for the fields of `sample.Engine`, the newest first. Of `fullest` the largest value counts."""

    kind: str
    prefix: str
    sums: Mapping[str, tuple[Metric, ...]]
    fullest: Mapping[str, tuple[Metric, ...]]
    aliases: tuple[str, ...] = ()  # other prefixes under which the same names are told

    def speaks(self, text: str) -> bool:
        """Whether the text is this engine's."""
        return any(prefix in text for prefix in (self.prefix, *self.aliases))

    def engine(self, t: float, answer_s: float, text: str) -> Engine:
        """What the text says. A figure that is not told is None."""
        for alias in self.aliases:
            text = text.replace(f"\n{alias}", f"\n{self.prefix}")
        samples = series(f"\n{text}", self._names())
        figures: dict[str, Any] = {field: _value(samples, metrics, sum) for field, metrics in self.sums.items()}
        figures |= {field: _value(samples, metrics, max) for field, metrics in self.fullest.items()}
        return Engine(t=t, kind=self.kind, answers=True, answer_s=answer_s, **figures)

    def _names(self) -> frozenset[str]:
        tables = (*self.sums.values(), *self.fullest.values())
        return frozenset(metric.name for metrics in tables for metric in metrics)


def named(*names: str) -> tuple[Metric, ...]:
    """Metrics that are known by their names alone, whatever their labels."""
    return tuple(map(Metric, names))


def histogram(field: str, *names: str) -> dict[str, tuple[Metric, ...]]:
    """The sum of seconds and the count of a histogram, as `<field>_s_total` and `<field>_count`."""
    return {
        f"{field}_s_total": named(*(f"{name}_sum" for name in names)),
        f"{field}_count": named(*(f"{name}_count" for name in names)),
    }


def _value(samples: Found, metrics: Iterable[Metric], fold: Callable[[list[float]], float]) -> float | None:
    """Of the first metric that is told. A name whose labels do not match yet has not been counted: 0."""
    for metric in metrics:
        labelled = samples.get(metric.name)
        if labelled:
            values = _schedulers(
                [sample for sample in labelled if all(sample.labels.get(k) == v for k, v in metric.labels)]
            )
            return fold(values) if values else 0.0
    return None


def _schedulers(samples: Sequence[Series]) -> list[float]:
    """One value a scheduler and label set."""
    unsplit = [sample for sample in samples if not sample.labels.get("priority")]
    values: dict[tuple[tuple[str, str], ...], float] = {}
    for sample in unsplit or samples:
        key = tuple(sorted(pair for pair in sample.labels.items() if pair[0] not in _SAME_SCHEDULER))
        values[key] = max(values.get(key, sample.value), sample.value)
    return list(values.values())
