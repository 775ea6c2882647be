"""How many copies of a model to try on the GPUs that there are."""

from __future__ import annotations

from functools import cache

from wellfed.planner.degrees import group_sizes


@cache  # a search asks for each layout
def copy_counts(gpus: int, machines: int, copy: int, *, shared_experts: bool) -> tuple[int, ...]:
    """Numbers of copies of `copy` GPUs each that can be started on `machines` of `gpus` GPUs each.

    On one machine as many as there is room for; over several, equal servers on whole machines (`engines.servers`). With
    `shared_experts` a server has one copy: more would divide its experts.
    """
    if copy > gpus:
        whole = copy % gpus == 0
        return group_sizes(machines * gpus // copy) if whole else (1,)
    inside = (1,) if shared_experts else group_sizes(gpus // copy)
    most = inside[-1]
    if most * copy < gpus:  # a server would leave GPUs of its machine idle
        return inside
    return tuple(sorted({*inside, *(most * count for count in group_sizes(machines))}))
