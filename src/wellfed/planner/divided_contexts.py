"""Layouts whose ranks divide a cache's tokens instead of holding copies of it, for long contexts of many users."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from wellfed.models.model import Model
from wellfed.nouns.layout import Layout
from wellfed.nouns.workload import Workload
from wellfed.perf.memory.context_ranks import DECODE, DIVIDES, context_ranks, most_context_ranks, prefill_ranks

_MANY_TOKENS = 500_000  # of all sequences together: below, copies of a cache take little (assumed)


def with_divided_contexts(layouts: Iterable[Layout], model: Model, load: Workload) -> Iterator[Layout]:
    """The layouts, and where contexts are long and many each once more with its cache divided as far as it may be."""
    wanted = load.context * max(1, load.concurrency) >= _MANY_TOKENS
    for layout in layouts:
        yield layout
        undivided = context_ranks(layout) == 1 == prefill_ranks(layout) == layout.attention_data_parallel
        if wanted and layout.engine in DIVIDES and layout.tensor_parallel > 1 and undivided:
            most = most_context_ranks(model, layout.tensor_parallel)
            if most > 1:
                yield replace(layout, options=(*layout.options, (DECODE, str(most))))
