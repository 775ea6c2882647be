"""Machines of tables that name a GPU and a number: equal GPUs, joined as such parts are sold."""

from __future__ import annotations

import math
from functools import lru_cache

from wellfed.catalog.hardware import cpu as cpu_spec
from wellfed.errors import UnknownName
from wellfed.hardware.machine import Gpu, Machine, Origin, Socket
from wellfed.hardware.parts import CpuSpec, GpuSpec
from wellfed.message import sentence
from wellfed.provenance import Assumption

_PER_NODE = 8
_NIC_BYTES_PER_S = 50e9  # 400 Gb/s for each GPU: what such clusters are built with
_SOC_NIC_BYTES_PER_S = 25e9  # 200 Gb/s: the port of a GB10


@lru_cache(maxsize=256)
def machine_of(spec: GpuSpec, count: int, cpu: str = "", power_w: float | None = None) -> Machine:
    """`count` GPUs: one machine as far as their links reach or eight fit in one, else several on a network.

    Systems on a chip are a machine each. `cpu` is the host's as a table names it; superchips bring their own.
    """
    together = 1 if spec.form == "soc" else max(_PER_NODE, spec.link_peers)
    per_node = min(count, together)
    nodes = math.ceil(count / per_node)
    nic = _SOC_NIC_BYTES_PER_S if spec.form == "soc" else _NIC_BYTES_PER_S
    assumptions = (
        (
            Assumption(
                sentence("serving-machine.gb-s-network", "{nic:.0f} Gb/s of network per GPU", nic=8 * nic / 1e9),
                sentence("serving-machine.told", "not told"),
            ),
        )
        if nodes > 1
        else ()
    )
    host = host_of(cpu or spec.cpu_id or "")
    return Machine(
        f"{count}x {spec.name}",
        Origin.PARTS,
        sockets=(Socket(0, host, cores=host.cores),) if host else (),
        gpus=tuple(Gpu(index, spec, power_limit_w=power_w) for index in range(per_node)),
        memory_bytes=spec.memory_bytes if spec.unified_memory else None,
        count=nodes,
        network_bytes_per_s=per_node * nic if nodes > 1 else None,
        assumptions=assumptions,
    )


def host_of(name: str) -> CpuSpec | None:
    """The CPU a table names; None where it names none or one that is not known."""
    if not name:
        return None
    try:
        return cpu_spec(name)
    except UnknownName:
        return None
