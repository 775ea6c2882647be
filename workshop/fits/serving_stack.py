"""Serving rows as arrays: the production formulas of `perf.serving`, evaluated for all rows at once."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from wellfed.accuracy.case import Case
from wellfed.frozen import dataclass
from wellfed.nouns.plan import Request
from wellfed.perf.serving.disaggregation import split
from wellfed.perf.serving.estimate import pools, shape_for
from wellfed.perf.serving.formats import formats, gpu_of, kinds
from wellfed.perf.serving.knobs import Keys, Knobs, bounded, keys
from wellfed.perf.serving.load import others, serve, waited
from wellfed.perf.serving.room import room
from wellfed.perf.serving.shape import Shape

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]


def stacked(shapes: Sequence[Shape]) -> Shape:
    """One shape whose fields are arrays over `shapes`."""
    import numpy as np

    columns: dict[str, Any] = {
        field.name: np.array([getattr(shape, field.name) for shape in shapes], dtype=float) for field in fields(Shape)
    }
    return Shape(**columns)


@dataclass(frozen=True, slots=True)
class _Columns:
    """For each field of `Knobs`, the places of every row's keys among the parameters' names; the first is 1."""

    names: tuple[str, ...]
    places: Mapping[str, Any]

    def knobs(self, parameters: Mapping[str, float]) -> Knobs:
        import numpy as np

        values = np.array([1.0, *(parameters[name] for name in self.names)])
        found = {field: values[places].prod(axis=1) for field, places in self.places.items()}
        return Knobs(**{field: bounded(field, value) for field, value in found.items()})


def _columns(requests: Sequence[Request], available: Collection[str]) -> _Columns:
    import numpy as np

    rows = [_keys(request, available) for request in requests]
    names = tuple(sorted({key for row in rows for several in row.values() for key in several}))
    at = {name: place + 1 for place, name in enumerate(names)}
    places = {}
    for field in (f.name for f in fields(Knobs)):
        most = max(len(row[field]) for row in rows)
        places[field] = np.array([[at[key] for key in row[field]] + [0] * (most - len(row[field])) for row in rows])
    return _Columns(names, places)


def _keys(request: Request, available: Collection[str]) -> Keys:
    gpu = gpu_of(request.machine)
    return keys(request.layout.engine, formats(request.weights, gpu), kinds(gpu, request.layout), available)


class Rows:
    """The distinct requests behind cases of one kind, and where each case finds its prediction."""

    def __init__(self, cases: Sequence[Case], available: Collection[str]) -> None:
        import numpy as np

        self.cases = list(cases)
        requests: dict[int, Request] = {id(c.request): c.request for c in cases if c.request is not None}
        order = {identity: place for place, identity in enumerate(requests)}
        self.requests = list(requests.values())
        self.at = np.array([order[id(case.request)] for case in cases], dtype=int)
        self.first = np.array([case.metric == "tpot_ms" for case in cases])
        self.whole = np.array([getattr(case.predict, "whole_request", False) for case in cases])
        self.tokens = np.array([r.workload.output_tokens for r in self.requests], dtype=float)
        self.columns = _columns(self.requests, available)

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters that these rows depend on."""
        return self.columns.names

    def rows_by_parameter(self) -> dict[str, int]:
        """Cases whose prediction a parameter takes part in, outliers excepted."""
        import numpy as np

        count = np.bincount(self.at[[not case.outlier for case in self.cases]], minlength=len(self.requests))
        found: dict[str, int] = {}
        for place, name in enumerate(self.columns.names, 1):
            uses = np.zeros(len(self.requests), dtype=bool)
            for places in self.columns.places.values():
                uses |= (places == place).any(axis=1)
            found[name] = int(count[uses].sum())
        return found

    def picked(self, tpot: Vector, ttft: Vector) -> Vector:
        """Each case's own of the two, in milliseconds."""
        import numpy as np

        each = tpot + np.zeros_like(ttft)
        both = each[self.at] + self.whole * ttft[self.at] / self.tokens[self.at]
        found: Vector = 1000 * np.where(self.first, both, ttft[self.at])
        return found


class Aggregated(Rows):
    """Rows whose replicas do both prefill and decode."""

    def __init__(self, cases: Sequence[Case], available: Collection[str]) -> None:
        super().__init__(cases, available)
        self.shape = stacked([shape_for(request, room(request)) for request in self.requests])

    def predict(self, parameters: Mapping[str, float]) -> Vector:
        """Milliseconds, in the cases' order."""
        served: Any = serve(self.shape, self.columns.knobs(parameters))
        return self.picked(served.tpot, served.ttft)

    def crowds(self, parameters: Mapping[str, float]) -> Vector:
        """Of each case's time per token, the part that prompts of others take; of a first token's, that it waits."""
        import numpy as np

        served: Any = serve(self.shape, self.columns.knobs(parameters))
        gain: Any = self.shape.gain
        crowded: Any = others(served, gain) / served.tpot
        late: Any = waited(served)
        found: Vector = np.where(self.first, crowded[self.at], late[self.at])
        return found


class Disaggregated(Rows):
    """Rows with prefill and decode on pools of their own."""

    def __init__(self, cases: Sequence[Case], available: Collection[str]) -> None:
        import numpy as np

        super().__init__(cases, available)
        both = [pools(r, room(replace(r, layout=replace(r.layout, prefill_gpus=0)))) for r in self.requests]
        self.prompt, self.decode = stacked([two.prefill for two in both]), stacked([two.decode for two in both])
        self.firsts: Any = np.array([two.prefill_workers for two in both], dtype=float)
        self.seconds: Any = np.array([two.decode_workers for two in both], dtype=float)
        self.matched: Any = np.array([two.matched for two in both], dtype=float)
        self.clients: Any = np.array([request.workload.concurrency for request in self.requests], dtype=float)

    def predict(self, parameters: Mapping[str, float]) -> Vector:
        """Milliseconds, in the cases' order."""
        knobs = self.columns.knobs(parameters)
        found: Any = split(self.prompt, self.decode, knobs, self.firsts, self.seconds, self.clients, self.matched)
        return self.picked(found.tpot, found.ttft)
