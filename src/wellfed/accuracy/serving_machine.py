"""Machines of tables that name a GPU and a number: equal GPUs, joined as such parts are sold."""

from __future__ import annotations

import math
from functools import lru_cache

from wellfed.hardware.machine import Gpu, Machine, Origin
from wellfed.hardware.parts import GpuSpec
from wellfed.provenance import Assumption

_PER_NODE = 8
_NIC_BYTES_PER_S = 50e9  # 400 Gb/s for each GPU: what such clusters are built with


@lru_cache(maxsize=256)
def machine_of(spec: GpuSpec, count: int) -> Machine:
    """`count` GPUs: one machine as far as their links reach or eight fit in one, else several on a network."""
    together = max(_PER_NODE, spec.link_peers)
    per_node = min(count, together)
    nodes = math.ceil(count / per_node)
    assumptions = (Assumption("400 Gb/s of network per GPU", "not told"),) if nodes > 1 else ()
    return Machine(
        f"{count}x {spec.name}",
        Origin.PARTS,
        gpus=tuple(Gpu(index, spec) for index in range(per_node)),
        count=nodes,
        network_bytes_per_s=per_node * _NIC_BYTES_PER_S if nodes > 1 else None,
        assumptions=assumptions,
    )
