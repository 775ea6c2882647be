"""Which layers go to which GPU in llama.cpp's layer split."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import ceil

from wellfed.frozen import dataclass

_ROUNDING = 1e-5  # of a layer: sums of fractions miss by less (assumed)


@dataclass(frozen=True, slots=True)
class Span:
    """Layers first <= layer < last; `output`: the head is here too."""

    first: int
    last: int
    output: bool = False

    @property
    def layers(self) -> int:
        """How many layers."""
        return self.last - self.first


def layer_split(layers: int, on_gpu: int, fractions: Sequence[float], head: bool | None = None) -> tuple[Span, ...]:
    """The spans of GPUs that take shares `fractions` of the last `on_gpu` of `layers` layers.

    The head counts as one more layer where it is on a GPU: as said, else once all layers are. Layer i of n goes to the
    first GPU whose cumulative fraction exceeds i / n (llama.cpp's rule, by free memory unless --tensor-split says
    otherwise).
    """
    return _split(layers, on_gpu, tuple(fractions), on_gpu >= layers if head is None else head)


@lru_cache(maxsize=1024)
def _split(layers: int, on_gpu: int, fractions: tuple[float, ...], output: bool) -> tuple[Span, ...]:
    units = on_gpu + output
    start, total, reached, spans = layers - on_gpu, sum(fractions), 0.0, []
    position = 0
    for index, fraction in enumerate(fractions):
        reached += fraction
        end = units if index == len(fractions) - 1 else min(units, ceil(reached / total * units - _ROUNDING))
        has_output = output and position < units <= end
        spans.append(Span(start + position, start + min(end, on_gpu), has_output))
        position = max(position, end)
    return tuple(Span(min(s.first, s.last), s.last, s.output) for s in spans)
