"""Layouts whose ranks divide a cache's tokens instead of holding copies of it, for long contexts of many users."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from wellfed.frozen import replace
from wellfed.models.model import Model
from wellfed.nouns.layout import Layout
from wellfed.nouns.workload import Workload
from wellfed.perf.memory.context_ranks import DECODE, DIVIDES, context_ranks, most_context_ranks, prefill_ranks

_MANY_TOKENS = 500_000  # of all sequences together: below, copies of a cache take little (assumed)


def with_divided_contexts(layouts: Iterable[Layout], model: Model, load: Workload) -> Iterator[Layout]:
    """The layouts, and where contexts are long and many each once more with its cache divided as far as it may be."""
    if load.context * max(1, load.concurrency) < _MANY_TOKENS:
        yield from layouts
        return
    for layout in layouts:
        yield layout
        if layout.engine in DIVIDES and layout.tensor_parallel > 1 and _is_undivided(layout):
            most = most_context_ranks(model, layout.tensor_parallel)
            if most > 1:
                yield replace(layout, options=(*layout.options, (DECODE, str(most))))


def _is_undivided(layout: Layout) -> bool:
    return layout.attention_data_parallel == 1 and context_ranks(layout) == 1 == prefill_ranks(layout)
