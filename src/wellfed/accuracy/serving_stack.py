"""Serving rows as arrays: the production formulas of `perf.serving`, evaluated for all rows at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from wellfed.accuracy.case import Case
from wellfed.perf.serving.disaggregation import split
from wellfed.perf.serving.estimate import pools, shape_for
from wellfed.perf.serving.formats import formats, gpu_of
from wellfed.perf.serving.knobs import Knobs, keys
from wellfed.perf.serving.load import serve
from wellfed.perf.serving.room import room
from wellfed.perf.serving.shape import Shape
from wellfed.plan import Request

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
    """For each field of `Knobs`, the place of every row's key among the parameters' names."""

    names: tuple[str, ...]
    places: Mapping[str, Any]

    def knobs(self, parameters: Mapping[str, float]) -> Knobs:
        import numpy as np

        values = np.array([parameters[name] for name in self.names])
        return Knobs(**{field: values[places] for field, places in self.places.items()})


def _columns(requests: Sequence[Request]) -> _Columns:
    import numpy as np

    rows = [keys(r.layout.engine, formats(r.weights, gpu_of(r.machine))) for r in requests]
    names = tuple(sorted({key for row in rows for key in row.values()}))
    at = {name: place for place, name in enumerate(names)}
    return _Columns(names, {f.name: np.array([at[row[f.name]] for row in rows]) for f in fields(Knobs)})


class Rows:
    """The distinct requests behind cases of one kind, and where each case finds its prediction."""

    def __init__(self, cases: Sequence[Case]) -> None:
        import numpy as np

        self.cases = list(cases)
        requests: dict[int, Request] = {id(c.request): c.request for c in cases if c.request is not None}
        order = {identity: place for place, identity in enumerate(requests)}
        self.requests = list(requests.values())
        self.at = np.array([order[id(case.request)] for case in cases], dtype=int)
        self.first = np.array([case.metric == "tpot_ms" for case in cases])
        self.columns = _columns(self.requests)

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters that these rows depend on."""
        return self.columns.names

    def picked(self, tpot: Vector, ttft: Vector) -> Vector:
        """Each case's own of the two, in milliseconds."""
        import numpy as np

        found: Vector = 1000 * np.where(self.first, tpot[self.at], ttft[self.at])
        return found


class Aggregated(Rows):
    """Rows whose replicas do both prefill and decode."""

    def __init__(self, cases: Sequence[Case]) -> None:
        super().__init__(cases)
        self.shape = stacked([shape_for(request, room(request).slots) for request in self.requests])

    def predict(self, parameters: Mapping[str, float]) -> Vector:
        """Milliseconds, in the cases' order."""
        served: Any = serve(self.shape, self.columns.knobs(parameters))
        return self.picked(served.tpot, served.ttft)


class Disaggregated(Rows):
    """Rows with prefill and decode on pools of their own."""

    def __init__(self, cases: Sequence[Case]) -> None:
        import numpy as np

        super().__init__(cases)
        both = [pools(r, room(replace(r, layout=replace(r.layout, prefill_gpus=0)))) for r in self.requests]
        self.prompt, self.decode = stacked([two.prefill for two in both]), stacked([two.decode for two in both])
        self.firsts: Any = np.array([two.prefill_workers for two in both], dtype=float)
        self.seconds: Any = np.array([two.decode_workers for two in both], dtype=float)
        self.clients: Any = np.array([request.workload.concurrency for request in self.requests], dtype=float)

    def predict(self, parameters: Mapping[str, float]) -> Vector:
        """Milliseconds, in the cases' order."""
        knobs = self.columns.knobs(parameters)
        found: Any = split(self.prompt, self.decode, knobs, self.firsts, self.seconds, self.clients)
        return self.picked(found.tpot, found.ttft)
