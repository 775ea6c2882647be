"""Layouts between which memory sees no difference: a search looks at one of them."""

from __future__ import annotations

from wellfed.frozen import replace
from wellfed.nouns.layout import Layout
from wellfed.perf.memory.kv import option
from wellfed.perf.memory.lora import is_adapted


def as_held(layout: Layout) -> Layout:
    """The layout as memory sees it: a rank of a tensor-parallel group holds as many bytes of whole experts as of parts
    of all. Adapters, copies of busy experts and experts divided over several groups are seen.
    """
    degree = layout.expert_parallel
    if degree == 1 or degree > layout.tensor_parallel or is_adapted(layout) or option(layout, "redundant_experts"):
        return layout
    return replace(layout, expert_parallel=1)
